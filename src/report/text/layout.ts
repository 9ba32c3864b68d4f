import stringWidth from 'string-width';

/** Pads to a display width (CJK characters take two columns). */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const fill = ' '.repeat(Math.max(0, width - stringWidth(text)));
  return align === 'left' ? text + fill : fill + text;
}

/** Left and right text on one line of `width`; on two lines if they do not fit. */
export function spread(left: string, right: string, width: number): string {
  const gap = width - stringWidth(left) - stringWidth(right);
  return gap >= 2 ? left + ' '.repeat(gap) + right : `${left}\n${pad(right, width, 'right')}`;
}

/**
 * Breaks text at spaces (and between CJK characters, but never before closing punctuation) to fit `width`, later lines
 * indented by `indent`.
 */
export function wrap(text: string, width: number, indent = ''): string[] {
  const words =
    text.match(/\s+|(?:[\u3000-\u9fff\uff00-\uffef]|[^\s\u3000-\u9fff\uff00-\uffef]+)[，。；：、？！）”]*/g) ?? [];
  const lines: string[] = [];
  let line = '';
  for (const word of words) {
    if (stringWidth(line + word.trimEnd()) > width && line.trim() !== '') {
      lines.push(line.trimEnd());
      line = indent + word.trimStart();
    } else line += word;
  }
  if (line.trim() !== '') lines.push(line.trimEnd());
  return lines;
}
