import { readFileSync } from 'node:fs';
import { VdiagError } from '../base/errors.js';
import { printable } from '../base/sanitize.js';
import { openReader } from '../bpf/reader.js';
import { OWN_TRAFFIC, type OwnTraffic, sendOwnTraffic } from '../bpf/self-test/own-traffic.js';
import { openTrace } from '../bpf/trace-session.js';
import type { AttachRequest, Flavour, TraceSession } from '../bpf/types.js';
import { VD_KIND, WIRE_LAYOUT } from '../events/wire.gen.js';

/** One thing that was read in the kernel and is known otherwise. */
export interface LiveFact {
  /** Members of kernel structures that it was read through. */
  members: string;
  what: string;
  expected: string;
  /** `nothing` when no record told it. */
  seen: string;
  ok: boolean;
}

/** Raw tracepoints whose first arguments have been the same since 4.16, so that the types in question need not tell. */
const PROBES: readonly Pick<AttachRequest, 'target' | 'program' | 'args' | 'nargs'>[] = [
  { target: 'net_dev_queue', program: 'skb', args: { skb: 0 }, nargs: 1 },
  { target: 'netif_receive_skb', program: 'skb', args: { skb: 0 }, nargs: 1 },
  { target: 'inet_sock_set_state', program: 'socket', args: { sk: 0, old: 1, new: 2 }, nargs: 3 },
  { target: 'sched_wakeup', program: 'sched', args: { task: 0 }, nargs: 1 },
  { target: 'sched_switch', program: 'sched', args: { preempt: 0, prev: 1, next: 2 }, nargs: 3 },
];
const [QUEUE, RECEIVE, STATE] = [0, 1, 2];

const TCP_LISTEN = 10;
const IP_AND_UDP = 28;
const ETHERNET = 14;
const UDP = 17;
const TCP = 6;
/** ms to sleep so that this thread is switched out and in. */
const NAP_MS = 3;
const NAPS = 5;

/**
 * Traces packets that vdiag sends to itself, in a namespace of its own, and compares what is read in the kernel with what
 * was sent. Takes some tens of ms; other traffic is not recorded (the filter goes by this process, not by what is read).
 * @param btfFile the types in question; the kernel's own when absent
 * @param flavour the object whose programs read them; absent: what this kernel runs
 * @throws VdiagError (status 3) when the kernel refuses the programs, or this process may not make a namespace
 */
export function checkLive(btfFile?: string, flavour?: Flavour): LiveFact[] {
  const types = { ...(btfFile !== undefined && { btfFile }), ...(flavour && { flavour }) };
  const all = traceOwn(PROBES.keys(), types, NAPS);
  // By itself: a received packet has no socket yet, and no earlier probe that knew its namespace.
  const alone = traceOwn([RECEIVE], types, 0);
  return [...receivedFacts(alone), ...compare(all)];
}

/** What was sent, what was recorded of it, and by which probes. */
interface OwnTrace {
  traffic: OwnTraffic;
  records: Record[];
  attached: ReadonlySet<number>;
}

function traceOwn(probes: Iterable<number>, types: { btfFile?: string; flavour?: Flavour }, naps: number): OwnTrace {
  const session = openTrace({
    requests: [...probes].map((index) => ({
      ...PROBES[index]!,
      index,
      backend: 'raw-tracepoint',
      wantReturn: false,
    })),
    filter: { pid: process.pid },
    ringBytes: 1 << 20,
    watchTids: [process.pid],
    ...types,
  });
  try {
    const traffic = send();
    const idle = new Int32Array(new SharedArrayBuffer(4));
    for (let i = 0; i < naps; i++) Atomics.wait(idle, 0, 0, NAP_MS);
    session.detach();
    return { traffic, records: readAll(session), attached: new Set(session.attached.map(({ index }) => index)) };
  } finally {
    session.close();
  }
}

