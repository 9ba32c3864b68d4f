import type { Device } from '../events/interned.js';
import { SUITS } from './realm.js';
import { type PacketHeaders, PROTO } from '../events/packet-headers.js';
import { type Pair, hashWords } from './pair.js';
import type { PathState } from './path-state.js';
import { type PlaceOfFlow, Talk } from './stream-state.js';

/** What makes a packet that a router between two legs of its way has sent on, and nothing else, the same again. */
export interface PacketKey {
  /** TCP: the sequence number after its last byte; ICMP: its sequence number. */
  readonly number: number;
  /** TCP: what it acknowledges. */
  readonly ack: number;
  readonly ipId: number;
  readonly ttl: number;
}

/**
 * Whether a packet is another one sent on by a router that this host does not see into, a guest: that took from its time
 * to live, and a retransmission starts with the whole of it again. A datagram without a number is never known again.
 */
export function isSentOn(packet: PacketKey, earlier: PacketKey): boolean {
  const { number, ack, ipId, ttl } = earlier;
  return (
    packet.ttl < ttl &&
    packet.number === number &&
    packet.ack === ack &&
    packet.ipId === ipId &&
    (ipId !== 0 || number !== 0)
  );
}

/** A packet that waits for its reply. */
export class Request {
  /** `path.serial` tells whether the path still is the one, or has ended and been used again. */
  serial: number;
  readonly pair: Pair;
  readonly reverse: boolean;
  readonly firstTs: number;
  /** Where it was first seen: when the reply is received there, it is back. */
  firstDevice: Device;
  /** When it had reached its consumer, as far as was seen. */
  deliveredTs: number;
  /** When the first leg of its reply began; 0: there is one leg only. */
  answeredTs = 0;
  /** Segments measured on the legs that are over, of the request and of its reply. */
  readonly cells: number[] = [];
  readonly times: number[] = [];

  /** @param path the leg of its way that it is on. */
  constructor(
    public path: PathState,
    pair: Pair,
    public key: PacketKey,
  ) {
    this.serial = path.serial;
    this.pair = pair;
    this.reverse = path.reverse;
    this.firstTs = path.firstTs;
    this.firstDevice = path.firstDevice;
    this.deliveredTs = path.firstTs;
  }

  /** Takes over what was measured on a leg. */
  add(leg: PathState): void {
    for (let i = 0; i < leg.measured; i++) {
      this.cells.push(leg.cells[i]);
      this.times.push(leg.times[i]);
    }
  }
}

/** A packet that was found to be an answer: a router may send it on. */
export interface Answer {
  readonly key: PacketKey;
  readonly path: PathState;
  readonly serial: number;
}

/** One direction of a conversation. */
export class HalfFlow {
  /** TCP: the sequence number after the highest byte sent. */
  nextSeq = 0;
  started = false;
  /** Oldest first. */
  waiting: Request[] = [];
  /** The latest packets of this direction that answered. */
  answers: Answer[] = [];
  /** Where its order is watched, and what is known of it besides. */
  readonly places: PlaceOfFlow[] = [];
  readonly talk = new Talk();
}

/** A conversation: the packets of one pair of ports (or ICMP identifier) in both directions. */
export class Flow {
  readonly halves: [HalfFlow, HalfFlow] = [new HalfFlow(), new HalfFlow()];
  /** Latest GSO packets, oldest first, for the segments that a queue or device cuts them into. */
  private readonly large: { path: PathState; serial: number; seq: number; length: number }[] = [];

  constructor(readonly pair: Pair) {}

  /** Remembers a GSO packet by the bytes that it carries. */
  addLarge(path: PathState, seq: number, length: number): void {
    if (this.large.length >= MAX_LARGE) this.large.shift();
    this.large.push({ path, serial: path.serial, seq, length });
  }

  /** The packet under way that carries a byte, the newest of them (a retransmission, perhaps). */
  largeWith(seq: number, reverse: boolean): PathState | undefined {
    for (let i = this.large.length - 1; i >= 0; i--) {
      const { path, serial, seq: start, length } = this.large[i];
      if (path.serial === serial && path.reverse === reverse && (seq - start) >>> 0 < length) return path;
    }
    return undefined;
  }
}

/** GSO packets of one conversation that may be in queues at a time. */
const MAX_LARGE = 64;

