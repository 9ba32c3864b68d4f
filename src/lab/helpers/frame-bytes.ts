import { invert, sumOfWords } from '../traffic/checksum.js';

/** Bytes of an Ethernet header without a VLAN tag. */
export const ETHERNET = 14;

/** A checksum after one 16-bit word has changed (RFC 1624). */
export function adjusted(sum: number, from: number, to: number): number {
  return checksum((~sum & 0xffff) + (~from & 0xffff) + to, new Uint8Array());
}

/** The checksum of pieces, all but the last of whole 16-bit words. */
export function checksum(start: number, ...pieces: Uint8Array[]): number {
  return invert(pieces.reduce((sum, piece) => sumOfWords(piece, sum), start));
}

/** Answers go back to where a frame came from. */
export function turnEthernet(frame: Buffer, mac: Uint8Array): void {
  frame.copy(frame, 0, 6, 12);
  frame.set(mac, 6);
}

export function swap(packet: Buffer, one: number, two: number, length: number): void {
  const kept = Buffer.from(packet.subarray(one, one + length));
  packet.copy(packet, one, two, two + length);
  kept.copy(packet, two);
}

export function same(packet: Buffer, at: number, bytes: Uint8Array): boolean {
  return packet.subarray(at, at + bytes.length).equals(bytes);
}
