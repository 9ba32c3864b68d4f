import ipaddr from 'ipaddr.js';
import type { Batch, KernelNames } from '../../src/capture/types.js';
import { FLAG, KIND, type WireLayout } from '../../src/events/layout.js';
import type { ProbePlan } from '../../src/probes/types.js';
import { TEST_PLAN } from './plan.js';
import { layoutOfHeader, sizeOfStruct } from './wire-layout.js';

export { TEST_PLAN, planOf } from './plan.js';

/** The layout of bpf/wire.h. */
export const TEST_LAYOUT: WireLayout = layoutOfHeader();

/** Symbols and drop reasons that tests use. */
export const TEST_NAMES: KernelNames = {
  symbol: (address) => (address === 0xffff_8000 ? 'nf_hook_slow+0x1f' : undefined),
  dropReason: (reason) => ({ 2: 'NOT_SPECIFIED', 3: 'NO_SOCKET', 8: 'NETFILTER_DROP', 70: 'QDISC_DROP' })[reason],
};

/** A hop in a test's words; whatever is left out is 0. `probe` is a name of the plan. */
export interface HopInput {
  /** ns. */
  ts: number;
  probe: string;
  path?: number;
  skb?: number;
  aux?: number;
  ret?: number;
  flags?: number;
  cpu?: number;
  pid?: number;
  tid?: number;
  len?: number;
  ifindex?: number;
  netns?: number;
  mark?: number;
  queue?: number;
  a?: number;
  b?: number;
  c?: number;
  d?: number;
  dev?: string;
}

/** Headers in a test's words. `flags` as tcpdump writes them (`S.`). */
export interface HeaderInput {
  src?: string;
  dst?: string;
  proto?: 'tcp' | 'udp' | 'icmp' | 'icmp6' | 'arp' | number;
  sport?: number;
  dport?: number;
  /** ICMP id and sequence stand in the ports' place. */
  ipId?: number;
  frag?: number;
  seq?: number;
  ack?: number;
  flags?: string;
  window?: number;
  payload?: number;
  ttl?: number;
  icmpType?: number;
  icmpCode?: number;
  tunnel?: number;
  tunnelId?: number;
}

/** A packet record: TCP flags go in `flags` as text, the record's own flags (default: born) in `flagsWire`. */
export interface PacketInput extends Omit<HopInput, 'flags'>, HeaderInput {
  flagsWire?: number;
  inner?: HeaderInput;
  gsoSize?: number;
  gsoSegs?: number;
  vlan?: number;
  smac?: string;
  dmac?: string;
}

export interface SocketInput extends HopInput {
  saddr?: string;
  daddr?: string;
  sport?: number;
  dport?: number;
  family?: number;
  protocol?: number;
  rcvbuf?: number;
  rmem?: number;
  sndbuf?: number;
  wmem?: number;
  backlog?: number;
  backlogMax?: number;
}

const PROTOCOLS = { tcp: 6, udp: 17, icmp: 1, icmp6: 58, arp: 1 };
const FLAG_BITS: Record<string, number> = { F: 1, S: 2, R: 4, P: 8, '.': 16, U: 32, E: 64, W: 128 };

/** Writes synthetic records as the kernel side would, framed as its ring buffer frames them. */
export class WireWriter {
  private bytes = new Uint8Array(1 << 16);
  private end = 0;
  private readonly indices: Map<string, number>;

  constructor(
    readonly plan: ProbePlan = TEST_PLAN,
    readonly wire: WireLayout = TEST_LAYOUT,
  ) {
    this.indices = new Map(plan.probes.map((probe) => [probe.point.name, probe.index]));
  }

  /** A hop of a packet that is known already. */
  hop(input: HopInput): this {
    return this.raw(this.record('vd_hop', KIND.hop, input, input.flags ?? 0));
  }

  /** A place without a packet; `skb` is the object's address. */
  point(input: HopInput): this {
    return this.raw(this.record('vd_hop', KIND.point, { ...input, path: 0 }, input.flags ?? 0));
  }

  /** A packet with its headers. */
  packet(input: PacketInput): this {
    const bytes = this.record('vd_packet', KIND.packet, { ...input, flags: 0 }, input.flagsWire ?? FLAG.born);
    this.headers(bytes, this.wire.layout['vd_packet.outer'][0], input);
    if (input.inner) this.headers(bytes, this.wire.layout['vd_packet.inner'][0], input.inner);
    this.put(bytes, 0, 'vd_packet.gso_size', input.gsoSize);
    this.put(bytes, 0, 'vd_packet.gso_segs', input.gsoSegs);
    this.put(bytes, 0, 'vd_packet.vlan', input.vlan);
    for (const [member, mac] of [
      ['smac', input.smac],
      ['dmac', input.dmac],
    ] as const) {
      const octets = (mac ?? '').split(':').map((part) => Number.parseInt(part || '0', 16));
      bytes.set(octets, this.wire.layout[`vd_packet.${member}`][0]);
    }
    return this.raw(bytes);
  }

  verdict(input: HopInput & { hook?: number; pf?: number; table?: string; chain?: string }): this {
    const bytes = this.record('vd_verdict', KIND.verdict, input, input.flags ?? FLAG.returned);
    this.put(bytes, 0, 'vd_verdict.hook', input.hook);
    this.put(bytes, 0, 'vd_verdict.pf', input.pf);
    this.text(bytes, 'vd_verdict.table', input.table);
    this.text(bytes, 'vd_verdict.chain', input.chain);
    return this.raw(bytes);
  }

