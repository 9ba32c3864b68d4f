import type { EventCursor } from '../events/cursor.js';
import { TCP } from '../events/packet-headers.js';
import { KIND } from '../events/layout.js';
import type { HalfFlow } from './flow.js';
import type { PathState } from './path-state.js';
import { type Segment, SegmentHeaders } from './segment-headers.js';
import { PlaceOfFlow, type PlaceStats, PairStream } from './stream-state.js';

/** Points at which the order of TCP's bytes is watched: where a packet enters a stack, and where it leaves by a driver. */
const WATCHED: Record<string, 1 | 2> = { netif_receive_skb: 1, net_dev_start_xmit: 2 };

/** Places of conversations that are followed at one time; beyond, the oldest conversation is no more followed. */
const MAX_PLACES = 16384;
/** Places of one direction of a pair. */
const MAX_PLACES_OF_PAIR = 12;
/** Conversations of a pair of which the ports are kept. */
const MAX_PORTS = 64;
/** Where nothing tells how long a retransmission would take, what comes out of order later than this (ns) is one. */
const OUT_OF_ORDER_NS = 3e6;
/** Writes below this size (bytes) are small: they would fit into one segment with others. */
const SMALL = 1000;
/** An acknowledgement that comes so late (ns) was delayed: Linux waits 40 to 200 ms (TCP_DELACK_MIN, TCP_DELACK_MAX). */
const DELAYED_ACK_NS = { least: 20e6, most: 300e6 };
/** What is sent within so long (ns) of an acknowledgement had waited for it. */
const AT_ONCE_NS = 2e6;
/** An acknowledgement is given at least so long (ns) to arrive before it is taken for lost. */
const ARRIVES_NS = 5e6;

/**
 * Watches the sequence numbers of TCP at every place that a packet passes, and counts what went wrong between one place
 * and the next: segments that are missing and come again, that come out of order, or twice; retransmissions, and whether
 * what they repeat had been acknowledged; requests without an answer; data that waits for a delayed acknowledgement.
 * Bounded: the counts belong to the pair, what is kept of a conversation is small, and the oldest one's goes.
 */
export class StreamMeter {
  private readonly watched: Uint8Array;
  private readonly followed = new Set<HalfFlow>();
  private places = 0;
  /** Conversations that are no more followed, each way counted. */
  forgotten = 0;

  private readonly parts = new SegmentHeaders();
  /** The one at hand. */
  private readonly segment: Segment = { seq: 0, ack: 0, payload: 0, flags: 0, ipId: 0, sport: 0, dport: 0 };

  constructor(cursor: EventCursor) {
    this.watched = Uint8Array.from(cursor.probes.points, ({ name }) => WATCHED[name] ?? 0);
  }

  /** Whether an event of this probe concerns it. */
  watches(probe: number): boolean {
    return this.watched[probe] !== 0;
  }

  /** A part of a packet that was cut up shows its headers, at whatever probe. */
  part(path: PathState, { skb, packet }: EventCursor): void {
    path.inParts = true;
    this.parts.remember(skb, path.serial, packet);
  }

  /** Takes in an event at a watched probe; the cursor's packet shows the headers of the path. */
  event(path: PathState, cursor: EventCursor): void {
    const { flow, pair, reverse } = path;
    const { packet, ts, device } = cursor;
    if (!flow || !pair || !packet.isTcp || packet.laterFragment || device.id === 0) return;
    if (!this.read(path, cursor)) return;
    const { segment } = this;
    const own = flow.halves[reverse ? 1 : 0];
    const other = flow.halves[reverse ? 0 : 1];
    const stream = ((pair.streams ??= [undefined, undefined])[reverse ? 1 : 0] ??= new PairStream());
    const place = this.placeOf(
      own,
      stream,
      device.id * 2 + (this.watched[cursor.probe] - 1),
      segment.sport * 65536 + segment.dport,
      ts,
    );
    if (!place) return;
    const first = !path.watched;
    path.watched = true;
    const { flags } = segment;
    if ((flags & TCP.syn) !== 0) {
      place.opened(segment.seq, ts, (flags & TCP.ack) !== 0, segment.sport, segment.dport);
      own.talk.turnNs = 0;
      own.talk.openedTs = ts;
    } else if (own.talk.turnNs === 0 && other.talk.openedTs > 0) {
      own.talk.turnNs = Math.max(1, ts - other.talk.openedTs);
    }
    if ((flags & TCP.ack) !== 0) {
      place.acknowledges(segment.ack, ts);
      if (segment.payload === 0 && (flags & (TCP.syn | TCP.fin | TCP.rst)) === 0) {
        place.stats.acks++;
        this.delayed(other, segment.ack, ts, first);
      }
    }
    if (segment.payload > 0) {
      if (first) this.waited(own, other, segment, ts, place.stats);
      this.data(place, own, other, segment, ts);
    }
  }

  /** Reads the segment's own headers: of the parts of a packet that was cut up each has others. */
  private read(path: PathState, { kind, skb, packet }: EventCursor): boolean {
    const { segment } = this;
    if (kind !== KIND.packet && path.inParts) return this.parts.recall(skb, path.serial, segment);
    segment.seq = packet.seq;
    segment.ack = packet.ack;
    segment.payload = packet.payload;
    segment.flags = packet.tcpFlags;
    segment.ipId = packet.ipId;
    segment.sport = packet.sport;
    segment.dport = packet.dport;
    return true;
  }

