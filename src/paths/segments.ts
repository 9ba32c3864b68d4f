import type { EventCursor } from '../events/cursor.js';
import { roleNumber } from '../events/probe-table.js';
import type { HopPool } from './hop-pool.js';
import type { HostDevices } from './host-devices.js';
import { Latency } from './latency.js';
import type { Pair } from './pair.js';
import type { PathState } from './path-state.js';
import type { SegmentEnd, SegmentSpec } from './types.js';

/** One segment of one pair in one direction between two devices: what was measured. */
export interface SegmentCell {
  index: number;
  spec: number;
  reverse: boolean;
  /** Numbers of devices; `to` is 0 where none left it. */
  from: number;
  to: number;
  latency: Latency;
  /** Least ns from a packet's first event to where this began: its place on the way. */
  offset: number;
  /** ns spent in it by packets of complete round trips, by who began them: [a, b]. */
  inTrips: [number, number];
  /** Work space of {@link RoundTrips}: the longest time (ns) of one packet. */
  longest: number;
  /** Packets that entered it and did not leave it; how many of these were seen dropped. */
  lost: number;
  dropped: number;
  /** Who ended it, by the thread that did so most (Boyer and Moore's vote). */
  pid: number;
  tid: number;
  votes: number;
}

interface CompiledSpec {
  from: Uint8Array;
  to: Uint8Array;
  relation: 'any' | 'same' | 'other' | 'beside';
  fromKinds: KindFilter;
  toKinds: KindFilter;
}

const MAX_SPECS = 64;
const MAX_CELLS_OF_PAIR = 256;
const DEVICE_BITS = 4096;

/** Whether a device is of the kinds that an end asks for: found out once for each device. */
class KindFilter {
  /** By number of device; 0: not asked yet, 1: yes, 2: no. */
  private readonly answers: Uint8Array;

  constructor(
    private readonly kinds: readonly string[] | undefined,
    private readonly cursor: EventCursor,
    private readonly devices: HostDevices,
  ) {
    this.answers = new Uint8Array(DEVICE_BITS).fill(kinds ? 0 : 1);
  }

  has(device: number): boolean {
    if (this.answers[device] === 0) {
      const kind = this.devices.kind(this.cursor.devices.all[device]);
      this.answers[device] = kind !== undefined && this.kinds?.includes(kind) ? 1 : 2;
    }
    return this.answers[device] === 1;
  }
}

/**
 * Measures the scenario's segments on each path: from an event to the next later one that fits. On every event only
 * the specs that it may end are looked at, and the path is searched backwards for where they began.
 */
export class SegmentMeter {
  private readonly specs: CompiledSpec[];
  /** Specs that an event of a probe may end. */
  private readonly endedBy: number[][];

  constructor(
    private readonly segments: readonly SegmentSpec[],
    private readonly cursor: EventCursor,
    private readonly pool: HopPool,
    devices: HostDevices,
  ) {
    const compile = (spec: SegmentSpec): CompiledSpec => ({
      from: this.probesOf(spec.from),
      to: this.probesOf(spec.to),
      relation: spec.to.device ?? spec.from.device ?? 'any',
      fromKinds: new KindFilter(spec.from.deviceKind, cursor, devices),
      toKinds: new KindFilter(spec.to.deviceKind, cursor, devices),
    });
    this.specs = segments
      .slice(0, MAX_SPECS)
      .filter((spec) => spec.kind !== 'peer')
      .map(compile);
    this.segments = segments.slice(0, MAX_SPECS).filter((spec) => spec.kind !== 'peer');
    this.endedBy = Array.from({ length: cursor.probes.size }, (_, probe) =>
      this.specs.flatMap((spec, i) => (spec.to[probe] === 1 ? [i] : [])),
    );
  }

  spec(cell: SegmentCell): SegmentSpec {
    return this.segments[cell.spec];
  }

  /** Measures what the path's newest event ends. `pid`/`tid`: of the thread on the CPU. */
  event(path: PathState, hop: number, pid: number, tid: number): void {
    const candidates = this.endedBy[this.pool.probe[hop]];
    if (candidates.length === 0 || !path.pair) return;
    for (const number of candidates) {
      const start = this.startOf(this.specs[number], hop);
      if (start < 0) continue;
      const cell = this.cell(path.pair, number, path.reverse, this.pool.device[start], this.pool.device[hop]);
      if (!cell) continue;
      const ns = Math.max(0, this.pool.ts[hop] - this.pool.ts[start]);
      cell.latency.record(ns);
      cell.offset = Math.min(cell.offset, this.pool.ts[start] - path.firstTs);
      path.measure(cell.index, ns);
      if (cell.votes === 0) [cell.pid, cell.tid] = [pid, tid];
      cell.votes += cell.tid === tid ? 1 : -1;
    }
  }

