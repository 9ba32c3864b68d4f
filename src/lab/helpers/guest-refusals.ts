import { ETHERNET, checksum, swap } from './frame-bytes.js';

const TCP = 6;
const [SYN, RST, ACK] = [2, 4, 16];
export const TCP_HEADER = 20;

/** ICMP errors, by the words of a fault: type and code of IPv4 (RFC 792, RFC 1812) and of IPv6 (RFC 4443). */
const UNREACHABLE = {
  'port-unreachable': { 4: [3, 3], 6: [1, 4] },
  'host-unreachable': { 4: [3, 1], 6: [1, 3] },
  prohibited: { 4: [3, 13], 6: [1, 1] },
} as const;

export type Unreachable = keyof typeof UNREACHABLE;

/** What an error quotes of the packet that it is about, bytes. */
const QUOTED = 128;
const TTL = 64;

/**
 * The RST that refuses a request for a connection (RFC 9293 section 3.10.7.1), as long as its headers are; undefined when
 * the packet is none. The length that its IP header tells is the caller's affair.
 * @param addresses source and destination of the answer
 */
export function refuseConnection(packet: Buffer, at: number, addresses: Uint8Array): Buffer | undefined {
  if (packet.length < at + TCP_HEADER || (packet[at + 13]! & (SYN | RST | ACK)) !== SYN) return undefined;
  const refusal = Buffer.from(packet.subarray(0, at + TCP_HEADER));
  swap(refusal, at, at + 2, 2);
  refusal.writeUInt32BE((packet.readUInt32BE(at + 4) + 1) >>> 0, at + 8);
  refusal.writeUInt32BE(0, at + 4);
  refusal.set([(TCP_HEADER / 4) << 4, RST | ACK, 0, 0, 0, 0, 0, 0], at + 12);
  refusal.writeUInt16BE(checksum(TCP + TCP_HEADER, addresses, refusal.subarray(at)), at + 16);
  return refusal;
}

/**
 * The ICMP error that a packet gets.
 * @param turned the packet's frame with its addresses exchanged already, as long as it was
 * @param packet the packet as it came, from its IP header on
 */
export function sayUnreachable(turned: Buffer, packet: Buffer, kind: Unreachable): Buffer {
  const family = packet[0]! >> 4 === 6 ? 6 : 4;
  const [type, code] = UNREACHABLE[kind][family];
  const quoted = packet.subarray(0, QUOTED);
  const icmp = Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), quoted]);
  const header = Buffer.from(turned.subarray(ETHERNET, ETHERNET + (family === 6 ? 40 : 20)));
  if (family === 6) {
    header.writeUInt16BE(icmp.length, 4);
    header.set([58, TTL], 6);
    icmp.writeUInt16BE(checksum(58 + icmp.length, header.subarray(8), icmp), 2);
  } else {
    header.set([0x45, 0], 0);
    header.writeUInt16BE(header.length + icmp.length, 2);
    header.set([0, 0, TTL, 1, 0, 0], 6);
    header.writeUInt16BE(checksum(0, header), 10);
    icmp.writeUInt16BE(checksum(0, icmp), 2);
  }
  return Buffer.concat([turned.subarray(0, ETHERNET), header, icmp]);
}
