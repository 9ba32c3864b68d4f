import type { EventCursor } from './cursor.js';
import { FIELDS, location, reason, reasonInferred, tunnelText, verdict } from './fields.js';
import type { FieldName } from './field-names.js';
import { KIND, KIND_NAMES } from './layout.js';
import type { PacketView, SkbEvent } from './types.js';

/** The current event as a plain object that outlives the cursor. Its texts are safe for a terminal. */
export function eventOf(cursor: EventCursor): SkbEvent {
  const { point, device } = cursor;
  const event: SkbEvent = {
    ts: cursor.ts,
    probe: point.name,
    group: point.group,
    role: point.role,
    kind: KIND_NAMES[cursor.kind],
    path: cursor.facts.id === 0 ? cursor.path : cursor.facts.id,
    skb: cursor.skb,
    device: device.name,
    ifindex: device.ifindex,
    netns: cursor.netns,
    cpu: cursor.cpu,
    pid: cursor.pid,
    tid: cursor.tid,
    len: cursor.len,
    mark: cursor.mark,
    ret: cursor.ret,
  };
  const packet = packetOf(cursor);
  const optional = {
    reason: reason(cursor),
    reasonInferred: reasonInferred(cursor) || undefined,
    location: location(cursor),
    verdict: verdict(cursor),
    hook: text(cursor, 'event.hook'),
    table: text(cursor, 'event.table'),
    chain: text(cursor, 'event.chain'),
    packet,
  };
  // A member that is not there is left out, so that a recording's report does not depend on how it was made.
  return Object.assign(event, Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)));
}

/** The packet's headers as a plain object; undefined when none are known (socket and scheduler events). */
export function packetOf(cursor: EventCursor): PacketView | undefined {
  const { packet } = cursor;
  if (!packet.present || cursor.kind === KIND.sched) return undefined;
  const view = {
    src: packet.src,
    dst: packet.dst,
    sport: packet.sport,
    dport: packet.dport,
    proto: packet.proto,
    version: packet.version,
    ttl: packet.version === 0 ? 0 : packet.ttl,
    flags: packet.flagsText,
    seq: packet.isTcp ? packet.seq : 0,
    ack: packet.isTcp ? packet.ack : 0,
    window: packet.isTcp ? packet.window : 0,
    icmpType: packet.icmpType,
    icmpCode: packet.icmpCode,
    icmpId: packet.icmpId,
    icmpSeq: packet.icmpSeq,
    ipId: packet.ipId,
    payload: packet.payload,
    vlan: packet.vlan,
    tunnel: tunnelText(cursor),
    gsoSize: packet.gsoSize,
    gsoSegs: packet.gsoSegs,
    smac: packet.smac,
    dmac: packet.dmac,
  };
  return { ...view, summary: summaryOf(view, packet) };
}

/** One line: `TCP 10.0.0.1:4711 → 10.0.0.2:80 [S] seq 1 len 0`. */
function summaryOf(view: Omit<PacketView, 'summary'>, packet: EventCursor['packet']): string {
  const { src, dst, proto } = view;
  const ports = view.sport !== 0 || view.dport !== 0;
  const from = ports ? endpoint(src, view.sport) : src;
  const to = ports ? endpoint(dst, view.dport) : dst;
  const tunnel = view.tunnel === '' ? '' : ` in ${view.tunnel}`;
  if (proto === 'ARP')
    return packet.protocol === 1 ? `ARP who has ${dst}? tell ${src}` : `ARP ${src} is at ${view.smac || '?'}`;
  if (src === '') return `${proto || 'frame'} ${view.smac || '?'} → ${view.dmac || '?'}`;
  const head = `${proto} ${from} → ${to}`;
  if (packet.laterFragment) return `${head} fragment of id ${packet.ipId}${tunnel}`;
  if (packet.spi !== 0) return `${head} spi 0x${packet.spi.toString(16)} seq ${packet.seq}${tunnel}`;
  if (proto === 'TCP') {
    const ack = view.flags.includes('.') ? ` ack ${view.ack}` : '';
    return `${head} [${view.flags}] seq ${view.seq}${ack} len ${view.payload}${tunnel}`;
  }
  if (proto.startsWith('ICMP')) return `${head} ${icmpText(view)}${tunnel}`;
  return `${head} len ${view.payload}${tunnel}`;
}

const endpoint = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

const ICMP_TYPES: Record<string, Record<number, string>> = {
  ICMP: {
    ...{ 0: 'echo reply', 3: 'unreachable', 4: 'source quench', 5: 'redirect', 8: 'echo request' },
    ...{ 11: 'time exceeded', 12: 'parameter problem' },
  },
  ICMPv6: {
    ...{ 1: 'unreachable', 2: 'packet too big', 3: 'time exceeded', 4: 'parameter problem', 128: 'echo request' },
    ...{ 129: 'echo reply', 133: 'router solicitation', 134: 'router advertisement' },
    ...{ 135: 'neighbour solicitation', 136: 'neighbour advertisement' },
  },
};

function icmpText(view: Omit<PacketView, 'summary'>): string {
  const name = ICMP_TYPES[view.proto]?.[view.icmpType] ?? `type ${view.icmpType}`;
  if (name.startsWith('echo')) return `${name} id ${view.icmpId} seq ${view.icmpSeq}`;
  return view.icmpCode === 0 ? name : `${name} code ${view.icmpCode}`;
}

function text(cursor: EventCursor, field: FieldName): string | undefined {
  const value = FIELDS[field].read(cursor);
  return typeof value === 'string' ? value : undefined;
}
