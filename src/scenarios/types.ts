import type { SegmentSpec } from '../paths/types.js';
import type { ProbeGroup, ProbeSet } from '../probes/types.js';

/** A named question: `rules/scenarios/*.yaml`. */
export interface Scenario {
  id: string;
  title: string;
  titleZh: string;
  description: string;
  /** Probe set and groups; `also` are points beside the set, `require` such points without which the question cannot be answered. */
  probes: { set: ProbeSet; groups?: ProbeGroup[]; also?: string[]; require?: string[] };
  defaults: { durationSeconds: number };
  /** Find tap, vnet and veth devices and their consumers before the run. */
  endpoints: 'virtual-machines' | 'any';
  segments: SegmentSpec[];
  /** Match requests and replies, split the round trip. */
  roundTrips: boolean;
  /** Rules: those whose layer or tag is listed; absent: all. */
  rules?: { layers?: string[]; tags?: string[] };
  /**
   * Event rules whose findings are everyday to this question: they count as information, and so does a diagnosis that
   * rests on them alone. (A refused connection is no lost packet.)
   */
  ordinary: string[];
  /** Diagnoses asked, by id; absent: all. */
  diagnoses?: string[];
  /** Evidence to snapshot before the traffic (collector names). */
  before: string[];
  examples: string[];
  file: string;
}
