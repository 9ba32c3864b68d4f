import { closest, distance } from 'fastest-levenshtein';

/** `did you mean "x"?` for the nearest of `known`, or undefined when none is near enough to be a slip of the pen. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  const list = [...known];
  if (list.length === 0) return undefined;
  const near = closest(word, list);
  return distance(word, near) <= Math.max(2, Math.floor(word.length / 3)) ? `did you mean "${near}"?` : undefined;
}
