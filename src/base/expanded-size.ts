/**
 * How many values a document comes to when its aliases are written out; Infinity when one contains itself. Each value
 * is looked at once, however many aliases name it, so a document that would grow without bound is measured at once.
 */
export function expandedSize(value: unknown): number {
  const sizes = new Map<object, number>();
  const measure = (part: unknown): number => {
    if (part === null || typeof part !== 'object') return 1;
    const known = sizes.get(part);
    if (known !== undefined) return known;
    // Met again before it is measured: it contains itself.
    sizes.set(part, Infinity);
    const size = Object.values(part).reduce<number>((sum, member) => sum + measure(member), 1);
    sizes.set(part, size);
    return size;
  };
  return measure(value);
}
