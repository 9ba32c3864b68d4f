import ipaddr from 'ipaddr.js';
import { invert, sumOfWords } from './checksum.js';
import type { ChecksumKind, FrameDefaults, FrameSpec, TcpFlag } from './frame-types.js';

const ETHER_BYTES = 14;
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd };
const PROTOCOL = { tcp: 6, udp: 17, icmp4: 1, icmp6: 58, fragment6: 44, none6: 59 };
const FLAG_BITS: Record<TcpFlag, number> = {
  fin: 1,
  syn: 2,
  rst: 4,
  psh: 8,
  ack: 16,
  urg: 32,
  ece: 64,
  cwr: 128,
};
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const ECHO_REQUEST = { 4: 8, 6: 128 };

/**
 * The bytes of a frame, from its Ethernet header on, without the trailing checksum (the device adds it).
 * @param round how many times the list that it belongs to was sent before: gives identification and source port
 * @throws Error with a plain message for a field that does not fit.
 */
export function buildFrame(spec: FrameSpec, defaults: FrameDefaults, round: number): Buffer {
  const { family } = defaults;
  const src = addressBytes(spec.ip?.src ?? defaults.src, family);
  const dst = addressBytes(spec.ip?.dst ?? defaults.dst, family);
  const { protocol, bytes } = transport(spec, defaults, round, src, dst);
  const id = spec.ip?.id ?? 0x4000 + round;
  const datagram = family === 4 ? ipv4(spec, protocol, bytes, id, src, dst) : ipv6(spec, protocol, bytes, id, src, dst);
  const ether = Buffer.alloc(ETHER_BYTES);
  macBytes(spec.ether?.dst ?? defaults.dmac).copy(ether, 0);
  macBytes(spec.ether?.src ?? defaults.smac).copy(ether, 6);
  ether.writeUInt16BE(spec.ether?.type ?? ETHERTYPE[family], 12);
  const frame = Buffer.concat([ether, datagram]);
  return spec.truncated === undefined ? frame : frame.subarray(0, Math.max(ETHER_BYTES, spec.truncated));
}

/** Header and payload of the layer above IP, whole: a fragment takes a part of it. */
function transport(
  spec: FrameSpec,
  defaults: FrameDefaults,
  round: number,
  src: Buffer,
  dst: Buffer,
): { protocol: number; bytes: Buffer } {
  const payload = Buffer.alloc(spec.payload ?? 0, 'vdiag ');
  const made = spec.tcp
    ? { protocol: PROTOCOL.tcp, checksumAt: 16, header: tcpHeader(spec.tcp, defaults, round) }
    : spec.udp
      ? { protocol: PROTOCOL.udp, checksumAt: 6, header: udpHeader(spec.udp, defaults, round, payload.length) }
      : spec.icmp
        ? {
            protocol: defaults.family === 4 ? PROTOCOL.icmp4 : PROTOCOL.icmp6,
            checksumAt: 2,
            header: icmpHeader(spec.icmp, defaults.family),
          }
        : undefined;
  if (!made) return { protocol: spec.ip?.protocol ?? PROTOCOL.none6, bytes: payload };
  const bytes = Buffer.concat([made.header, payload]);
  // ICMP of IPv4 alone does without a pseudo header.
  const pseudo = made.protocol === PROTOCOL.icmp4 ? 0 : pseudoHeaderSum(src, dst, made.protocol, bytes.length);
  const kind = (spec.tcp ?? spec.udp ?? spec.icmp)?.checksum ?? 'good';
  bytes.writeUInt16BE(checksumOf(bytes, pseudo, kind, made.protocol), made.checksumAt);
  return { protocol: spec.ip?.protocol ?? made.protocol, bytes };
}

function tcpHeader(tcp: NonNullable<FrameSpec['tcp']>, defaults: FrameDefaults, round: number): Buffer {
  const mss = tcp.mss === undefined ? '' : `0204${tcp.mss.toString(16).padStart(4, '0')}`;
  const raw = Buffer.from(mss + (tcp.options ?? ''), 'hex');
  const options = Buffer.concat([raw, Buffer.alloc((4 - (raw.length % 4)) % 4)]);
  const header = Buffer.alloc(20);
  header.writeUInt16BE(portOf(tcp, defaults, round), 0);
  header.writeUInt16BE(tcp.dport ?? defaults.dport, 2);
  header.writeUInt32BE((tcp.seq ?? 1000) >>> 0, 4);
  header.writeUInt32BE((tcp.ack ?? 0) >>> 0, 8);
  header.writeUInt8(((tcp.headerLength ?? 20 + options.length) >> 2) << 4, 12);
  header.writeUInt8(
    (tcp.flags ?? ['syn']).reduce((bits, flag) => bits | FLAG_BITS[flag], 0),
    13,
  );
  header.writeUInt16BE(tcp.window ?? 64_240, 14);
  return Buffer.concat([header, options]);
}

