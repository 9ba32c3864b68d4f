/** Who a guest is: what it answers for. Addresses without prefix length, as bytes. */
export interface GuestIdentity {
  mac: Uint8Array;
  address?: Uint8Array;
  address6?: Uint8Array;
}

const ETHERNET = 14;
const IPV4 = 0x0800;
const ARP = 0x0806;
const IPV6 = 0x86dd;
const [ICMP, UDP, ICMP6] = [1, 17, 58];

/**
 * What a small machine answers to an Ethernet frame: ARP and neighbour solicitations for its addresses, echo requests,
 * and UDP datagrams, which it sends back whatever their port. Undefined for anything else, and for what is cut short.
 */
export function replyTo(frame: Buffer, self: GuestIdentity): Buffer | undefined {
  if (frame.length < ETHERNET) return undefined;
  const kind = frame.readUInt16BE(12);
  if (kind === ARP) return replyToArp(frame, self);
  if (kind === IPV4) return replyToIpv4(frame, self);
  return kind === IPV6 ? replyToIpv6(frame, self) : undefined;
}

function replyToArp(frame: Buffer, { mac, address }: GuestIdentity): Buffer | undefined {
  if (frame.length < 42 || frame.readUInt16BE(20) !== 1 || !address || !same(frame, 38, address)) return undefined;
  const reply = Buffer.from(frame.subarray(0, 42));
  turnEthernet(reply, mac);
  reply.writeUInt16BE(2, 20);
  // The asked address and our MAC become the sender's, the asker's the target's.
  frame.copy(reply, 32, 22, 32);
  reply.set(mac, 22);
  reply.set(address, 28);
  return reply;
}

function replyToIpv4(frame: Buffer, { mac, address }: GuestIdentity): Buffer | undefined {
  const at = ETHERNET;
  if (frame.length < at + 20 || !address || !same(frame, at + 16, address)) return undefined;
  const header = (frame[at]! & 15) * 4;
  const end = at + frame.readUInt16BE(at + 2);
  const fragment = (frame.readUInt16BE(at + 6) & 0x3fff) !== 0;
  if (fragment || end > frame.length || at + header + 8 > end) return undefined;
  const reply = Buffer.from(frame.subarray(0, end));
  turnEthernet(reply, mac);
  swap(reply, at + 12, at + 16, 4);
  // Only the addresses change places: the header's checksum stays right.
  return turnTransport(reply, frame[at + 9]!, at + header) ? reply : undefined;
}

function replyToIpv6(frame: Buffer, { mac, address6 }: GuestIdentity): Buffer | undefined {
  const at = ETHERNET;
  if (frame.length < at + 48 || !address6) return undefined;
  const end = at + 40 + frame.readUInt16BE(at + 4);
  if (end > frame.length) return undefined;
  const [next, body] = [frame[at + 6]!, at + 40];
  if (next === ICMP6 && frame[body] === 135) return replyToSolicitation(frame, mac, address6);
  if (!same(frame, at + 24, address6)) return undefined;
  const reply = Buffer.from(frame.subarray(0, end));
  turnEthernet(reply, mac);
  swap(reply, at + 8, at + 24, 16);
  return turnTransport(reply, next, body) ? reply : undefined;
}

/** Neighbour solicitation (RFC 4861): the answer carries the target's link-layer address. */
function replyToSolicitation(frame: Buffer, mac: Uint8Array, address6: Uint8Array): Buffer | undefined {
  const body = ETHERNET + 40;
  if (frame.length < body + 24 || !same(frame, body + 8, address6)) return undefined;
  const reply = Buffer.alloc(body + 32);
  frame.copy(reply, 0, 0, body);
  turnEthernet(reply, mac);
  reply.writeUInt16BE(32, ETHERNET + 4);
  reply[ETHERNET + 7] = 255;
  frame.copy(reply, ETHERNET + 24, ETHERNET + 8, ETHERNET + 24);
  reply.set(address6, ETHERNET + 8);
  // Neighbour advertisement, solicited and overriding, with the option "target link-layer address".
  reply.set([136, 0, 0, 0, 0x60, 0, 0, 0], body);
  reply.set(address6, body + 8);
  reply.set([2, 1, ...mac], body + 24);
  reply.writeUInt16BE(sumOfIpv6(reply, ICMP6), body + 2);
  return reply;
}

/** Turns an echo request or a datagram round in its place; false when it is neither. */
function turnTransport(packet: Buffer, protocol: number, at: number): boolean {
  if (protocol === UDP) {
    // The sums of UDP and of the pseudo header do not change with the order of what is added.
    swap(packet, at, at + 2, 2);
    return true;
  }
  const [request, answer] = protocol === ICMP ? [8, 0] : [128, 129];
  if ((protocol !== ICMP && protocol !== ICMP6) || packet[at] !== request) return false;
  packet[at] = answer;
  packet.writeUInt16BE(adjusted(packet.readUInt16BE(at + 2), request << 8, answer << 8), at + 2);
  return true;
}

/** A checksum after one 16-bit word has changed (RFC 1624). */
function adjusted(checksum: number, from: number, to: number): number {
  let sum = (~checksum & 0xffff) + (~from & 0xffff) + to;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function sumOfIpv6(packet: Buffer, protocol: number): number {
  const body = packet.subarray(ETHERNET + 40);
  let sum = protocol + body.length;
  for (let i = ETHERNET + 8; i < ETHERNET + 40; i += 2) sum += packet.readUInt16BE(i);
  for (let i = 0; i + 1 < body.length; i += 2) sum += body.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function turnEthernet(frame: Buffer, mac: Uint8Array): void {
  frame.copy(frame, 0, 6, 12);
  frame.set(mac, 6);
}

function swap(packet: Buffer, one: number, two: number, length: number): void {
  const kept = Buffer.from(packet.subarray(one, one + length));
  packet.copy(packet, one, two, two + length);
  kept.copy(packet, two);
}

function same(packet: Buffer, at: number, bytes: Uint8Array): boolean {
  return packet.subarray(at, at + bytes.length).equals(bytes);
}
