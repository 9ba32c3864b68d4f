import type { PathState } from './path-state.js';

/**
 * From the kernel side's number of a packet to its path. Several numbers may lead to one path (clones). An entry whose
 * path has ended and been used again is as good as absent, and swept out when the table fills.
 */
export class PathIndex {
  private capacity: number;
  private keys: Float64Array;
  private serials: Float64Array;
  private paths: (PathState | undefined)[];
  private used = 0;

  constructor(expected: number) {
    this.capacity = 1024;
    while (this.capacity < expected * 2) this.capacity *= 2;
    this.keys = new Float64Array(this.capacity);
    this.serials = new Float64Array(this.capacity);
    this.paths = new Array<PathState | undefined>(this.capacity).fill(undefined);
  }

  /** @param key not 0. */
  find(key: number): PathState | undefined {
    const { keys } = this;
    const mask = this.capacity - 1;
    let at = hash(key) & mask;
    while (keys[at] !== key) {
      if (keys[at] === 0) return undefined;
      at = (at + 1) & mask;
    }
    const path = this.paths[at];
    return path !== undefined && path.serial === this.serials[at] ? path : undefined;
  }

  set(key: number, path: PathState): void {
    if (this.used * 4 >= this.capacity * 3) this.sweep();
    const mask = this.capacity - 1;
    let at = hash(key) & mask;
    while (this.keys[at] !== 0 && this.keys[at] !== key) at = (at + 1) & mask;
    if (this.keys[at] === 0) this.used++;
    this.keys[at] = key;
    this.serials[at] = path.serial;
    this.paths[at] = path;
  }

  /** Drops the entries of ended paths; grows only when the living alone (with many clones) fill the table. */
  private sweep(): void {
    const { keys, serials, paths } = this;
    const living: number[] = [];
    for (let at = 0; at < keys.length; at++) {
      if (keys[at] !== 0 && paths[at]?.serial === serials[at]) living.push(at);
    }
    if (living.length * 2 > this.capacity) this.capacity *= 2;
    this.keys = new Float64Array(this.capacity);
    this.serials = new Float64Array(this.capacity);
    this.paths = new Array<PathState | undefined>(this.capacity).fill(undefined);
    this.used = 0;
    for (const at of living) this.set(keys[at], paths[at]!);
  }
}

/** The kernel side counts in the low bits and has the CPU above bit 40. */
function hash(key: number): number {
  const mixed = Math.imul(key ^ Math.imul(key / 4294967296, 0x85ebca6b), 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

const CARRIERS = 1 << 14;

/** The path that an skb's address carried last, as far as it is remembered: a cache, one entry a place. */
export class Carriers {
  private readonly skbs = new Float64Array(CARRIERS);
  private readonly serials = new Float64Array(CARRIERS);
  private readonly paths = new Array<PathState | undefined>(CARRIERS);

  carry(skb: number, path: PathState): void {
    const at = placeOf(skb);
    this.skbs[at] = skb;
    this.serials[at] = path.serial;
    this.paths[at] = path;
  }

  /** The skb was seen to end: whatever its address carries next is not this packet. */
  ended(skb: number): void {
    const at = placeOf(skb);
    if (this.skbs[at] === skb) this.paths[at] = undefined;
  }

  find(skb: number): PathState | undefined {
    const at = placeOf(skb);
    const path = this.paths[at];
    return path !== undefined && this.skbs[at] === skb && this.serials[at] === path.serial ? path : undefined;
  }
}

/** skbs are 256 bytes apart or more (struct sk_buff, in its slab). */
const placeOf = (skb: number): number => (Math.imul(skb >>> 6, 0x9e3779b1) >>> 18) & (CARRIERS - 1);
