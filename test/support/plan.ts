import type { KernelCapabilities, ProbePlan, ProbePoint } from '../../src/probes/types.js';

/** A kernel that can attach in every way. */
export const EVERYTHING: KernelCapabilities = {
  ...{ release: 'test', arch: 'x64', btf: true, ringBuffer: true, rawTracepoint: true, tracepoint: true },
  ...{
    kprobe: true,
    kretprobe: true,
    kprobeMulti: true,
    kprobeSession: true,
    fentry: true,
    dropReasons: true,
    lacks: [],
  },
};
export const TRACEPOINTS_ONLY = {
  ...EVERYTHING,
  kprobe: false,
  kretprobe: false,
  kprobeMulti: false,
  kprobeSession: false,
  fentry: false,
};

type Short = Partial<ProbePoint> & Pick<ProbePoint, 'name' | 'group' | 'role'>;

/** A plan out of short descriptions; indices in order from 0. */
export function planOf(points: readonly Short[]): ProbePlan {
  return {
    set: 'standard',
    probes: points.map((point, index) => ({
      index,
      point: { set: 'basic', program: 'skb', hides: `what ${point.name} shows`, hidesZh: point.name, ...point },
      backend: 'raw-tracepoint',
      target: point.name,
      reasons: [],
    })),
  };
}

/** The points that tests speak of, one for each role that paths care about. */
export const TEST_PLAN = planOf([
  { name: 'netif_receive_skb', group: 'l2', role: 'receive' },
  { name: 'net_dev_queue', group: 'l2', role: 'queue' },
  { name: 'qdisc_enqueue', group: 'l2', role: 'enqueue', fields: { a: 'qlen' } },
  { name: 'qdisc_dequeue', group: 'l2', role: 'dequeue' },
  { name: 'net_dev_start_xmit', group: 'l2', role: 'transmit' },
  { name: 'net_dev_xmit', group: 'l2', role: 'transmitted', returns: 'netdev-tx' },
  { name: 'skb_copy_datagram_iovec', group: 'socket', role: 'deliver' },
  { name: 'ip_forward', group: 'l3', role: 'forward' },
  { name: 'tcp_v4_rcv', group: 'l4', role: 'local-in' },
  { name: '__ip_local_out', group: 'l3', role: 'local-out', returns: 'errno' },
  { name: 'nft_do_chain', group: 'netfilter', role: 'verdict', returns: 'nf-verdict' },
  { name: 'consume_skb', group: 'lifecycle', role: 'free' },
  { name: 'kfree_skb', group: 'lifecycle', role: 'drop', returns: 'drop-reason' },
  { name: 'skb_clone', group: 'lifecycle', role: 'clone' },
  { name: 'inet_sock_set_state', group: 'socket', role: 'socket-state' },
  { name: 'neigh_update', group: 'l2', role: 'neighbour' },
  { name: 'icmp_send', group: 'l3', role: 'icmp-error', fields: { a: 'icmpType', b: 'icmpCode' } },
  { name: 'sched_switch', group: 'sched', role: 'sched' },
  { name: 'tcp_retransmit_skb', group: 'l4', role: 'retransmit' },
  { name: 'napi_gro_receive_entry', group: 'l2', role: 'other' },
  { name: 'skb_gro_receive', group: 'lifecycle', role: 'other', returns: 'errno' },
]);