/** What a tuple of addresses and ports belongs to. */
export interface FlowEntry {
  readonly flow: Flow;
  readonly reverse: boolean;
  /** Another tenant's, of the same tuple. */
  readonly next?: FlowEntry;
}

/**
 * Conversations by the addresses and ports of a packet, in its own order. Where NAT rewrites a packet, the tuple that its
 * replies will carry is learned, so that they count for the conversation as its sender knows it. Bounded: the oldest goes.
 */
export class FlowTable {
  private readonly entries = new Map<number, FlowEntry>();
  /** Tuples that made room for others: what comes of these conversations later counts as new ones. */
  forgotten = 0;

  constructor(private readonly limit: number) {}

  /** The conversation that a packet which begins at this device belongs to. */
  find(packet: PacketHeaders, device: Device): FlowEntry | undefined {
    const first = this.entries.get(tupleHash(packet, false));
    if (!first?.next) return first && suits(first, packet, device) > SUITS.not ? first : undefined;
    let best: FlowEntry | undefined;
    let most: number = SUITS.not;
    for (let entry: FlowEntry | undefined = first; entry; entry = entry.next) {
      const fit = suits(entry, packet, device);
      if (fit > most) {
        best = entry;
        most = fit;
      }
    }
    return best;
  }

  /** Where a packet's tuple belongs within a conversation that is known. */
  of(packet: PacketHeaders, flow: Flow): FlowEntry | undefined {
    let entry = this.entries.get(tupleHash(packet, false));
    while (entry && entry.flow !== flow) entry = entry.next;
    return entry;
  }

  /** Learns a packet's tuple and that of its replies. */
  learn(packet: PacketHeaders, flow: Flow, reverse: boolean): void {
    this.put(tupleHash(packet, false), { flow, reverse });
    this.put(tupleHash(packet, true), { flow, reverse: !reverse });
  }

  private put(key: number, entry: FlowEntry): void {
    if (this.entries.size >= this.limit && !this.entries.has(key)) {
      for (const oldest of this.entries.keys()) {
        this.entries.delete(oldest);
        this.forgotten++;
        break;
      }
    }
    this.entries.set(key, { ...entry, ...others(this.entries.get(key), entry.flow.pair) });
  }
}

const suits = ({ flow, reverse }: FlowEntry, packet: PacketHeaders, device: Device): number =>
  flow.pair.realm.suits(packet, device, reverse ? 1 : 0);

/** Tenants that may use the same tuple at the same time. */
const MAX_TENANTS = 8;

/** The entries of other pairs, which stay behind a new one. */
function others(first: FlowEntry | undefined, pair: Pair, room = MAX_TENANTS): { next?: FlowEntry } {
  if (!first || room === 0) return {};
  const { flow, reverse, next } = first;
  const rest = others(next, pair, room - 1);
  return flow.pair === pair ? rest : { next: { flow, reverse, ...rest } };
}

/** 53 bits of addresses, ports and protocol; `reply`: as the packet's reply will carry them. */
export function tupleHash(packet: PacketHeaders, reply: boolean): number {
  const { u32, protocol } = packet;
  const from = reply ? packet.daddrWord : packet.saddrWord;
  const to = reply ? packet.saddrWord : packet.daddrWord;
  const words = packet.addressBytes >>> 2;
  let ports = 0;
  if (packet.hasPorts && !packet.laterFragment) {
    ports = reply ? (packet.second16 << 16) | packet.first16 : (packet.first16 << 16) | packet.second16;
  } else if (packet.isIcmp && isEcho(packet)) ports = packet.first16;
  const a = hashWords(u32, from, words);
  const b = hashWords(u32, to, words);
  const kind = packet.isArp ? 0x806 : protocol;
  const low = Math.imul(a ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(ports ^ kind, 0xc2b2ae35), 0x9e3779b1);
  const high = Math.imul(b ^ Math.imul(a, 0x27d4eb2f) ^ Math.imul(ports, 0x165667b1) ^ (kind << 7), 0x85ebca6b);
  return ((high ^ (high >>> 13)) & 0x1fffff) * 4294967296 + ((low ^ (low >>> 15)) >>> 0);
}

/** ICMP echo request or reply, of either version. */
export function isEcho(packet: PacketHeaders): boolean {
  const { icmpType } = packet;
  return packet.protocol === PROTO.icmp6 ? icmpType === 128 || icmpType === 129 : icmpType === 8 || icmpType === 0;
}
