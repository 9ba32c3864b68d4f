import type { SkbEvent } from '../events/types.js';
import type { ProbeRole } from '../probes/types.js';

/** One end of a segment: a point of a path. */
export interface SegmentEnd {
  /** The role of the probe (preferred), or its name. */
  role?: ProbeRole;
  probe?: string;
  /** `same`: the device must be that of the segment's other end; `other`: it must differ; `beside`: differ, in the same network namespace. Absent: any. */
  device?: 'same' | 'other' | 'beside';
  /** `tap`, `veth`, `bridge`, `vxlan`, `physical` …: only devices of this kind (as the host lists them). Absent: any. */
  deviceKind?: string[];
}

/** A stretch of the way that a scenario names: from an event of a path to the next later event that fits. */
export interface SegmentSpec {
  id: string;
  from: SegmentEnd;
  to: SegmentEnd;
  /** Label template: `{{from.device}} in → bridge → {{to.device}} queue`. Consumers: `{{to.comm}}`, `{{to.pid}}`. */
  label: string;
  labelZh: string;
  /** What the time is spent on: `forwarding`, `qdisc`, `driver`, `ring`, `stack`, `socket`, `peer`. Diagnoses ask for it. */
  kind: string;
  /** ms; over it, the segment is suspect. */
  budgetMs?: number;
  /** What is held against the budget; default the p99. */
  budgetAt?: 'p50' | 'p90' | 'p99';
}

/** A latency distribution, ms. */
export interface LatencyStats {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
  mean: number;
}

/** The two ends that talk, in the order in which the first packet went. */
export interface FlowKey {
  src: string;
  dst: string;
  /** `TCP`, `UDP`, `ICMP` …; several joined by `, ` where a pair is shown as one. */
  proto: string;
  sport: number;
  dport: number;
}

/** A pair of addresses, and where on this host each lives. */
export interface PairStats {
  /** Stable for the report: index by volume. */
  id: number;
  a: string;
  b: string;
  /** Device each one's packets first appear on, with its namespace; empty when never seen. */
  aDevice: string;
  aNetns: number;
  bDevice: string;
  bNetns: number;
  packets: { forward: number; reverse: number };
  /** Of these, those that only ask for or tell link addresses (ARP, neighbour discovery). Absent: none. */
  linkPackets?: { forward: number; reverse: number };
  bytes: { forward: number; reverse: number };
  /** Packets that ended in a drop, per direction. */
  drops: { forward: number; reverse: number };
  protocols: string[];
  /** First to last packet, s. */
  seconds: number;
  roundTrips: LatencyStats;
  /** Peer turnaround: from b reading the request to b's answer entering. */
  turnaround: LatencyStats;
  /** Whose turnaround it is: `a` when nearly all round trips are begun by b. Absent: b's. */
  turnaroundOf?: 'a' | 'b';
  /** Also, when the scenario names it, the peer's turnaround once more as a segment of kind `peer`, as the last. */
  segments: SegmentStats[];
  /** How TCP fared, a direction each that had any trouble; absent: none. */
  streams?: StreamStats[];
}

/** A place that packets pass: entering a stack from a device, or leaving by its driver (`out`). */
export interface StreamPlace {
  device: string;
  netns: number;
  out: boolean;
}

/** Between which two devices something happened to TCP's segments, and to how many. */
export interface Where {
  count: number;
  /** Of all that went there. */
  percent: number;
  /** Device that they passed before, and the one behind; empty: beyond what this host sees. */
  after: string;
  before: string;
  netns: number;
  /** It happened beyond this host: behind a tap or a physical device. */
  outside: boolean;
}

/** One direction of TCP between a pair. */
export interface StreamStats {
  direction: 'forward' | 'reverse';
  /** Ports of a conversation that suffered. */
  sport: number;
  dport: number;
  /** Where its packets are first and last seen. */
  first: StreamPlace;
  last: StreamPlace;
  /** Segments with data, and their bytes. */
  segments: number;
  bytes: number;
  /** Retransmissions; those of data whose acknowledgement had been seen. */
  again: number;
  needless: number;
  /** Those of data that had reached the stack of a receiver on this host. */
  arrivedBefore: number;
  /** Most retransmissions of one segment in a row, and the longest wait before one (ms). */
  mostRepeats: number;
  longestWaitMs: number;
  /** Segments that did not arrive; acknowledgements (of the other direction's data) whose loss made it send again. */
  lost: Where;
  acksLost: Where;
  reordered: Where;
  longestReorderMs: number;
  duplicated: Where;
  /** Connections that this direction asked for, and how many of these were answered, as far as was seen. */
  opens: number;
  accepted: number;
  /** Such requests, and answers to such of the other direction, that were lost. */
  openLost: Where;
  openSport: number;
  openDport: number;
  acceptLost: Where;
  /** Small segments; times one waited for a delayed acknowledgement, and how long (ms, mean). */
  small: number;
  stalls: number;
  stallMs: number;
}

export interface SegmentStats {
  spec: SegmentSpec;
  /** `forward`: a → b. */
  direction: 'forward' | 'reverse';
  label: string;
  labelZh: string;
  device: string;
  fromDevice: string;
  netns: number;
  /** Who ended it: the reader of a `ring` or `socket`, or the kernel thread (`softirq`) that took a device's packets in. */
  consumer?: { pid: number; tid: number; softirq?: true };
  latency: LatencyStats;
  /** Packets that entered it, and how many of these did not leave it. */
  entered: number;
  lost: number;
  /** Of the lost ones, those that were seen dropped; the others are stuck, or their end was not seen. */
  dropped?: number;
  /** Share of the round trip, 0..1, by mean; only for pairs with round trips. */
  share: number;
}

/** Time a watched thread waited for a CPU, as the scheduler saw it. */
export interface SchedStats {
  pid: number;
  tid: number;
  comm: string;
  wait: LatencyStats;
}

/** A path as it is shown: its events in order, and what became of it. */
export interface PathView {
  id: number;
  pair: number;
  summary: string;
  /**
   * `freed`, `dropped`, `delivered`, `merged` (GRO made it a part of another packet), `open` (still under way when the run
   * ended), `lost` (its end was not seen).
   */
  end: 'freed' | 'dropped' | 'delivered' | 'merged' | 'open' | 'lost';
  /** Packets that GRO merged into it; absent: none. */
  merged?: number;
  /** ms from first to last event. */
  duration: number;
  events: SkbEvent[];
}
