import ipaddr from 'ipaddr.js';
import { VdiagError } from '../base/errors.js';
import { MAP_LAYOUT, MAP_SIZE, VD_WANT } from './kernel-side.gen.js';
import type { KernelFilter } from './types.js';

/** Beyond the IP protocols (bpf/config.h: VD_PROTO_ARP). */
const PROTO_ARP = 0x100;
const PROTOCOLS: Record<string, number> = { tcp: 6, udp: 17, icmp: 1, icmp6: 58, arp: PROTO_ARP };

/** Entries of the kernel side's maps of wanted devices and namespaces (bpf/config.h: VD_MAX_DEVICES, VD_MAX_NAMESPACES). */
export const MAX_FILTER_ENTRIES = 16;

/**
 * A filter as the kernel side's struct vd_config (bpf/config.h).
 * Its devices and namespaces are in maps of their own: see {@link encodeKeys}.
 * @throws VdiagError (status 2) for an address, port or protocol that is none.
 */
export function encodeConfig(filter: KernelFilter, options: { autoWatch?: boolean; stop?: boolean } = {}): Buffer {
  const config = Buffer.alloc(MAP_SIZE.vd_config);
  let want = 0;
  if (options.autoWatch) want |= VD_WANT.AUTO_WATCH;
  if (options.stop) want |= VD_WANT.STOP;
  if (filter.inner) want |= VD_WANT.INNER;
  if (filter.src !== undefined) {
    want |= VD_WANT.SRC;
    encodePrefix(config, MAP_LAYOUT['vd_config.src'][0], filter.src);
  }
  if (filter.dst !== undefined) {
    want |= VD_WANT.DST;
    encodePrefix(config, MAP_LAYOUT['vd_config.dst'][0], filter.dst);
  }
  if (filter.port !== undefined) {
    want |= VD_WANT.PORT;
    config.writeUInt16BE(integer('port', filter.port, 1, 65535), MAP_LAYOUT['vd_config.port'][0]);
  }
  if (filter.proto !== undefined) {
    want |= VD_WANT.PROTO;
    config.writeUInt32LE(protocolNumber(filter.proto), MAP_LAYOUT['vd_config.proto'][0]);
  }
  if (filter.pid !== undefined) {
    want |= VD_WANT.PID;
    config.writeUInt32LE(integer('pid', filter.pid, 1, 0x7fffffff), MAP_LAYOUT['vd_config.pid'][0]);
  }
  if (filter.mark !== undefined) {
    want |= VD_WANT.MARK;
    const mask = integer('mark mask', filter.mark.mask, 0, 0xffffffff);
    config.writeUInt32LE((integer('mark', filter.mark.value, 0, 0xffffffff) & mask) >>> 0, MAP_LAYOUT['vd_config.mark'][0]);
    config.writeUInt32LE(mask, MAP_LAYOUT['vd_config.mark_mask'][0]);
  }
  if (filter.ifindex !== undefined && filter.ifindex.length > 0) want |= VD_WANT.IFINDEX;
  if (filter.netns !== undefined && filter.netns.length > 0) want |= VD_WANT.NETNS;
  config.writeUInt32LE(want, MAP_LAYOUT['vd_config.want'][0]);
  return config;
}

/**
 * Keys of the map of wanted devices (interface indices) or namespaces (inode numbers).
 * @throws VdiagError (status 2) for numbers that cannot be, or too many
 */
export function encodeKeys(what: 'devices' | 'namespaces', numbers: readonly number[]): Buffer[] {
  if (numbers.length > MAX_FILTER_ENTRIES) {
    throw new VdiagError(
      {
        message: `the filter names ${numbers.length} ${what}`,
        expected: `at most ${MAX_FILTER_ENTRIES}`,
        hint: 'filter by address instead',
      },
      2,
    );
  }
  return numbers.map((number) => {
    const key = Buffer.alloc(4);
    const most = what === 'devices' ? 0x7fffffff : 0xffffffff;
    key.writeUInt32LE(integer(what === 'devices' ? 'ifindex' : 'netns', number, 1, most));
    return key;
  });
}

function protocolNumber(proto: NonNullable<KernelFilter['proto']>): number {
  if (typeof proto === 'number') return integer('protocol', proto, 0, 255);
  const number = Object.hasOwn(PROTOCOLS, proto) ? PROTOCOLS[proto] : undefined;
  if (number === undefined) {
    throw new VdiagError(
      { message: `unknown protocol "${proto}"`, expected: `${Object.keys(PROTOCOLS).join(', ')} or a number` },
      2,
    );
  }
  return number;
}

function integer(what: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new VdiagError({ message: `${what} ${value} cannot be`, expected: `an integer from ${least} to ${most}` }, 2);
  }
  return value;
}

/** Writes a struct vd_prefix: the masked address and the mask in network order, then the version. */
function encodePrefix(config: Buffer, at: number, text: string): void {
  const { address, bits } = parsePrefix(text);
  const bytes = address.toByteArray();
  bytes.forEach((byte, i) => {
    const mask = (0xff00 >> Math.max(0, Math.min(8, bits - i * 8))) & 0xff;
    config[at + MAP_LAYOUT['vd_prefix.addr'][0] + i] = byte & mask;
    config[at + MAP_LAYOUT['vd_prefix.mask'][0] + i] = mask;
  });
  config.writeUInt32LE(bytes.length === 4 ? 4 : 6, at + MAP_LAYOUT['vd_prefix.version'][0]);
}

function parsePrefix(text: string): { address: ipaddr.IPv4 | ipaddr.IPv6; bits: number } {
  const [host, length, ...more] = text.split('/');
  // ipaddr.js also takes 10.1 and 0x0a000001 for addresses; people who write these have made a mistake.
  if (more.length === 0 && (ipaddr.IPv6.isValid(host) || ipaddr.IPv4.isValidFourPartDecimal(host))) {
    const address = ipaddr.parse(host);
    const most = address.kind() === 'ipv4' ? 32 : 128;
    if (length === undefined) return { address, bits: most };
    if (/^\d{1,3}$/.test(length) && Number(length) <= most) return { address, bits: Number(length) };
  }
  throw new VdiagError(
    { message: `"${text}" is not an address`, expected: 'an IPv4 or IPv6 address or prefix: 10.0.0.5, 10.0.0.0/24, fd00::5' },
    2,
  );
}
