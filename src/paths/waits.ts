import type { EventCursor } from '../events/cursor.js';
import { roleNumber } from '../events/probe-table.js';
import type { HopPool } from './hop-pool.js';
import { Latency } from './latency.js';
import type { LatencyStats, SchedStats } from './types.js';

const QUEUE = roleNumber('queue');
const ENQUEUE = roleNumber('enqueue');
const DEQUEUE = roleNumber('dequeue');
const TRANSMIT = roleNumber('transmit');
const MAX_DEVICES = 512;
const MAX_THREADS = 256;

/**
 * How long packets wait in the queue of each device: from being given to it (else taken in by its qdisc) to the driver
 * (else to being let go), which also covers packets that an empty qdisc lets pass unqueued.
 */
export class QdiscWaits {
  private readonly byDevice = new Map<number, Latency>();
  /** Waits that were not measured: of devices beyond the limit. */
  leftOut = 0;
  private readonly ends: Uint8Array;
  private readonly starts: Uint8Array;

  constructor(
    private readonly cursor: EventCursor,
    private readonly pool: HopPool,
  ) {
    const roles = [...cursor.probes.roles];
    const has = (role: number): boolean => roles.includes(role);
    const end = has(TRANSMIT) ? TRANSMIT : DEQUEUE;
    const start = has(QUEUE) ? QUEUE : ENQUEUE;
    this.ends = Uint8Array.from(roles, (role) => (role === end ? 1 : 0));
    this.starts = Uint8Array.from(roles, (role) => (role === start ? 1 : 0));
  }

  event(hop: number): void {
    const { pool } = this;
    if (this.ends[pool.probe[hop]] === 0) return;
    const device = pool.device[hop];
    for (let start = pool.before[hop]; start >= 0; start = pool.before[start]) {
      if (pool.device[start] !== device) continue;
      if (this.ends[pool.probe[start]] === 1) return;
      if (this.starts[pool.probe[start]] === 0) continue;
      let latency = this.byDevice.get(device);
      if (!latency) {
        if (this.byDevice.size >= MAX_DEVICES) {
          this.leftOut++;
          return;
        }
        this.byDevice.set(device, (latency = new Latency()));
      }
      latency.record(pool.ts[hop] - pool.ts[start]);
      return;
    }
  }

  /** The longest first. */
  stats(): { device: string; netns: number; latency: LatencyStats }[] {
    return [...this.byDevice]
      .map(([id, latency]) => {
        const { name, netns } = this.cursor.devices.all[id];
        return { device: name, netns, latency: latency.stats() };
      })
      .sort((x, y) => y.latency.p99 - x.latency.p99 || (x.device < y.device ? -1 : 1));
  }
}

/** How long each watched thread waited for a CPU. */
export class SchedWaits {
  private readonly byThread = new Map<number, { pid: number; comm: string; wait: Latency }>();
  /** Waits that were not measured: of threads beyond the limit. */
  leftOut = 0;

  /** Takes in a record of kind sched. */
  event(cursor: EventCursor): void {
    const { tid } = cursor;
    let thread = this.byThread.get(tid);
    if (!thread) {
      if (this.byThread.size >= MAX_THREADS) {
        this.leftOut++;
        return;
      }
      this.byThread.set(tid, (thread = { pid: cursor.pid, comm: cursor.comm, wait: new Latency() }));
    }
    thread.wait.record(cursor.wait);
  }

  /** The longest first. */
  stats(): SchedStats[] {
    return [...this.byThread]
      .map(([tid, { pid, comm, wait }]) => ({ pid, tid, comm, wait: wait.stats() }))
      .sort((x, y) => y.wait.p99 - x.wait.p99 || x.tid - y.tid);
  }

  comm(tid: number): string | undefined {
    return this.byThread.get(tid)?.comm;
  }
}
