import type { EventCursor } from './cursor.js';
import { FIELD_SPECS, type FieldName, type FieldType } from './field-names.js';
import { FLAG, KIND, KIND_NAMES } from './layout.js';
import { ipv4Text, ipv6Text } from './address-names.js';
import {
  errnoName,
  familyName,
  hookName,
  ipProtocolName,
  nudStateName,
  tcpStateName,
  tunnelName,
  verdictName,
} from './names.js';
import { TCP } from './packet-headers.js';
import { ROLES } from './probe-table.js';

export type FieldValue = string | number | boolean | undefined;

/** A field of the rules' vocabulary with the way to read it from the current event; undefined: not carried by it. */
export interface Field {
  type: FieldType;
  describe: string;
  read(cursor: EventCursor): FieldValue;
}

type Read = (cursor: EventCursor) => FieldValue;

/** Only of packets whose headers are known: this record's, or as last seen on the packet's path. */
const packet =
  (read: (packet: EventCursor['packet']) => FieldValue): Read =>
  (cursor) =>
    cursor.packet.present ? read(cursor.packet) : undefined;
const tcp = (read: (packet: EventCursor['packet']) => FieldValue): Read =>
  packet((p) => (p.isTcp ? read(p) : undefined));
const icmp = (read: (packet: EventCursor['packet']) => FieldValue): Read =>
  packet((p) => (p.isIcmp ? read(p) : undefined));
const ports = (read: (packet: EventCursor['packet']) => FieldValue): Read =>
  packet((p) => (p.hasPorts ? read(p) : undefined));
const ofKind =
  (kind: number, read: Read): Read =>
  (cursor) =>
    cursor.kind === kind ? read(cursor) : undefined;
const path =
  (read: Read): Read =>
  (cursor) =>
    cursor.facts.id === 0 ? undefined : read(cursor);
const state = (slot: 'a' | 'b'): Read =>
  ofKind(KIND.socket, (c) => {
    const number = c.named(slot === 'a' ? 'oldState' : 'newState') ?? c[slot];
    return c.point.role === 'neighbour' ? nudStateName(number) : tcpStateName(number);
  });
/** Of a GSO packet its headers with as much payload as each segment gets. */
const wireLen: Read = ({ len, packet: p }) =>
  p.present && p.gsoSize > 0 && p.payload > p.gsoSize ? len - p.payload + p.gsoSize : len;
/** skb->ip_summed by number (include/linux/skbuff.h, CHECKSUM_…). */
const CHECKSUMS: readonly (string | undefined)[] = ['none', 'unnecessary', 'complete', 'partial'];
const NS_PER_MS = 1e6;

