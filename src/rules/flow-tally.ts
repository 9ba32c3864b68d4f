/** Flows remembered at once, per group of findings. */
const MAX_FLOWS = 64;

/**
 * Counts flows in bounded memory (lossy counting): when too many are known, the rarer half is forgotten. Counts are
 * exact up to 64 different flows and lower bounds beyond.
 */
export class FlowTally {
  private readonly counts = new Map<string, number>();

  add(flow: string): void {
    const count = this.counts.get(flow);
    if (count === undefined && this.counts.size >= MAX_FLOWS) this.forgetRarer();
    this.counts.set(flow, (count ?? 0) + 1);
  }

  /** The most frequent ones, most first; equal ones in the order of their text. */
  top(limit: number): { flow: string; count: number }[] {
    return this.sorted()
      .slice(0, limit)
      .map(([flow, count]) => ({ flow, count }));
  }

  private forgetRarer(): void {
    for (const [flow] of this.sorted().slice(MAX_FLOWS / 2)) this.counts.delete(flow);
  }

  private sorted(): [string, number][] {
    return [...this.counts].sort(([x, countX], [y, countY]) => countY - countX || (x < y ? -1 : 1));
  }
}
