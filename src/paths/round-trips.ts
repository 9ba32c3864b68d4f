import { type PacketHeaders, PROTO, TCP } from '../events/packet-headers.js';
import { type Flow, type HalfFlow, isEcho, isSentOn, type PacketKey, Request } from './flow.js';
import { END, type PathState } from './path-state.js';
import type { SegmentCell } from './segments.js';

/** More unanswered datagrams than this are a stream, not requests. */
const MAX_DATAGRAMS = 8;
const MAX_SEGMENTS = 16;
const MAX_ECHOES = 16;
/** Answers of one direction that may be on their way through a router. */
const MAX_ANSWERS = 8;
/** An answer that comes later (ns) answers something else. */
const PATIENCE_NS = { datagram: 10e9, other: 60e9 };

/**
 * Finds which packet answers which: ICMP echo by identifier and sequence, TCP by the first acknowledgement that covers
 * the data, UDP by order within a conversation. A packet that a guest routes is on several legs of one way: a round trip
 * goes from the first leg of the request to the last of its answer.
 */
export class RoundTrips {
  count = 0;

  /** Takes in a packet whose whole headers are seen for the first time. */
  enter(path: PathState, packet: PacketHeaders): void {
    const { flow } = path;
    if (!flow || packet.laterFragment) return;
    const key = keyOf(packet);
    if (this.sentOn(path, half(flow, path.reverse), key)) return;
    if (packet.isTcp) this.tcp(path, flow, packet, key);
    else if (packet.isIcmp) this.icmp(path, flow, packet, key);
    else if (packet.protocol === PROTO.udp && packet.version !== 0) this.udp(path, flow, key);
  }

  /** Takes what is known of a request from its path, which is about to go (or has been answered). */
  settle(request: Request): void {
    const { path } = request;
    if (path.serial !== request.serial) return;
    request.deliveredTs = path.progressTs;
    request.add(path);
    path.request = undefined;
  }

  /**
   * The reply's path has ended (or the run has): the round trip is complete if the reply got where it should. What a
   * host's own stack does with it afterwards is no part of the way.
   */
  complete(reply: PathState, cells: readonly SegmentCell[]): void {
    const request = reply.answers;
    if (!request || !(reply.home || (reply.ends & (END.delivered | END.freed | END.merged)) !== 0)) return;
    const trips = request.pair.trips[request.reverse ? 1 : 0];
    const total = Math.max(0, reply.progressTs - request.firstTs);
    trips.total.record(total);
    trips.turnaround.record((request.answeredTs || reply.firstTs) - request.deliveredTs);
    trips.sum += total;
    this.count++;
    const begun = request.reverse ? 1 : 0;
    addTimes(cells, begun, request.cells, request.times, request.cells.length);
    addTimes(cells, begun, reply.cells, reply.times, reply.measured);
  }

  /** Whether the packet is a further leg of one that waits for its answer, or of an answer. */
  private sentOn(path: PathState, own: HalfFlow, key: PacketKey): boolean {
    for (let i = own.waiting.length - 1; i >= 0; i--) {
      const request = own.waiting[i];
      if (!isSentOn(key, request.key)) continue;
      this.settle(request);
      request.path = path;
      request.serial = path.serial;
      request.key = key;
      path.request = request;
      return true;
    }
    for (let i = own.answers.length - 1; i >= 0; i--) {
      const { path: leg, serial, key: earlier } = own.answers[i];
      const request = leg.serial === serial ? leg.answers : undefined;
      if (!request || !isSentOn(key, earlier)) continue;
      request.answeredTs ||= leg.firstTs;
      request.add(leg);
      leg.answers = undefined;
      path.answers = request;
      own.answers[i] = { key, path, serial: path.serial };
      return true;
    }
    return false;
  }

  private icmp(path: PathState, flow: Flow, packet: PacketHeaders, key: PacketKey): void {
    if (!isEcho(packet)) return;
    const { icmpType, second16: sequence } = packet;
    const own = half(flow, path.reverse);
    if (icmpType === 8 || icmpType === 128) {
      this.wait(own, path, key, MAX_ECHOES);
      return;
    }
    const { waiting } = half(flow, !path.reverse);
    // The newest with that number: an older one was lost, and numbers come again.
    for (let i = waiting.length - 1; i >= 0; i--) {
      if (waiting[i].key.number !== sequence) continue;
      this.answer(path, own, key, waiting[i], PATIENCE_NS.other);
      waiting.splice(i, 1);
      return;
    }
  }

