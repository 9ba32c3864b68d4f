import stringWidth from 'string-width';

/** Punctuation that must not begin a line in Chinese text. */
const NEVER_FIRST = /^[，。；：、？！）》」』”’…,.;:!?)\]]/u;

/**
 * Breaks text into lines of at most `width` columns: between words, and between any two Chinese characters except before
 * closing punctuation. A word longer than a line stays whole. Newlines in the text count as blanks.
 */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  let columns = 0;
  for (const piece of text
    .trim()
    .match(/\s+|[\p{Script=Han}\u3000-\u303f\uff00-\uffef]|[^\s\p{Script=Han}\u3000-\u303f\uff00-\uffef]+/gu) ?? []) {
    const blank = /^\s/.test(piece);
    const part = blank ? ' ' : piece;
    const size = stringWidth(part);
    if (columns + size > width && line !== '' && !NEVER_FIRST.test(part)) {
      lines.push(line.trimEnd());
      line = '';
      columns = 0;
    }
    if (blank && line === '') continue;
    line += part;
    columns += size;
  }
  if (line.trim() !== '') lines.push(line.trimEnd());
  return lines;
}