  private placeOf(own: HalfFlow, stream: PairStream, key: number, ports: number, ts: number): PlaceOfFlow | undefined {
    const { places } = own;
    for (let i = 0; i < places.length; i++) if (places[i].key === key) return places[i];
    const stats = stream.place(key, MAX_PLACES_OF_PAIR, ts);
    if (!stats) return undefined;
    if (places.length === 0 && stream.ports.size < MAX_PORTS) stream.ports.add(ports);
    if (this.places >= MAX_PLACES) this.forgetOldest();
    this.places++;
    this.followed.add(own);
    const place = new PlaceOfFlow(key, stats);
    places.push(place);
    return place;
  }

  private forgetOldest(): void {
    for (const half of this.followed) {
      this.places -= half.places.length;
      half.places.length = 0;
      this.followed.delete(half);
      this.forgotten++;
      return;
    }
  }

  private data(place: PlaceOfFlow, own: HalfFlow, other: HalfFlow, packet: Segment, ts: number): void {
    const { seq, payload, ipId } = packet;
    const end = (seq + payload) >>> 0;
    const { stats } = place;
    // A keep-alive repeats the last byte (tcp_xmit_probe_skb).
    if (place.started && payload === 1 && end === place.next) return;
    stats.segments++;
    stats.bytes += payload;
    if (!place.started || seq === place.next) {
      place.started = true;
      place.next = end;
    } else if (after(seq, place.next)) {
      place.gap(seq, ts, ipId);
      place.next = end;
    } else {
      this.old(place, own, other, packet, ts);
      if (after(end, place.next)) place.next = end;
    }
    place.remember(seq, ipId, ts);
  }

  /** Bytes below the highest one seen here: what was missing, or what was here before. */
  private old(place: PlaceOfFlow, own: HalfFlow, other: HalfFlow, packet: Segment, ts: number): void {
    const { seq, payload, ipId, sport, dport } = packet;
    const { stats } = place;
    const soon = own.talk.turnNs > 0 ? own.talk.turnNs * 0.9 : OUT_OF_ORDER_NS;
    const missing = place.fill(seq, payload);
    const repeated = own.talk.wasRepeated(seq);
    if (missing) {
      const original = missing.ipId !== 0 && ipId !== 0 ? before16(ipId, missing.ipId) : ts - missing.ts < soon;
      if (original && !repeated) {
        stats.reordered++;
        stats.longestReorderNs = Math.max(stats.longestReorderNs, ts - missing.ts);
      } else stats.lost++;
      stats.suffers(sport, dport);
      return;
    }
    const same = place.recall(seq);
    if (same && !repeated && (same.ipId !== 0 && ipId !== 0 ? same.ipId === ipId : ts - same.ts < soon)) {
      stats.duplicates++;
      stats.duplicateBytes += payload;
      stats.suffers(sport, dport);
      return;
    }
    own.talk.repeats(seq);
    stats.again++;
    stats.suffers(sport, dport);
    place.repeated(seq, ts);
    const end = (seq + payload) >>> 0;
    let acknowledged = false;
    for (const { acked, maxAck, maxAckTs, stats: there } of other.places) {
      if (!acked || after(end, maxAck)) continue;
      acknowledged = true;
      // Once for each retransmission, not at each place that it passes.
      if (place === own.places[0] && ts - maxAckTs > Math.max(ARRIVES_NS, 2 * own.talk.turnNs)) there.repeatedAfter++;
    }
    if (acknowledged) stats.needless++;
  }

  /** Data that its sender held back until everything before it was acknowledged (Nagle), which the peer delayed. */
  private waited(own: HalfFlow, other: HalfFlow, packet: Segment, ts: number, stats: PlaceStats): void {
    const { talk } = own;
    const end = (packet.seq + packet.payload) >>> 0;
    if (talk.sentEnd === end && !talk.answered) return;
    if (packet.payload < SMALL) stats.small++;
    if (talk.ackDelayNs > 0 && packet.seq === talk.sentEnd && ts - talk.ackTs < AT_ONCE_NS) {
      stats.stalls++;
      stats.stallNs += talk.ackDelayNs;
      stats.suffers(packet.sport, packet.dport);
    }
    talk.ackDelayNs = 0;
    talk.sentTs = ts;
    talk.sentEnd = end;
    talk.small = packet.payload < SMALL;
    talk.answered = false;
    other.talk.answered = true;
    other.talk.ackDelayNs = 0;
  }

  /** A bare acknowledgement of all that the other end has sent, which is little. */
  private delayed(asked: HalfFlow, ack: number, ts: number, first: boolean): void {
    const { talk } = asked;
    if (ack !== talk.sentEnd || talk.answered || !talk.small) return;
    const took = ts - talk.sentTs;
    if (first && talk.ackDelayNs === 0 && took >= DELAYED_ACK_NS.least && took <= DELAYED_ACK_NS.most)
      talk.ackDelayNs = took;
    talk.ackTs = ts;
  }
}

/** Whether a TCP sequence number comes after another, modulo 2^32. */
const after = (a: number, b: number): boolean => ((a - b) | 0) > 0;

/** Whether an IP identification was given out before another, modulo 2^16. */
const before16 = (a: number, b: number): boolean => ((a - b) & 0x8000) !== 0;