const READ: Record<FieldName, Read> = {
  'event.probe': (c) => c.point.name,
  'event.group': (c) => c.point.group,
  'event.role': (c) => ROLES[c.role],
  'event.kind': (c) => KIND_NAMES[c.kind],
  'event.ret': (c) => c.ret,
  'event.errno': errno,
  'event.verdict': verdict,
  'event.reason': reason,
  'event.reasonInferred': (c) => reasonInferred(c) || undefined,
  'event.location': location,
  'event.function': (c) => functionOf(location(c)),
  'event.device': (c) => c.device.name || undefined,
  'event.ifindex': (c) => c.ifindex || undefined,
  'event.netns': (c) => c.netns || undefined,
  'event.cpu': (c) => c.cpu,
  'event.pid': (c) => c.pid,
  'event.tid': (c) => c.tid,
  'event.len': (c) => c.len,
  'event.wireLen': wireLen,
  'event.mark': (c) => c.mark,
  'event.queue': (c) => c.queue,
  'event.table': ofKind(KIND.verdict, (c) => c.table || undefined),
  'event.chain': ofKind(KIND.verdict, (c) => c.chain || undefined),
  'event.hook': ofKind(KIND.verdict, (c) => hookName(c.hook, c.family)),
  'event.family': ofKind(KIND.verdict, (c) => familyName(c.family)),
  'event.oldState': state('a'),
  'event.newState': state('b'),
  'event.waitMs': ofKind(KIND.sched, (c) => c.wait / NS_PER_MS),
  'event.preempted': ofKind(KIND.sched, (c) => c.a === 1),
  'event.dropped': (c) => (c.flags & FLAG.dropped) !== 0,
  'event.freed': (c) => (c.flags & (FLAG.freed | FLAG.dropped)) !== 0,
  'event.rewritten': (c) => (c.flags & FLAG.rewritten) !== 0,
  'event.queueIndex': (c) => c.named('queueIndex'),
  'event.vlan': (c) => c.named('vlan'),
  'event.backlog': (c) => c.named('backlog'),
  'event.descriptor': (c) => c.named('descriptor'),
  'event.action': (c) => c.named('action'),
  'event.icmpType': (c) => c.named('icmpType'),
  'event.icmpCode': (c) => c.named('icmpCode'),
  'event.qlen': (c) => c.named('qlen'),
  'packet.src': packet((p) => p.src || undefined),
  'packet.dst': packet((p) => p.dst || undefined),
  'packet.sport': ports((p) => p.sport),
  'packet.dport': ports((p) => p.dport),
  'packet.proto': packet((p) => p.proto || undefined),
  'packet.version': packet((p) => p.version),
  'packet.ttl': packet((p) => (p.version === 0 ? undefined : p.ttl)),
  'packet.flags': tcp((p) => p.flagsText),
  'packet.syn': packet((p) => (p.tcpFlags & TCP.syn) !== 0),
  'packet.rst': packet((p) => (p.tcpFlags & TCP.rst) !== 0),
  'packet.fin': packet((p) => (p.tcpFlags & TCP.fin) !== 0),
  'packet.seq': tcp((p) => p.seq),
  'packet.window': tcp((p) => p.window),
  'packet.payload': packet((p) => p.payload),
  'packet.icmpType': icmp((p) => p.icmpType),
  'packet.icmpCode': icmp((p) => p.icmpCode),
  'packet.nextHopMtu': packet((p) => p.nextHopMtu || undefined),
  'packet.quotedSrc': packet((p) => p.quoted('src')),
  'packet.quotedDst': packet((p) => p.quoted('dst')),
  'packet.quotedProto': packet((p) => p.quoted('proto')),
  'packet.quotedDport': packet((p) => p.quoted('dport')),
  'packet.checksum': packet((p) => CHECKSUMS[p.summed]),
  'packet.fragment': packet((p) => p.fragment),
  'packet.dontFragment': packet((p) => p.dontFragment),
  'packet.multicast': packet((p) => p.multicast),
  'packet.vlan': packet((p) => p.vlan),
  'packet.tunnel': packet((p) => p.tunnel),
  'packet.spi': packet((p) => p.spi || undefined),
  'packet.gsoSegs': packet((p) => p.gsoSegs),
  'packet.dmac': packet((p) => p.dmac || undefined),
  'packet.smac': packet((p) => p.smac || undefined),
  'path.ageMs': path((c) => Math.max(0, c.ts - c.facts.firstTs) / NS_PER_MS),
  'path.sinceLastMs': path((c) => Math.max(0, c.ts - c.facts.lastTs) / NS_PER_MS),
  'path.events': path((c) => c.facts.events),
  'path.firstDevice': path((c) => c.facts.firstDevice || undefined),
  'path.lastProbe': path((c) => c.facts.lastProbe || undefined),
  'path.lastRole': path((c) => c.facts.lastRole || undefined),
  'path.lastDevice': path((c) => c.facts.lastDevice || undefined),
  'socket.src': ofKind(KIND.socket, (c) => socketAddress(c, 'saddr')),
  'socket.dst': ofKind(KIND.socket, (c) => socketAddress(c, 'daddr')),
  'socket.sport': ofKind(KIND.socket, (c) => c.socketShort('sport')),
  'socket.dport': ofKind(KIND.socket, (c) => c.socketShort('dport')),
  'socket.protocol': ofKind(KIND.socket, (c) => ipProtocolName(c.socketShort('protocol'))),
  'socket.rmem': ofKind(KIND.socket, (c) => c.socketNumber('rmem')),
  // 0 is "not read": no socket has an empty limit (SOCK_MIN_RCVBUF), so a rule must not compare with it.
  'socket.rcvbuf': ofKind(KIND.socket, (c) => c.socketNumber('rcvbuf') || undefined),
  'socket.wmem': ofKind(KIND.socket, (c) => c.socketNumber('wmem')),
  'socket.sndbuf': ofKind(KIND.socket, (c) => c.socketNumber('sndbuf') || undefined),
  'socket.backlog': ofKind(KIND.socket, (c) => c.socketNumber('backlog')),
  'socket.backlogMax': ofKind(KIND.socket, (c) => c.socketNumber('backlog_max')),
};