  /**
   * The path ended without getting through: in which segments it was then. These are the ones that it had entered last
   * and not left.
   */
  lost(path: PathState, dropped: boolean): void {
    const { pair } = path;
    if (!pair) return;
    this.specs.forEach((spec, number) => {
      for (let hop = path.newest; hop >= 0; hop = this.pool.before[hop]) {
        const probe = this.pool.probe[hop];
        if (spec.to[probe] === 1 && this.startOf(spec, hop) >= 0) return;
        if (spec.from[probe] === 0 || !spec.fromKinds.has(this.pool.device[hop])) continue;
        const cell = this.cellThatLost(pair, number, path.reverse, this.pool.device[hop], spec);
        if (cell) {
          cell.lost++;
          if (dropped) cell.dropped++;
        }
        return;
      }
    });
  }

  /** Where the segment began that this event ends, or -1. */
  private startOf(spec: CompiledSpec, end: number): number {
    const { pool } = this;
    const device = pool.device[end];
    if (!spec.toKinds.has(device)) return -1;
    for (let hop = pool.before[end]; hop >= 0; hop = pool.before[hop]) {
      const probe = pool.probe[hop];
      const there = pool.device[hop];
      if (spec.from[probe] === 1 && this.related(spec, there, device) && spec.fromKinds.has(there))
        return device === 0 && this.hasEnded(spec, hop, end) ? -1 : hop;
      // The same skb has ended such a segment before: what lies further back is used up.
      if (spec.to[probe] !== 1 || pool.skb[hop] !== pool.skb[end] || !spec.toKinds.has(there)) continue;
      if (spec.relation !== 'same' || there === device) return -1;
    }
    return -1;
  }

  /** Whether an event between two others has ended what began with the first: a reader of that very device. */
  private hasEnded(spec: CompiledSpec, start: number, end: number): boolean {
    const { pool } = this;
    for (let hop = pool.before[end]; hop !== start; hop = pool.before[hop]) {
      if (spec.to[pool.probe[hop]] === 1 && pool.device[hop] === pool.device[start]) return true;
    }
    return false;
  }

  private related(spec: CompiledSpec, from: number, to: number): boolean {
    if (spec.relation === 'any') return true;
    if (spec.relation === 'other') return from !== to;
    if (spec.relation === 'beside') {
      const { all } = this.cursor.devices;
      return from !== to && all[from]?.netns === all[to]?.netns;
    }
    // A packet that a socket's reader takes has no device any more.
    return from === to || to === 0;
  }

  private cell(pair: Pair, spec: number, reverse: boolean, from: number, to: number): SegmentCell | undefined {
    const key = ((spec * 2 + (reverse ? 1 : 0)) * DEVICE_BITS + from) * DEVICE_BITS + to;
    let cell = pair.cellByKey.get(key);
    if (!cell && pair.cells.length < MAX_CELLS_OF_PAIR) {
      cell = {
        ...{ index: pair.cells.length, spec, reverse, from, to, latency: new Latency(), offset: Infinity },
        ...{ inTrips: [0, 0], longest: 0 },
        ...{ lost: 0, dropped: 0, pid: 0, tid: 0, votes: 0 },
      };
      pair.cells.push(cell);
      pair.cellByKey.set(key, cell);
    }
    return cell;
  }

  /** The cell through which most of the pair's packets leave; one without an end when none ever left. */
  private cellThatLost(
    pair: Pair,
    spec: number,
    reverse: boolean,
    from: number,
    { relation }: CompiledSpec,
  ): SegmentCell | undefined {
    let best: SegmentCell | undefined;
    for (const cell of pair.cells) {
      if (cell.spec !== spec || cell.reverse !== reverse || cell.from !== from || cell.to === 0) continue;
      if (!best || cell.latency.count > best.latency.count) best = cell;
    }
    return best ?? this.cell(pair, spec, reverse, from, relation === 'same' ? from : 0);
  }

  /** Which probes fit an end: by name, else by role; 1 for each that does. */
  private probesOf(end: SegmentEnd): Uint8Array {
    const { probes } = this.cursor;
    const role = end.role === undefined ? -1 : roleNumber(end.role);
    return Uint8Array.from(probes.points, (point, i) =>
      (end.probe !== undefined ? point.name === end.probe : probes.roles[i] === role) ? 1 : 0,
    );
  }
}
