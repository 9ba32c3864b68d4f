import type { CaptureLoss } from '../capture/types.js';
import type { LeftOut } from '../paths/summary.js';
import type { LatencyStats, PairStats, PathView, SchedStats } from '../paths/types.js';
import type { FindingGroup } from '../rules/types.js';

/** What the hot path makes of all events of a run: plain data, so that it can cross from the Worker. */
export interface Analysis {
  events: number;
  /** Distinct packet paths. */
  packets: number;
  roundTrips: number;
  /** ns, monotonic, of the first and the last event; 0 without events. */
  firstTs: number;
  lastTs: number;
  /** Busiest pairs first. */
  pairs: PairStats[];
  /** Pairs beyond the limit that were only counted. */
  pairsNotShown: number;
  findings: FindingGroup[];
  /** Events that a rule classified but whose group there was no room for; absent or 0 on all but absurd runs. */
  findingsLeftOut?: number;
  /** Paths worth showing: the slowest and the dropped ones of each pair, and one ordinary one. */
  paths: PathView[];
  sched: SchedStats[];
  /** (netns, ifindex) → name as seen in events. */
  devices: { netns: number; ifindex: number; name: string }[];
  /** Losses that decoding noticed (truncated or unknown records, paths beyond the limit). */
  loss: Partial<CaptureLoss>;
  /** What was seen and is not in here for want of room; absent: nothing. */
  leftOut?: LeftOut;
  /** Wait of every qdisc seen, by device: enqueue → dequeue or queue → transmit. */
  qdiscWait: { device: string; netns: number; latency: LatencyStats }[];
}
