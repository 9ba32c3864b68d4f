import type { Device } from '../events/interned.js';
import type { PacketHeaders } from '../events/packet-headers.js';
import { Latency } from './latency.js';
import { Realm, SUITS } from './realm.js';
import type { SegmentCell } from './segments.js';
import type { SampleSet } from './samples.js';
import type { PairStream } from './stream-state.js';

const MAX_DEVICES_OF_AN_END = 4;

/** Where the packets of one end first appear; the device that most of them do is the end's. */
export class EndDevices {
  private readonly seen: { device: Device; count: number }[] = [];

  add(device: Device): void {
    if (device.ifindex === 0) return;
    for (const one of this.seen) {
      if (one.device === device) {
        one.count++;
        return;
      }
    }
    if (this.seen.length < MAX_DEVICES_OF_AN_END) this.seen.push({ device, count: 1 });
  }

  has(device: Device): boolean {
    return this.seen.some((one) => one.device === device);
  }

  get main(): Device | undefined {
    let main: { device: Device; count: number } | undefined;
    for (const one of this.seen) if (!main || one.count > main.count) main = one;
    return main?.device;
  }
}

/** Round trips begun by one end of a pair. */
export class Trips {
  readonly total = new Latency();
  readonly turnaround = new Latency();
  /** ns in all. */
  sum = 0;
}

/** Two addresses that talk: a sent the first packet, or is the `--src` that was asked for. */
export class Pair {
  readonly aDevices = new EndDevices();
  readonly bDevices = new EndDevices();
  /** [forward, reverse]. */
  readonly packets: [number, number] = [0, 0];
  /** Of these, ARP and neighbour discovery. */
  readonly linkPackets: [number, number] = [0, 0];
  readonly bytes: [number, number] = [0, 0];
  readonly drops: [number, number] = [0, 0];
  readonly trips: [Trips, Trips] = [new Trips(), new Trips()];
  readonly protocols = new Map<string, number>();
  readonly cells: SegmentCell[] = [];
  readonly cellByKey = new Map<number, SegmentCell>();
  readonly realm = new Realm();
  samples: SampleSet | undefined;
  /** TCP's order at the places it passes, [forward, reverse]. */
  streams: [PairStream | undefined, PairStream | undefined] | undefined;
  firstTs = 0;
  lastTs = 0;
  /** Next pair of the same hash. */
  next: Pair | undefined;

  constructor(
    readonly serial: number,
    readonly a: string,
    readonly b: string,
    readonly aWords: Uint32Array,
    readonly bWords: Uint32Array,
    readonly hash: number,
  ) {}

  get total(): number {
    return this.packets[0] + this.packets[1];
  }
}

/** Which of two addresses, and devices, is to be `a`. */
export interface FirstEnd {
  /** Addresses as text. */
  addresses: readonly string[];
  /** Names of devices. */
  devices: readonly string[];
}

/** Idle for so long (ns), a small pair makes room for a new one. */
const IDLE_NS = 1e9;
const SMALL = 16;
const MOST_COUNTED = 65536;

/** The pairs seen, up to a limit; beyond it the smallest idle one goes, and is only counted. */
export class PairTable {
  private readonly byHash = new Map<number, Pair>();
  private readonly pairs = new Set<Pair>();
  private serials = 0;
  /** Hashes of pairs that were not kept, as far as they are counted one by one; how many made room. */
  private readonly missed = new Set<number>();
  private gone = 0;

  constructor(
    private readonly limit: number,
    private readonly first: FirstEnd | undefined,
  ) {}

  /**
   * The pair of the packet's addresses in its realm, made when it is new; undefined without addresses, or beyond the
   * limit. @param device where the packet begins.
   */
  find(packet: PacketHeaders, device: Device, now: number): Pair | undefined {
    const bytes = packet.addressBytes;
    if (bytes === 0) return undefined;
    const { u32, saddrWord: s, daddrWord: d } = packet;
    const words = bytes >>> 2;
    // The same for both directions.
    const hash = (hashWords(u32, s, words) + hashWords(u32, d, words)) | 0;
    let best: Pair | undefined;
    let suits: number = SUITS.not;
    for (let pair = this.byHash.get(hash); pair; pair = pair.next) {
      if (pair.aWords.length !== words) continue;
      const forward = same(pair.aWords, u32, s) && same(pair.bWords, u32, d);
      if (!forward && !(same(pair.aWords, u32, d) && same(pair.bWords, u32, s))) continue;
      const fit = pair.realm.suits(packet, device, forward ? 0 : 1);
      if (fit > suits) {
        best = pair;
        suits = fit;
      }
    }
    if (best) return best;
    if (this.pairs.size >= this.limit && !this.makeRoom(now)) {
      if (this.missed.size < MOST_COUNTED) this.missed.add(hash);
      return undefined;
    }
    return this.add(packet, device, hash, words);
  }

  /** Whether a packet of this pair goes from b to a. */
  isReverse(pair: Pair, packet: PacketHeaders): boolean {
    return !same(pair.aWords, packet.u32, packet.saddrWord);
  }

  /** Pairs beyond the limit (up to some 65,000); one that comes again after it made room is counted again. */
  get notShown(): number {
    return this.missed.size + this.gone;
  }

  all(): Pair[] {
    return [...this.pairs];
  }

  private add(packet: PacketHeaders, device: Device, hash: number, words: number): Pair {
    const { u32, saddrWord: s, daddrWord: d } = packet;
    const source = { text: packet.src, words: u32.slice(s, s + words) };
    const target = { text: packet.dst, words: u32.slice(d, d + words) };
    const [a, b] = this.isFromFirst(source.text, target.text, device) ? [source, target] : [target, source];
    const pair = new Pair(this.serials++, a.text, b.text, a.words, b.words, hash);
    pair.next = this.byHash.get(hash);
    this.byHash.set(hash, pair);
    this.pairs.add(pair);
    return pair;
  }

  private isFromFirst(src: string, dst: string, device: Device): boolean {
    if (!this.first) return true;
    const { addresses, devices } = this.first;
    if (addresses.includes(src)) return true;
    if (addresses.includes(dst)) return false;
    return devices.length === 0 || devices.includes(device.name);
  }

  private makeRoom(now: number): boolean {
    let least: Pair | undefined;
    for (const pair of this.pairs) {
      if (pair.total < SMALL && now - pair.lastTs > IDLE_NS && (!least || pair.total < least.total)) least = pair;
    }
    if (!least) return false;
    this.gone++;
    this.pairs.delete(least);
    const head = this.byHash.get(least.hash);
    if (head === least) {
      if (least.next) this.byHash.set(least.hash, least.next);
      else this.byHash.delete(least.hash);
    } else {
      for (let pair = head; pair; pair = pair.next) if (pair.next === least) pair.next = least.next;
    }
    return true;
  }
}

function same(words: Uint32Array, u32: Uint32Array, at: number): boolean {
  for (let i = 0; i < words.length; i++) if (words[i] !== u32[at + i]) return false;
  return true;
}

/** Spreads words over 32 bits. */
export function hashWords(u32: Uint32Array, at: number, count: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < count; i++) {
    hash = Math.imul(hash ^ u32[at + i], 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}
