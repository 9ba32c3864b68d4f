/** A word as a POSIX shell reads it back unchanged: quoted unless it is plain. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command line for a user to copy. */
export function shellLine(words: readonly string[]): string {
  return words.map(shellWord).join(' ');
}

/**
 * The words of a line as iptables-save prints it: double quotes around words with blanks, backslash before a quote or
 * backslash inside them.
 */
export function savedWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    const char = line[i];
    if (quoted) {
      if (char === '\\' && i + 1 < line.length) word = (word ?? '') + line[++i];
      else if (char === '"') quoted = false;
      else word = (word ?? '') + char;
    } else if (char === '"') {
      quoted = true;
      word ??= '';
    } else if (char === ' ' || char === '\t') {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + char;
  }
  if (word !== undefined) words.push(word);
  return words;
}
