/** Bytes of an Ethernet header without a VLAN tag. */
export const ETHERNET = 14;

/** A checksum after one 16-bit word has changed (RFC 1624). */
export function adjusted(checksum: number, from: number, to: number): number {
  let sum = (~checksum & 0xffff) + (~from & 0xffff) + to;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** The checksum of pieces of whole 16-bit words (RFC 1071). */
export function onesComplement(start: number, ...pieces: Uint8Array[]): number {
  let sum = start;
  for (const piece of pieces) for (let i = 0; i + 1 < piece.length; i += 2) sum += (piece[i]! << 8) | piece[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
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
