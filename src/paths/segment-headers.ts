import type { PacketHeaders } from '../events/packet-headers.js';

/** What the order of TCP's bytes needs to know of a segment. */
export interface Segment {
  seq: number;
  ack: number;
  /** Bytes of data. */
  payload: number;
  flags: number;
  ipId: number;
  sport: number;
  dport: number;
}

const SLOTS = 1 << 13;
const FIELDS = 6;

/**
 * The headers of the parts of packets that were cut up, by the address of the skb that carries each: the packet's own path
 * knows only the latest of them. Of fixed size; a part that lost its place is not found.
 */
export class SegmentHeaders {
  private readonly skbs = new Float64Array(SLOTS);
  private readonly paths = new Float64Array(SLOTS);
  private readonly fields = new Uint32Array(SLOTS * FIELDS);

  /** @param path serial of the path that it belongs to */
  remember(skb: number, path: number, { seq, ack, payload, tcpFlags, ipId, first16, second16 }: PacketHeaders): void {
    const slot = slotOf(skb);
    this.skbs[slot] = skb;
    this.paths[slot] = path;
    const at = slot * FIELDS;
    this.fields[at] = seq;
    this.fields[at + 1] = ack;
    this.fields[at + 2] = payload;
    this.fields[at + 3] = tcpFlags;
    this.fields[at + 4] = ipId;
    this.fields[at + 5] = first16 * 65536 + second16;
  }

  /** Reads them into `segment`. False: they are not known. */
  recall(skb: number, path: number, segment: Segment): boolean {
    const slot = slotOf(skb);
    if (this.skbs[slot] !== skb || this.paths[slot] !== path) return false;
    const at = slot * FIELDS;
    segment.seq = this.fields[at];
    segment.ack = this.fields[at + 1];
    segment.payload = this.fields[at + 2];
    segment.flags = this.fields[at + 3];
    segment.ipId = this.fields[at + 4];
    segment.sport = this.fields[at + 5] >>> 16;
    segment.dport = this.fields[at + 5] & 0xffff;
    return true;
  }
}

/** An skb's address is a multiple of 64 at least. */
function slotOf(skb: number): number {
  return Math.imul((skb / 64) | 0, 0x9e3779b1) >>> 19;
}
