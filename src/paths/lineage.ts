import type { EventCursor } from '../events/cursor.js';
import { KIND } from '../events/layout.js';
import type { FlowTable } from './flow.js';
import type { HopPool } from './hop-pool.js';
import type { PathState } from './path-state.js';
import { AFTER_QUEUE, BESIDE, IN_QUEUE, ROLE } from './steps.js';
import type { Stitcher } from './stitch.js';

/** Finds the packet that an skb came of, where the kernel side did not see it being made, and what its skbs did. */
export class Lineage {
  constructor(
    private readonly cursor: EventCursor,
    private readonly pool: HopPool,
    private readonly flows: FlowTable,
    private readonly stitcher: Stitcher,
    private readonly mostSkbs: number,
  ) {}

  /** The path that the cursor's skb, first seen in the middle of its way, belongs to. */
  parentOf(cursor: EventCursor, role: number, now: number): PathState | undefined {
    if (cursor.kind !== KIND.packet) return undefined;
    const { packet } = cursor;
    const copy = this.stitcher.find(packet, role, cursor.device, now);
    if (copy) return copy;
    const large = this.gsoParent(cursor, role);
    if (large) large.uncut = Math.max(0, large.uncut - packet.payload);
    return large;
  }

  /** Whether an skb took a step of its packet's way. */
  wentOn(path: PathState, skb: number): boolean {
    const { pool } = this;
    const { roles } = this.cursor.probes;
    const low = skb >>> 0;
    for (let hop = path.newest; hop >= 0; hop = pool.before[hop]) {
      const role = roles[pool.probe[hop]];
      if (pool.skb[hop] === low && BESIDE[role] === 0 && role !== ROLE.deliver) return true;
    }
    return false;
  }

  /**
   * A segment that was cut from a larger packet carries a part of its bytes, and is first seen where that one was queued:
   * behind the queue (tbf) or before the driver. The same bytes given to a queue are a retransmission.
   */
  private gsoParent(cursor: EventCursor, role: number): PathState | undefined {
    const { packet } = cursor;
    if (AFTER_QUEUE[role] === 0 || !packet.isTcp || packet.payload === 0) return undefined;
    const entry = this.flows.find(packet, cursor.device);
    const path = entry?.flow.largeWith(packet.seq, entry.reverse);
    return path && path.skbs < this.mostSkbs && this.wasQueuedOn(path, cursor.device.id) ? path : undefined;
  }

  private wasQueuedOn(path: PathState, device: number): boolean {
    const { pool } = this;
    for (let hop = path.newest; hop >= 0; hop = pool.before[hop]) {
      if (pool.device[hop] === device && IN_QUEUE[this.cursor.probes.roles[pool.probe[hop]]] === 1) return true;
    }
    return false;
  }
}
