import stringWidth from 'string-width';

/** What stays on one line: a word or a Chinese character, with the punctuation that belongs to it. */
const UNIT =
  /\s+|[（《「『“‘]*(?:\p{Script=Han}|[^\s\p{Script=Han}\u3000-\u303f\uff00-\uffef“”‘’]+|[\u3000-\u303f\uff00-\uffef“”‘’])[，。；：、？！）》」』”’…]*/gu;

/**
 * Breaks text into lines of at most `width` columns: between words, and between any two Chinese characters, but never
 * before closing or after opening punctuation. A word longer than a line stays whole. Newlines count as blanks.
 */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  let columns = 0;
  for (const piece of text.trim().match(UNIT) ?? []) {
    const unit = /^\s/.test(piece) ? ' ' : piece;
    const size = stringWidth(unit);
    if (columns + size > width && line !== '') {
      lines.push(line.trimEnd());
      line = '';
      columns = 0;
    }
    if (unit === ' ' && line === '') continue;
    line += unit;
    columns += size;
  }
  if (line.trim() !== '') lines.push(line.trimEnd());
  return lines;
}
