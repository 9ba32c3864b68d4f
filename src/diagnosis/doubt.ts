import type { Analysis } from '../analysis/types.js';
import { count } from '../base/units.js';
import type { LatencyStats, PairStats, SegmentStats } from '../paths/types.js';
import { pairData, segmentData, type Subject } from './subjects.js';
import { streamAtWorst } from './stream-subjects.js';
import { isUnanswered } from './unheard.js';
import type { EvidenceLine } from './types.js';

/**
 * What the analysis would be had every lost event spoken against a suspicion. A suspicion that still holds in it rests
 * on what was seen; one that does not rests on something not having been seen, and is at most likely.
 *
 * A lost event can make one packet seem not to have left a segment, one latency seem longer (the packet's next event
 * that fits is taken for the one that was lost), and hide one round trip, one answer, one thing that a rule looks for.
 * @param lost events that may have been lost so (forgeable() of src/capture/loss.ts), more than 0
 */
export function atWorst(analysis: Analysis, lost: number): Analysis {
  return { ...analysis, pairs: analysis.pairs.map((pair) => pairAtWorst(pair, lost)) };
}

/** The same for one pair. */
export function pairAtWorst(pair: PairStats, lost: number): PairStats {
  const { forward, reverse } = pair.packets;
  // Round trips that nobody saw, but no more than there were packets to begin them.
  const unseen = Math.min(lost, Math.max(forward, reverse));
  const seenMostly = forward + reverse > 2 * lost;
  return {
    ...pair,
    packets: { forward, reverse: reverse === 0 && !seenMostly ? unseen : reverse },
    roundTrips: pair.roundTrips.count === 0 && !seenMostly ? { ...pair.roundTrips, count: unseen } : pair.roundTrips,
    segments: pair.segments.map((segment) => segmentAtWorst(segment, lost)),
  };
}

function segmentAtWorst(segment: SegmentStats, lost: number): SegmentStats {
  return {
    ...segment,
    lost: Math.max(segment.dropped ?? 0, segment.lost - lost),
    latency: withoutLongest(segment.latency, lost),
  };
}

/** Below this share of the samples, what is left out moves a quantile by less than it is exact to. */
const NEGLIGIBLE = 0.001;

/**
 * A distribution without its longest samples, as far as its quantiles tell: each becomes the next one below that is
 * certain not to have been one of those.
 */
export function withoutLongest(latency: LatencyStats, samples: number): LatencyStats {
  const { count: all, p50, p90, p99, p999, max } = latency;
  if (samples <= 0 || all === 0) return latency;
  const share = samples / all;
  if (share >= 1) return { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, mean: 0 };
  // The quantile q of what stays is the quantile q (1 - share) of the whole.
  const known: [number, number][] = [
    ...([
      [0.999, p999],
      [0.99, p99],
      [0.9, p90],
      [0.5, p50],
      [0, 0],
    ] as [number, number][]),
  ];
  const at = (q: number): number => known.find(([of]) => of <= q * (1 - share) + NEGLIGIBLE)?.[1] ?? 0;
  return {
    ...latency,
    count: all - samples,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    p999: at(0.999),
    max: Math.min(max, at(1)),
  };
}

/** A suspect as it would be at worst; undefined when there would be nothing to suspect. */
export function subjectAtWorst(subject: Subject, lost: number): Subject | undefined {
  const { data } = subject;
  if (!subject.pair) return subject;
  const pair = pairAtWorst(subject.pair, lost);
  if (subject.stream) return { ...subject, pair, data: streamAtWorst(data, lost) };
  if (!subject.segment) {
    // An unanswered pair: its count is of the packets that nobody answered.
    const unanswered = subject.pair.packets.reverse === 0 && typeof data.count === 'number';
    if (unanswered && !isUnanswered(Number(data.count) - lost)) return undefined;
    return { ...subject, pair, data: { ...data, ...('roundTrips' in data && pairData(pair)) } };
  }
  const segment = pair.segments[subject.pair.segments.indexOf(subject.segment)]!;
  const all = Math.max(0, Number(data.lostAllPairs ?? 0) - lost);
  return { ...subject, pair, segment, data: { ...data, ...segmentData(segment, pair), lostAllPairs: all } };
}

/** The line of proof that says so. */
export function doubtLine(lost: number): EvidenceLine {
  return {
    text: `not certain: ${count(lost)} events were lost on their way to vdiag, and it may only seem so for want of them`,
    textZh: `不能确定：有 ${count(lost)} 个事件在到达 vdiag 之前丢失，这可能只是因为缺少它们才显得如此`,
    source: '',
    says: 'unknown',
  };
}
