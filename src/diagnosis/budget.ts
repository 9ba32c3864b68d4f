import type { SegmentStats } from '../paths/types.js';

/** Below this many samples a p99 is only the maximum, and one hiccup of a busy host would be an alarm. */
const ENOUGH_FOR_P99 = 100;

/** The latency (ms) that is held against a budget: the p99, or with few samples the p90. */
export function judgedLatency(segment: SegmentStats): number {
  return segment.latency.count >= ENOUGH_FOR_P99 ? segment.latency.p99 : segment.latency.p90;
}

/** Whether a segment takes longer than its scenario allows. */
export function overBudget(segment: SegmentStats): boolean {
  return segment.spec.budgetMs !== undefined && judgedLatency(segment) > segment.spec.budgetMs;
}