  private udp(path: PathState, flow: Flow, key: PacketKey): void {
    const asked = half(flow, !path.reverse);
    const own = half(flow, path.reverse);
    const request =
      asked.waiting.length > 0 && asked.waiting.length < MAX_DATAGRAMS ? asked.waiting.shift() : undefined;
    if (request) {
      this.answer(path, own, key, request, PATIENCE_NS.datagram);
      return;
    }
    asked.waiting.length = 0;
    this.wait(own, path, key, MAX_DATAGRAMS);
  }

  private tcp(path: PathState, flow: Flow, packet: PacketHeaders, key: PacketKey): void {
    const { tcpFlags, seq } = packet;
    const own = half(flow, path.reverse);
    if ((tcpFlags & TCP.ack) !== 0) this.acknowledge(path, own, key, half(flow, !path.reverse));
    const end = key.number;
    if (end === seq || (tcpFlags & TCP.rst) !== 0) return;
    const syn = (tcpFlags & TCP.syn) !== 0;
    if (own.started && (syn ? own.nextSeq === end : after(own.nextSeq, seq))) {
      // Sent again, so an acknowledgement would be for either (Karn); unless a guest between has passed the same packet on.
      if (!own.waiting.some(({ key: other }) => other.number === end && other.ipId === key.ipId && key.ipId !== 0)) {
        own.waiting = own.waiting.filter((request) => !after(request.key.number, seq));
      }
      if (after(end, own.nextSeq)) own.nextSeq = end;
      return;
    }
    // A connection of its own on the same ports.
    if (syn) own.waiting.length = 0;
    own.started = true;
    own.nextSeq = end;
    // With more under way than are followed, the older ones stay: their acknowledgement comes first.
    if (own.waiting.length < MAX_SEGMENTS) this.wait(own, path, key, MAX_SEGMENTS);
  }

  /** Of all that this acknowledges the newest is answered: the older ones it covers waited for that one (delayed ACK). */
  private acknowledge(path: PathState, own: HalfFlow, key: PacketKey, asked: HalfFlow): void {
    let covered = 0;
    while (covered < asked.waiting.length && !after(asked.waiting[covered].key.number, key.ack)) covered++;
    if (covered === 0) return;
    this.answer(path, own, key, asked.waiting[covered - 1], PATIENCE_NS.other);
    asked.waiting.splice(0, covered);
  }

  private wait(own: HalfFlow, path: PathState, key: PacketKey, most: number): void {
    if (!path.pair) return;
    if (own.waiting.length >= most) own.waiting.shift();
    const request = new Request(path, path.pair, key);
    path.request = request;
    own.waiting.push(request);
  }

  private answer(reply: PathState, own: HalfFlow, key: PacketKey, request: Request, patience: number): void {
    this.settle(request);
    if (reply.firstTs < request.firstTs || reply.firstTs - request.firstTs >= patience) return;
    reply.answers = request;
    if (own.answers.length >= MAX_ANSWERS) own.answers.shift();
    own.answers.push({ key, path: reply, serial: reply.serial });
  }
}

/**
 * Adds what a packet spent in each segment to that of the round trips. The parts of one that was cut up, and its clones,
 * pass a segment side by side: the longest of them counts.
 */
function addTimes(
  cells: readonly SegmentCell[],
  begun: 0 | 1,
  indices: readonly number[],
  times: readonly number[],
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const cell = cells[indices[i]];
    if (times[i] > cell.longest) cell.longest = times[i];
  }
  for (let i = 0; i < count; i++) {
    const cell = cells[indices[i]];
    cell.inTrips[begun] += cell.longest;
    cell.longest = 0;
  }
}

function keyOf(packet: PacketHeaders): PacketKey {
  const { ipId, ttl } = packet;
  if (!packet.isTcp) return { number: packet.isIcmp ? packet.second16 : 0, ack: 0, ipId, ttl };
  const length = packet.payload + ((packet.tcpFlags & (TCP.syn | TCP.fin)) !== 0 ? 1 : 0);
  return { number: (packet.seq + length) >>> 0, ack: packet.ack, ipId, ttl };
}

const half = (flow: Flow, reverse: boolean): HalfFlow => flow.halves[reverse ? 1 : 0];

/** Whether a TCP sequence number comes after another, modulo 2^32. */
const after = (a: number, b: number): boolean => ((a - b) | 0) > 0;