function udpHeader(
  udp: NonNullable<FrameSpec['udp']>,
  defaults: FrameDefaults,
  round: number,
  payload: number,
): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(portOf(udp, defaults, round), 0);
  header.writeUInt16BE(udp.dport ?? defaults.dport, 2);
  header.writeUInt16BE(udp.length ?? 8 + payload, 4);
  return header;
}

function icmpHeader(icmp: NonNullable<FrameSpec['icmp']>, family: 4 | 6): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(icmp.type ?? ECHO_REQUEST[family], 0);
  header.writeUInt8(icmp.code ?? 0, 1);
  header.writeUInt32BE((icmp.rest ?? 0x00010001) >>> 0, 4);
  return header;
}

function portOf(ports: { sport?: number; sportStep?: number }, defaults: FrameDefaults, round: number): number {
  return ((ports.sport ?? defaults.sport) + round * (ports.sportStep ?? 0)) & 0xffff;
}

function checksumOf(bytes: Buffer, pseudo: number, kind: ChecksumKind, protocol: number): number {
  if (kind === 'zero') return 0;
  if (kind === 'partial') return pseudo;
  const sum = invert(sumOfWords(bytes, pseudo));
  // UDP sends all ones for zero, which would mean "no checksum" (RFC 768).
  if (kind === 'good') return protocol === PROTOCOL.udp && sum === 0 ? 0xffff : sum;
  const wrong = sum ^ 0x5a5a;
  return wrong === 0 ? 0x1111 : wrong;
}

/** Sum of the pseudo header (RFC 793, RFC 8200), not inverted: what CHECKSUM_PARTIAL leaves in the field. */
function pseudoHeaderSum(src: Buffer, dst: Buffer, protocol: number, length: number): number {
  return sumOfWords(Buffer.concat([src, dst]), protocol + length);
}

function ipv4(spec: FrameSpec, protocol: number, body: Buffer, id: number, src: Buffer, dst: Buffer): Buffer {
  const { offset, more, bytes } = fragmentOf(spec, body);
  const ip = spec.ip ?? {};
  const header = Buffer.alloc(20);
  header.writeUInt8(((ip.version ?? 4) << 4) | ((ip.headerLength ?? 20) >> 2), 0);
  header.writeUInt16BE(ip.totalLength ?? 20 + bytes.length, 2);
  header.writeUInt16BE(id & 0xffff, 4);
  header.writeUInt16BE((ip.dontFragment ? DONT_FRAGMENT : 0) | (more ? MORE_FRAGMENTS : 0) | (offset >> 3), 6);
  header.writeUInt8(ip.ttl ?? 64, 8);
  header.writeUInt8(protocol, 9);
  src.copy(header, 12);
  dst.copy(header, 16);
  const right = invert(sumOfWords(header));
  header.writeUInt16BE(ip.checksum === 'zero' ? 0 : ip.checksum === 'bad' ? right ^ 0x5a5a : right, 10);
  return Buffer.concat([header, bytes]);
}

function ipv6(spec: FrameSpec, protocol: number, body: Buffer, id: number, src: Buffer, dst: Buffer): Buffer {
  const { offset, more, bytes } = fragmentOf(spec, body);
  const ip = spec.ip ?? {};
  const extension = Buffer.alloc(spec.fragment ? 8 : 0);
  if (spec.fragment) {
    extension.writeUInt8(protocol, 0);
    extension.writeUInt16BE((offset & 0xfff8) | (more ? 1 : 0), 2);
    extension.writeUInt32BE(id >>> 0, 4);
  }
  const header = Buffer.alloc(8);
  header.writeUInt8((ip.version ?? 6) << 4, 0);
  header.writeUInt16BE(ip.totalLength ?? extension.length + bytes.length, 4);
  header.writeUInt8(spec.fragment ? PROTOCOL.fragment6 : protocol, 6);
  header.writeUInt8(ip.ttl ?? 64, 7);
  return Buffer.concat([header, src, dst, extension, bytes]);
}

function fragmentOf({ fragment }: FrameSpec, body: Buffer): { offset: number; more: boolean; bytes: Buffer } {
  if (!fragment) return { offset: 0, more: false, bytes: body };
  const end = fragment.length === undefined ? body.length : fragment.offset + fragment.length;
  if (fragment.offset % 8 !== 0) throw new Error(`a fragment's offset is a multiple of 8, not ${fragment.offset}`);
  return {
    offset: fragment.offset,
    more: fragment.more ?? end < body.length,
    bytes: body.subarray(fragment.offset, end),
  };
}

function addressBytes(text: string, family: 4 | 6): Buffer {
  const address = ipaddr.parse(text);
  if (address.kind() !== `ipv${family}`) throw new Error(`${text} is not an IPv${family} address`);
  return Buffer.from(address.toByteArray());
}

function macBytes(text: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new Error(`"${text}" is not an Ethernet address`);
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}