/** Every field that a rule may name, with how to read it from a cursor. */
export const FIELDS = Object.fromEntries(
  (Object.keys(FIELD_SPECS) as FieldName[]).map((name) => [name, { ...FIELD_SPECS[name], read: READ[name] }]),
) as Record<FieldName, Field>;

/**
 * A drop's reason by this kernel's name; `reason 93` when the kernel has a number but no name for it. Where it gives
 * none, the one that is inferred from where the packet was freed, see {@link reasonInferred}.
 */
export function reason(cursor: EventCursor): string | undefined {
  if (!cursor.dropped) return undefined;
  const given = givenReason(cursor);
  return given === undefined || given === UNSPECIFIED ? (cursor.inference?.infer(cursor) ?? given) : given;
}

/** Whether a drop's reason is not the kernel's own, but inferred from the place and from what probes saw before. */
export function reasonInferred(cursor: EventCursor): boolean {
  if (!cursor.dropped || !cursor.inference) return false;
  const given = givenReason(cursor);
  return (given === undefined || given === UNSPECIFIED) && cursor.inference.infer(cursor) !== undefined;
}

/** What kernels say that have reasons but none for this place. */
const UNSPECIFIED = 'NOT_SPECIFIED';

function givenReason({ ret, names }: EventCursor): string | undefined {
  return ret === 0 ? undefined : (names.dropReason(ret) ?? `reason ${ret}`);
}

/** Where a packet was dropped: `symbol+0x1f [module]`, or the address when there is no symbol. */
export function location(cursor: EventCursor): string | undefined {
  if (!cursor.dropped || cursor.aux === 0) return undefined;
  return cursor.names.symbol(cursor.aux) ?? `0x${cursor.aux.toString(16)}`;
}

/** The verdict of a netfilter record, or of a probe whose return value is one. */
export function verdict(cursor: EventCursor): string | undefined {
  const isVerdict =
    cursor.kind === KIND.verdict ||
    (cursor.probes.returns[cursor.probe] === 'nf-verdict' && (cursor.flags & FLAG.returned) !== 0);
  return isVerdict ? verdictName(cursor.ret) : undefined;
}

function errno(cursor: EventCursor): string | undefined {
  const meaning = cursor.probes.returns[cursor.probe];
  return meaning === 'errno' || meaning === 'netdev-tx' ? errnoName(cursor.ret) : undefined;
}

/** `nf_hook_slow` of `nf_hook_slow+0x1f [module]`; undefined for a bare address. */
export function functionOf(symbol: string | undefined): string | undefined {
  if (symbol === undefined || /^0x/.test(symbol)) return undefined;
  return symbol.replace(/\+0x.*$/, '').replace(/ \[.*$/, '');
}

function socketAddress(cursor: EventCursor, member: 'saddr' | 'daddr'): string | undefined {
  const at = cursor.at + cursor.layout.socket[member];
  switch (cursor.socketShort('family')) {
    case 2:
      return ipv4Text(cursor.u8, at);
    case 10:
      return ipv6Text(cursor.u8, at);
    default:
      return undefined;
  }
}

/** `vxlan 42`, or empty. */
export function tunnelText(cursor: EventCursor): string {
  const { tunnel, tunnelId } = cursor.packet;
  if (tunnel === '' || tunnel === tunnelName(4)) return tunnel;
  return `${tunnel} ${tunnelId}`;
}
