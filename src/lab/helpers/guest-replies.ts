import { adjusted, ETHERNET, checksum, same, swap, turnEthernet } from './frame-bytes.js';
import { refuseConnection, sayUnreachable, TCP_HEADER, type Unreachable } from './guest-refusals.js';

/** Who a guest is: what it answers for. Addresses without prefix length, as bytes. */
export interface GuestIdentity {
  mac: Uint8Array;
  address?: Uint8Array;
  address6?: Uint8Array;
  /** It answers datagrams with this ICMP error instead of sending them back. */
  udp?: Unreachable;
}

const IPV4 = 0x0800;
const ARP = 0x0806;
const IPV6 = 0x86dd;
const [ICMP, TCP, UDP, ICMP6] = [1, 6, 17, 58];

/**
 * What a small machine answers to an Ethernet frame: ARP and neighbour solicitations for its addresses, echo requests,
 * UDP datagrams, which it sends back whatever their port, and requests for TCP connections, which it refuses. Undefined for
 * anything else, and for what is cut short.
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

function replyToIpv4(frame: Buffer, { mac, address, udp }: GuestIdentity): Buffer | undefined {
  const at = ETHERNET;
  if (frame.length < at + 20 || !address || !same(frame, at + 16, address)) return undefined;
  const header = (frame[at]! & 15) * 4;
  const end = at + frame.readUInt16BE(at + 2);
  const fragment = (frame.readUInt16BE(at + 6) & 0x3fff) !== 0;
  if (fragment || end > frame.length || at + header + 8 > end) return undefined;
  const reply = Buffer.from(frame.subarray(0, end));
  turnEthernet(reply, mac);
  swap(reply, at + 12, at + 16, 4);
  if (udp !== undefined && frame[at + 9] === UDP) return sayUnreachable(reply, frame.subarray(at, end), udp);
  if (frame[at + 9] === TCP) {
    const refusal = refuseConnection(reply, at + header, reply.subarray(at + 12, at + 20));
    if (refusal) setIpv4Length(refusal, refusal.length - at);
    return refusal;
  }
  // Only the addresses change places: the header's checksum stays right.
  return turnTransport(reply, frame[at + 9]!, at + header) ? reply : undefined;
}

function replyToIpv6(frame: Buffer, { mac, address6, udp }: GuestIdentity): Buffer | undefined {
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
  if (udp !== undefined && next === UDP) return sayUnreachable(reply, frame.subarray(at, end), udp);
  if (next === TCP) {
    const refusal = refuseConnection(reply, body, reply.subarray(at + 8, at + 40));
    refusal?.writeUInt16BE(TCP_HEADER, at + 4);
    return refusal;
  }
  return turnTransport(reply, next, body) ? reply : undefined;
}

function setIpv4Length(packet: Buffer, length: number): void {
  const at = ETHERNET;
  const was = packet.readUInt16BE(at + 2);
  packet.writeUInt16BE(length, at + 2);
  packet.writeUInt16BE(adjusted(packet.readUInt16BE(at + 10), was, length), at + 10);
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

function sumOfIpv6(packet: Buffer, protocol: number): number {
  const body = packet.subarray(ETHERNET + 40);
  return checksum(protocol + body.length, packet.subarray(ETHERNET + 8, ETHERNET + 40), body);
}
