import ipaddr from 'ipaddr.js';
import { openReader } from '../../src/bpf/reader.js';
import type { RecordReader, TraceSession } from '../../src/bpf/types.js';
import { VD_FLAG, VD_KIND, WIRE_LAYOUT } from '../../src/events/wire.gen.js';

/** A record of the ring in plain values, as tests of the kernel side look at it. */
export interface RingRecord {
  ts: number;
  path: number;
  skb: number;
  aux: number;
  ret: number;
  probe: number;
  kind: string;
  flags: string[];
  pid: number;
  tid: number;
  len: number;
  ifindex: number;
  netns: number;
  mark: number;
  a: number;
  b: number;
  c: number;
  d: number;
  dev: string;
  outer?: RingHeaders;
  inner?: RingHeaders;
  vlan?: number;
  smac?: string;
  /** Verdicts. */
  hook?: number;
  pf?: number;
  table?: string;
  chain?: string;
  /** Sockets and neighbours. */
  socket?: {
    src: string;
    dst: string;
    sport: number;
    dport: number;
    family: number;
    protocol: number;
    rcvbuf: number;
    backlogMax: number;
  };
  /** Scheduler. */
  wait?: number;
  comm?: string;
}

export interface RingHeaders {
  src: string;
  dst: string;
  sport: number;
  dport: number;
  proto: number;
  version: number;
  ethertype: number;
  /** IPv4 without DF; IPv6 without the reserved bits. */
  frag: number;
  ipId: number;
  seq: number;
  ack: number;
  ttl: number;
  payload: number;
  tcpFlags: number;
  icmpType: number;
  tunnel: number;
  tunnelId: number;
}

type Member = keyof typeof WIRE_LAYOUT;

const KIND_NAMES = new Map<number, string>(Object.entries(VD_KIND).map(([name, value]) => [value, name]));

/** Reads everything that a session's ring holds, with a reader of its own. */
export function readRing(session: TraceSession): RingRecord[] {
  const reader = openReader(session.ring);
  const records = drainRecords(reader);
  reader.close();
  return records;
}

/** Drains a reader into plain records. */
export function drainRecords(reader: RecordReader): RingRecord[] {
  const records: RingRecord[] = [];
  reader.drain(({ u8, start, end }) => {
    const bytes = Buffer.from(u8.buffer, u8.byteOffset, u8.byteLength);
    for (let at = start; at < end;) {
      const header = bytes.readUInt32LE(at);
      const length = header & 0x3fffffff;
      if (!(header & 0x40000000)) records.push(decodeRecord(Buffer.from(bytes.subarray(at + 8, at + 8 + length))));
      at += (length + 15) & ~7;
    }
  });
  return records;
}

/** One record, without its frame. */
export function decodeRecord(bytes: Buffer): RingRecord {
  const number = (member: Member): number => {
    const [offset, size] = WIRE_LAYOUT[member];
    return size === 8 ? Number(bytes.readBigInt64LE(offset)) : bytes.readUIntLE(offset, size);
  };
  const text = (member: Member): string => {
    const [offset, size] = WIRE_LAYOUT[member];
    return bytes.toString('latin1', offset, offset + size).split('\0', 1)[0];
  };
  const flags = number('vd_hop.flags');
  const record: RingRecord = {
    ts: number('vd_hop.ts'),
    path: number('vd_hop.path'),
    skb: Number(bytes.readBigUInt64LE(WIRE_LAYOUT['vd_hop.skb'][0]) & 0xffffffffffffn),
    aux: Number(bytes.readBigUInt64LE(WIRE_LAYOUT['vd_hop.aux'][0]) & 0xffffffffffffn),
    ret: number('vd_hop.ret'),
    probe: number('vd_hop.probe'),
    kind: KIND_NAMES.get(number('vd_hop.kind')) ?? '?',
    flags: Object.entries(VD_FLAG).flatMap(([name, bit]) => (flags & bit ? [name] : [])),
    pid: number('vd_hop.pid'),
    tid: number('vd_hop.tid'),
    len: number('vd_hop.len'),
    ifindex: number('vd_hop.ifindex'),
    netns: number('vd_hop.netns'),
    mark: number('vd_hop.mark'),
    a: number('vd_hop.a'),
    b: number('vd_hop.b'),
    c: number('vd_hop.c'),
    d: number('vd_hop.d'),
    dev: text('vd_hop.dev'),
  };
  if (record.kind === 'PACKET') {
    record.outer = headers(bytes, WIRE_LAYOUT['vd_packet.outer'][0]);
    const inner = headers(bytes, WIRE_LAYOUT['vd_packet.inner'][0]);
    if (inner.version) record.inner = inner;
    record.vlan = number('vd_packet.vlan');
    const [mac] = WIRE_LAYOUT['vd_packet.smac'];
    record.smac = bytes.toString('hex', mac, mac + 6);
  } else if (record.kind === 'VERDICT') {
    record.hook = number('vd_verdict.hook');
    record.pf = number('vd_verdict.pf');
    record.table = text('vd_verdict.table');
    record.chain = text('vd_verdict.chain');
  } else if (record.kind === 'SOCKET') {
    const version = number('vd_socket.family') === 10 ? 6 : 4;
    record.socket = {
      src: address(bytes, WIRE_LAYOUT['vd_socket.saddr'][0], version),
      dst: address(bytes, WIRE_LAYOUT['vd_socket.daddr'][0], version),
      sport: number('vd_socket.sport'),
      dport: number('vd_socket.dport'),
      family: number('vd_socket.family'),
      protocol: number('vd_socket.protocol'),
      rcvbuf: number('vd_socket.rcvbuf'),
      backlogMax: number('vd_socket.backlog_max'),
    };
  } else if (record.kind === 'SCHED') {
    record.wait = number('vd_sched.wait');
    record.comm = text('vd_sched.comm');
  }
  return record;
}

function headers(bytes: Buffer, base: number): RingHeaders {
  const at = (member: Member): number => base + WIRE_LAYOUT[member][0];
  const version = bytes[at('vd_headers.version')];
  return {
    src: address(bytes, at('vd_headers.saddr'), version),
    dst: address(bytes, at('vd_headers.daddr'), version),
    sport: bytes.readUInt16BE(at('vd_headers.sport')),
    dport: bytes.readUInt16BE(at('vd_headers.dport')),
    proto: bytes[at('vd_headers.proto')],
    version,
    ethertype: bytes.readUInt16BE(at('vd_headers.ethertype')),
    frag: bytes.readUInt16BE(at('vd_headers.frag')) & (version === 6 ? 0xfff9 : 0x3fff),
    ipId: bytes.readUInt16BE(at('vd_headers.ip_id')),
    seq: bytes.readUInt32BE(at('vd_headers.seq')),
    ack: bytes.readUInt32BE(at('vd_headers.ack')),
    ttl: bytes[at('vd_headers.ttl')],
    payload: bytes.readUInt16LE(at('vd_headers.payload')),
    tcpFlags: bytes[at('vd_headers.tcp_flags')],
    icmpType: bytes[at('vd_headers.icmp_type')],
    tunnel: bytes[at('vd_headers.tunnel')],
    tunnelId: bytes.readUInt32LE(at('vd_headers.tunnel_id')),
  };
}

function address(bytes: Buffer, offset: number, version: number): string {
  return ipaddr.fromByteArray([...bytes.subarray(offset, offset + (version === 6 ? 16 : 4))]).toString();
}
