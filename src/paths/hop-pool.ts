import type { EventCursor } from '../events/cursor.js';
import type { Batch } from '../capture/types.js';

/** Bytes of a frame's header before its record (src/capture/types.ts, Batch). */
const FRAME = 8;

/**
 * The events of the packets under way: a pool of fixed size, each event with its record's bytes (framed, so that a
 * cursor can read them again) and the few numbers that segments are searched by. A path is a list through it, newest
 * event first.
 */
export class HopPool {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly ts: Float64Array;
  readonly probe: Uint16Array;
  readonly device: Uint16Array;
  /** Low half of the skb's address: which of a packet's clones it was. */
  readonly skb: Uint32Array;
  /** The event before it on its path, or -1. */
  readonly before: Int32Array;
  private readonly stride: number;
  private readonly nextFree: Int32Array;
  private firstFree = 0;
  private skbWord: number;

  constructor(
    readonly size: number,
    cursor: EventCursor,
  ) {
    const longest = cursor.layout.sizes.slice(1).reduce((most, one) => Math.max(most, one), 0);
    this.stride = ((longest + 7) & ~7) + FRAME;
    const bytes = new ArrayBuffer(size * this.stride);
    this.u8 = new Uint8Array(bytes);
    this.u32 = new Uint32Array(bytes);
    this.ts = new Float64Array(size);
    this.probe = new Uint16Array(size);
    this.device = new Uint16Array(size);
    this.skb = new Uint32Array(size);
    this.before = new Int32Array(size);
    this.nextFree = Int32Array.from({ length: size }, (_, i) => (i + 1 < size ? i + 1 : -1));
    this.skbWord = cursor.layout.hop.skb >>> 2;
  }

  get full(): boolean {
    return this.firstFree < 0;
  }

  /** Keeps the cursor's event as the newest of a path. There must be room. */
  add(cursor: EventCursor, ts: number, device: number, before: number): number {
    const hop = this.firstFree;
    this.firstFree = this.nextFree[hop];
    this.ts[hop] = ts;
    this.probe[hop] = cursor.probe;
    this.device[hop] = device;
    this.before[hop] = before;
    const length = Math.min(cursor.length, this.stride - FRAME);
    const from = cursor.at >>> 2;
    const to = (hop * this.stride) >>> 2;
    const words = (length + 3) >>> 2;
    const { u32 } = this;
    const source = cursor.u32;
    u32[to] = length;
    for (let i = 0; i < words; i++) u32[to + 2 + i] = source[from + i];
    this.skb[hop] = source[from + this.skbWord];
    return hop;
  }

  /** Byte offset of an event's record. */
  recordAt(hop: number): number {
    return hop * this.stride + FRAME;
  }

  /** Gives a whole list back. */
  release(newest: number): void {
    for (let hop = newest; hop >= 0;) {
      const before = this.before[hop];
      this.nextFree[hop] = this.firstFree;
      this.firstFree = hop;
      hop = before;
    }
  }

  /** A list's events, oldest first, as a batch of its own. */
  copy(newest: number): Batch {
    const hops: number[] = [];
    for (let hop = newest; hop >= 0; hop = this.before[hop]) hops.push(hop);
    hops.reverse();
    const steps = hops.map((hop) => (this.u32[(hop * this.stride) >>> 2] + FRAME + 7) & ~7);
    const u8 = new Uint8Array(steps.reduce((sum, step) => sum + step, 0));
    let at = 0;
    hops.forEach((hop, i) => {
      const start = hop * this.stride;
      u8.set(this.u8.subarray(start, start + steps[i]), at);
      at += steps[i];
    });
    return { u8, u32: new Uint32Array(u8.buffer), start: 0, end: at };
  }
}
