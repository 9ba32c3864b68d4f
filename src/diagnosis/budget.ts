import type { SegmentStats } from '../paths/types.js';

/** Below this many samples a p99 is the two or three longest, and one hiccup of a busy host would be an alarm. */
const ENOUGH_FOR_P99 = 300;

/** Which quantile of a segment is held against its budget: the scenario's, or the p99, or with few samples the p90. */
export function judgedQuantile({ spec, latency }: SegmentStats): 'p50' | 'p90' | 'p99' {
  const wanted = spec.budgetAt ?? 'p99';
  return wanted === 'p99' && latency.count < ENOUGH_FOR_P99 ? 'p90' : wanted;
}

/** The latency (ms) that is held against a budget. */
export function judgedLatency(segment: SegmentStats): number {
  return segment.latency[judgedQuantile(segment)];
}

/** Whether a segment takes longer than its scenario allows. */
export function overBudget(segment: SegmentStats): boolean {
  return segment.spec.budgetMs !== undefined && judgedLatency(segment) > segment.spec.budgetMs;
}