function send(): OwnTraffic {
  try {
    return sendOwnTraffic();
  } catch (error) {
    throw new VdiagError(
      {
        message: `the kernel's types cannot be checked: vdiag cannot send packets to itself: ${(error as Error).message}`,
        expected: 'root, or CAP_SYS_ADMIN for a network namespace of its own',
      },
      3,
      { cause: error },
    );
  }
}

/** One record, copied out of the ring. */
class Record {
  constructor(private readonly bytes: Buffer) {}

  number(member: keyof typeof WIRE_LAYOUT): number {
    const [offset, size] = WIRE_LAYOUT[member];
    return this.bytes.readUIntLE(offset, size);
  }

  port(member: keyof typeof WIRE_LAYOUT): number {
    return this.bytes.readUInt16BE(WIRE_LAYOUT[member][0]);
  }

  text(member: keyof typeof WIRE_LAYOUT): string {
    const [offset, size] = WIRE_LAYOUT[member];
    return printable(this.bytes.toString('latin1', offset, offset + size).split('\0', 1)[0] ?? '');
  }

  address(member: keyof typeof WIRE_LAYOUT): string {
    const [offset] = WIRE_LAYOUT[member];
    return [...this.bytes.subarray(offset, offset + 4)].join('.');
  }

  get probe(): number {
    return this.number('vd_hop.probe');
  }

  get kind(): number {
    return this.number('vd_hop.kind');
  }
}

function readAll(session: TraceSession): Record[] {
  const DISCARDED = 0x40000000;
  const records: Record[] = [];
  const reader = openReader(session.ring);
  try {
    reader.drain(({ u8, start, end }) => {
      const ring = Buffer.from(u8.buffer, u8.byteOffset, u8.byteLength);
      for (let at = start; at < end;) {
        const header = ring.readUInt32LE(at);
        const length = header & 0x3fffffff;
        if (!(header & DISCARDED)) records.push(new Record(Buffer.from(ring.subarray(at + 8, at + 8 + length))));
        at += (length + 15) & ~7;
      }
    });
  } finally {
    reader.close();
  }
  return records;
}

function receivedFacts({ records, traffic }: OwnTrace): LiveFact[] {
  const namespaces = records.map((one) => one.number('vd_hop.netns'));
  const seen = namespaces.find((one) => one !== traffic.netns) ?? namespaces[0];
  return [fact('namespace of a device', 'net_device.nd_net, net.ns.inum', traffic.netns, seen)];
}

function compare({ records, traffic, attached }: OwnTrace): LiveFact[] {
  const packets = records.filter(({ kind }) => kind === VD_KIND.PACKET);
  const udp = packets.find((one) => one.probe === QUEUE && one.port('vd_packet.outer.dport') === OWN_TRAFFIC.udpPort);
  // The first packet of this process in its namespace is the datagram, whatever was read of it.
  const sent = udp ?? records.find(({ probe }) => probe === QUEUE);
  const received = records.find(({ probe }) => probe === RECEIVE);
  const sockets = records.filter(({ kind, probe }) => kind === VD_KIND.SOCKET && probe === STATE);
  const listening = sockets.find((one) => one.number('vd_hop.b') === TCP_LISTEN);
  const connecting = sockets.find((one) => one.number('vd_socket.dport') === OWN_TRAFFIC.tcpPort);
  const client = connecting ?? sockets.find((one) => one !== listening);
  return [
    ...packetFacts(sent, received, traffic),
    ...(attached.has(STATE) ? socketFacts(client, listening, traffic) : []),
    ...(attached.has(PROBES.length - 1) ? taskFacts(records) : []),
  ];
}

