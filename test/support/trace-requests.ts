import { KernelBtf } from '../../src/bpf/btf.js';
import type { AttachRequest } from '../../src/bpf/types.js';

const DEFAULT_POINTS: readonly [tracepoint: string, program: string, args: Record<string, number>][] = [
  ['netif_receive_skb', 'skb', { skb: 0 }],
  ['net_dev_queue', 'skb', { skb: 0 }],
  ['net_dev_start_xmit', 'skb', { skb: 0 }],
  ['net_dev_xmit', 'xmit', { skb: 0, rc: 1 }],
  ['consume_skb', 'free', { skb: 0 }],
  ['kfree_skb', 'drop', { skb: 0, location: 1, reason: 2 }],
  ['skb_copy_datagram_iovec', 'deliver', { skb: 0 }],
  ['qdisc_enqueue', 'qdisc', { qdisc: 0, skb: 2 }],
  ['qdisc_dequeue', 'qdisc', { qdisc: 0, packets: 2, skb: 3 }],
  ['inet_sock_set_state', 'socket', { sk: 0, old: 1, new: 2 }],
  ['neigh_update', 'neigh', { neigh: 0, new: 2 }],
  ['icmp_send', 'icmp', { skb: 0, type: 1, code: 2 }],
  ['tcp_send_reset', 'socket', { sk: 0, skb: 1 }],
  ['sched_wakeup', 'sched', { task: 0 }],
  ['sched_switch', 'sched', { preempt: 0, prev: 1, next: 2 }],
];

/** The tracepoints that this kernel has of those that tests of the kernel side watch. */
export function tracepointRequests(names = DEFAULT_POINTS.map(([name]) => name)): AttachRequest[] {
  const btf = KernelBtf.load();
  return DEFAULT_POINTS.flatMap(([target, program, positions], index): AttachRequest[] => {
    const nargs = btf.tracepointArgs(target)?.length;
    if (nargs === undefined || !names.includes(target)) return [];
    const args = Object.fromEntries(Object.entries(positions).filter(([, position]) => position < nargs));
    return [{ index, program, backend: 'raw-tracepoint', target, args, nargs, wantReturn: false }];
  });
}

/** Name of a probe by the number in its records. */
export function probeName(index: number): string {
  return DEFAULT_POINTS[index][0];
}
