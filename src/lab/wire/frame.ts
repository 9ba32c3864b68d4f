/** Kinds of TCP segments that a wire can tell apart: bare acknowledgements, SYN with or without ACK; `tcp`: any. */
export const SEGMENT_KINDS = ['data', 'acks', 'opening', 'tcp'] as const;
export type SegmentKind = (typeof SEGMENT_KINDS)[number];

const ETHERNET = 14;
const [FIN, SYN, RST, ACK] = [1, 2, 4, 16];
const TIMESTAMP = { kind: 8, length: 10 };

/** Where the TCP header of an Ethernet frame begins, and how long the payload behind it is; undefined: no TCP. */
export function tcpOf(frame: Buffer): { at: number; payload: number } | undefined {
  if (frame.length < ETHERNET + 40) return undefined;
  const version = frame.readUInt16BE(12);
  let at: number;
  let end: number;
  if (version === 0x0800 && frame[ETHERNET + 9] === 6) {
    at = ETHERNET + (frame[ETHERNET]! & 15) * 4;
    end = ETHERNET + frame.readUInt16BE(ETHERNET + 2);
  } else if (version === 0x86dd && frame[ETHERNET + 6] === 6) {
    at = ETHERNET + 40;
    end = at + frame.readUInt16BE(ETHERNET + 4);
  } else return undefined;
  if (at + 20 > frame.length || end > frame.length) return undefined;
  const payload = end - at - (frame[at + 12]! >> 4) * 4;
  return payload < 0 ? undefined : { at, payload };
}

/** Whether an Ethernet frame is a TCP segment of that kind. */
export function isOfKind(frame: Buffer, kind: SegmentKind): boolean {
  const tcp = tcpOf(frame);
  if (!tcp) return false;
  const flags = frame[tcp.at + 13]!;
  switch (kind) {
    case 'data':
      return tcp.payload > 0;
    case 'acks':
      return tcp.payload === 0 && (flags & (FIN | SYN | RST | ACK)) === ACK;
    case 'opening':
      return (flags & SYN) !== 0;
    case 'tcp':
      return true;
  }
}

/**
 * Sets the TCP timestamp (RFC 7323) of a frame back by `ticks`, as if another clock had written it, and puts the
 * checksum right. A segment without the option stays as it is.
 */
export function setTimestampBack(frame: Buffer, ticks: number): void {
  const tcp = tcpOf(frame);
  if (!tcp) return;
  const end = tcp.at + (frame[tcp.at + 12]! >> 4) * 4;
  for (let at = tcp.at + 20; at + 1 < end; at += frame[at] === 1 ? 1 : Math.max(2, frame[at + 1]!)) {
    if (frame[at] === 0) return;
    if (frame[at] !== TIMESTAMP.kind || frame[at + 1] !== TIMESTAMP.length || at + TIMESTAMP.length > end) continue;
    const value = frame.readUInt32BE(at + 2);
    const earlier = (value - ticks) >>> 0;
    frame.writeUInt32BE(earlier, at + 2);
    // The value may begin at an odd offset: then its bytes count swapped (RFC 1624, RFC 1071 on byte order).
    const odd = ((at + 2 - tcp.at) & 1) === 1;
    const sum = (word: number): number => (word >>> 16) + (word & 0xffff);
    const difference = (sum(earlier) + 2 * 0xffff - sum(value)) % 0xffff;
    const change = odd ? ((difference & 0xff) << 8) | (difference >>> 8) : difference;
    const checksum = (frame.readUInt16BE(tcp.at + 16) + 0xffff - change) % 0xffff;
    frame.writeUInt16BE(checksum, tcp.at + 16);
    return;
  }
}
