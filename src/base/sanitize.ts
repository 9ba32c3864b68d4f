/**
 * Makes text from a packet, the kernel, a file or another program safe for a terminal: C0/C1 controls, bidirectional
 * overrides and invisible separators become `\xNN` or `\u{…}`. Tabs and newlines stay only with `multiline`.
 */
export function printable(text: string, options: { multiline?: boolean } = {}): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (char) => {
    if (options.multiline && (char === '\n' || char === '\t')) return char;
    const code = char.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}