function packetFacts(sent: Record | undefined, received: Record | undefined, { netns }: OwnTraffic): LiveFact[] {
  const packet = sent?.kind === VD_KIND.PACKET ? sent : undefined;
  const { device, ifindex, address, udpPort, payload, mark } = OWN_TRAFFIC;
  return [
    fact('device', 'sk_buff.dev, net_device.name', device, sent?.text('vd_hop.dev')),
    fact('device number', 'net_device.ifindex', ifindex, sent?.number('vd_hop.ifindex')),
    fact('network namespace', 'net_device.nd_net, net.ns.inum', netns, sent?.number('vd_hop.netns')),
    fact('length as sent', 'sk_buff.len', payload + IP_AND_UDP + ETHERNET, sent?.number('vd_hop.len')),
    fact('length as received', 'sk_buff.len', payload + IP_AND_UDP, received?.number('vd_hop.len')),
    fact('mark', 'sk_buff.mark', mark, sent?.number('vd_hop.mark')),
    fact(
      'IP version',
      'sk_buff.head, .data, .network_header, .protocol, .len, .data_len',
      4,
      packet?.number('vd_packet.outer.version'),
    ),
    fact('protocol', 'sk_buff.network_header', UDP, packet?.number('vd_packet.outer.proto')),
    fact('destination address', 'sk_buff.network_header', address, packet?.address('vd_packet.outer.daddr')),
    fact('destination port', 'sk_buff.network_header', udpPort, packet?.port('vd_packet.outer.dport')),
    fact('segment size', 'sk_buff.end, skb_shared_info.gso_size', 0, packet?.number('vd_packet.gso_size')),
    fact('VLAN', 'sk_buff.vlan_tci, .vlan_all', 0, packet?.number('vd_packet.vlan')),
  ];
}

function socketFacts(client: Record | undefined, listener: Record | undefined, traffic: OwnTraffic): LiveFact[] {
  const { address, tcpPort, mark, backlog } = OWN_TRAFFIC;
  const common = (name: string): string => `sock.__sk_common.${name}`;
  return [
    fact('address family of a socket', common('skc_family'), 2, client?.number('vd_socket.family')),
    fact('peer of a socket', common('skc_daddr'), address, client?.address('vd_socket.daddr')),
    fact('port of its peer', common('skc_dport'), tcpPort, client?.number('vd_socket.dport')),
    fact('protocol of a socket', 'sock.sk_protocol', TCP, client?.number('vd_socket.protocol')),
    fact('namespace of a socket', common('skc_net'), traffic.netns, client?.number('vd_hop.netns')),
    fact('mark of a socket', 'sock.sk_mark', mark, client?.number('vd_hop.mark')),
    fact('receive buffer', 'sock.sk_rcvbuf', traffic.rcvbuf, client?.number('vd_socket.rcvbuf')),
    fact('send buffer', 'sock.sk_sndbuf', traffic.sndbuf, client?.number('vd_socket.sndbuf')),
    fact('address of a listener', common('skc_rcv_saddr'), address, listener?.address('vd_socket.saddr')),
    fact('port of a listener', 'inet_sock.inet_sport', tcpPort, listener?.number('vd_socket.sport')),
    fact('backlog', 'sock.sk_max_ack_backlog', backlog, listener?.number('vd_socket.backlog_max')),
  ];
}

function taskFacts(records: readonly Record[]): LiveFact[] {
  const waits = records.filter(({ kind }) => kind === VD_KIND.SCHED);
  const slept = waits.find((one) => one.number('vd_hop.a') === 0) ?? waits[0];
  const name = readFileSync(`/proc/self/task/${process.pid}/comm`, 'latin1').trim();
  return [
    fact('thread that was woken', 'task_struct.pid', process.pid, slept?.number('vd_hop.tid')),
    fact('its process', 'task_struct.tgid', process.pid, slept?.number('vd_hop.pid')),
    fact('its name', 'task_struct.comm', printable(name), slept?.text('vd_sched.comm')),
    fact('whether it slept', 'task_struct.__state or .state', 0, slept?.number('vd_hop.a')),
  ];
}

function fact(what: string, members: string, expected: string | number, seen: string | number | undefined): LiveFact {
  const told = seen === undefined ? 'nothing' : String(seen);
  return { what, members, expected: String(expected), seen: told, ok: seen === expected };
}