  /** A socket's or neighbour's event; `a` is the old state, `b` the new one. */
  socket(input: SocketInput): this {
    const bytes = this.record('vd_socket', KIND.socket, input, input.flags ?? 0);
    this.address(bytes, this.wire.layout['vd_socket.saddr'][0], input.saddr);
    this.address(bytes, this.wire.layout['vd_socket.daddr'][0], input.daddr);
    const numbers = {
      sport: input.sport,
      dport: input.dport,
      family: input.family ?? 2,
      protocol: input.protocol ?? 6,
    };
    const sizes = { rcvbuf: input.rcvbuf, rmem: input.rmem, sndbuf: input.sndbuf, wmem: input.wmem };
    const rest = { backlog: input.backlog, backlog_max: input.backlogMax };
    for (const [name, value] of Object.entries({ ...numbers, ...sizes, ...rest })) {
      this.put(bytes, 0, `vd_socket.${name}`, value);
    }
    return this.raw(bytes);
  }

  /** A watched thread got a CPU after `wait` ns. */
  sched(input: HopInput & { wait: number; comm?: string }): this {
    const bytes = this.record('vd_sched', KIND.sched, input, input.flags ?? 0);
    this.put(bytes, 0, 'vd_sched.wait', input.wait);
    this.text(bytes, 'vd_sched.comm', input.comm);
    return this.raw(bytes);
  }

  /** Frames any bytes as a record; `bits` are header bits (busy, discarded). */
  raw(record: Uint8Array, bits = 0): this {
    const step = (record.length + 15) & ~7;
    while (this.end + step > this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    const view = new DataView(this.bytes.buffer);
    view.setUint32(this.end, (record.length | bits) >>> 0, true);
    this.bytes.set(record, this.end + 8);
    this.end += step;
    return this;
  }

  /** All that was written so far, as one batch. */
  batch(): Batch {
    return { u8: this.bytes, u32: new Uint32Array(this.bytes.buffer), start: 0, end: this.end };
  }

  /** The same records, cut into batches before the given record numbers. */
  batches(cuts: readonly number[]): Batch[] {
    const whole = this.batch();
    const starts: number[] = [];
    for (let at = 0; at < whole.end; at += ((whole.u32[at >> 2] & 0x3fffffff) + 15) & ~7) starts.push(at);
    const edges = [0, ...cuts.map((cut) => starts[cut] ?? whole.end), whole.end].sort((x, y) => x - y);
    return edges.slice(1).map((end, i) => ({ ...whole, start: edges[i], end }));
  }

  private record(struct: string, kind: number, input: HopInput, flags: number): Uint8Array {
    const bytes = new Uint8Array(sizeOfStruct(this.wire, struct));
    const probe = this.indices.get(input.probe);
    if (probe === undefined) throw new Error(`the plan has no probe "${input.probe}"`);
    const { ts, path, skb, aux, ret, cpu, pid, tid, len, ifindex, netns, mark, queue, a, b, c, d } = input;
    const members = { ts, path, skb, aux, ret, probe, kind, flags, cpu, pid, tid: tid ?? pid, len, ifindex, netns };
    for (const [name, value] of Object.entries({ ...members, mark, queue, a, b, c, d })) {
      this.put(bytes, 0, `vd_hop.${name}`, value);
    }
    this.text(bytes, 'vd_hop.dev', input.dev);
    return bytes;
  }

  private headers(bytes: Uint8Array, base: number, input: HeaderInput): void {
    const { src = '', proto = 'tcp' } = input;
    const version = proto === 'arp' ? 0 : src === '' ? 0 : src.includes(':') ? 6 : 4;
    this.address(bytes, base + this.wire.layout['vd_headers.saddr'][0], input.src);
    this.address(bytes, base + this.wire.layout['vd_headers.daddr'][0], input.dst);
    const flags = [...(input.flags ?? '')].reduce((bits, letter) => bits | FLAG_BITS[letter], 0);
    const ethertype = proto === 'arp' ? 0x0806 : version === 6 ? 0x86dd : version === 4 ? 0x0800 : 0;
    const be = {
      ...{ sport: input.sport, dport: input.dport, ip_id: input.ipId, frag: input.frag, seq: input.seq },
      ...{ ack: input.ack, window: input.window, ethertype },
    };
    const he = {
      ...{ payload: input.payload, proto: typeof proto === 'number' ? proto : PROTOCOLS[proto], version },
      ...{ ttl: input.ttl ?? 64, tcp_flags: flags, icmp_type: input.icmpType, icmp_code: input.icmpCode },
      ...{ tunnel: input.tunnel, tunnel_id: input.tunnelId },
    };
    for (const [name, value] of Object.entries(be)) this.put(bytes, base, `vd_headers.${name}`, value, false);
    for (const [name, value] of Object.entries(he)) this.put(bytes, base, `vd_headers.${name}`, value);
  }

  private put(bytes: Uint8Array, base: number, member: string, value = 0, little = true): void {
    const [offset, size] = this.wire.layout[member];
    const view = new DataView(bytes.buffer);
    if (size === 8) view.setBigInt64(base + offset, BigInt(value), little);
    else if (size === 4) view.setUint32(base + offset, value >>> 0, little);
    else if (size === 2) view.setUint16(base + offset, value, little);
    else view.setUint8(base + offset, value);
  }

  private text(bytes: Uint8Array, member: string, value = ''): void {
    const [offset, size] = this.wire.layout[member];
    bytes.set(new TextEncoder().encode(value).subarray(0, size), offset);
  }

  private address(bytes: Uint8Array, offset: number, text = ''): void {
    if (text !== '') bytes.set(ipaddr.parse(text).toByteArray(), offset);
  }
}
