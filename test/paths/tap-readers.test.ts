import { expect } from 'chai';
import { echo, MS, TAP1, TAP2, Traffic, US } from '../support/traffic.js';

const A = '10.0.0.5';
const B = '10.0.0.6';

describe('readers of taps', () => {
  it('know the vhost thread of a consumer by its name when it was made after the run began', () => {
    const read = (comm: string): number => {
      const traffic = new Traffic();
      traffic.writer.sched({ ts: US, probe: 'sched_switch', pid: 5000, tid: 5000, wait: US, comm });
      const packet = traffic.packet(MS, 'netif_receive_skb', TAP1, echo(A, B, 1));
      packet.hop(MS + US, 'net_dev_queue', TAP2).hop(MS + 2 * US, 'net_dev_start_xmit', TAP2);
      packet.hop(MS + 3 * US, 'net_dev_xmit', TAP2);
      packet.hop(MS + 54 * US, 'skb_copy_datagram_iovec', TAP2, { pid: 5000, tid: 5000 });
      const consumer = { pid: 4711, comm: 'qemu', tids: [4711] };
      const devices = [{ ...TAP2, netns: 100, name: 'tap2', kind: 'tap', consumer }];
      const { segments } = traffic.analyse({ devices }).pairs[0];
      return segments.find(({ spec }) => spec.id === 'ring')?.latency.count ?? 0;
    };
    expect(read('vhost-4711')).to.equal(1);
    expect(read('vhost-4712')).to.equal(0);
    expect(read('tcpdump')).to.equal(0);
  });

  it('are no readers who take in what a device receives, unless it is a kernel thread that does this alone', () => {
    const takenInBy = (comm: string): unknown => {
      const traffic = new Traffic();
      traffic.writer.sched({ ts: US, probe: 'sched_switch', pid: 259, tid: 259, wait: US, comm });
      const [inA, vma] = [
        { dev: 'eth0', ifindex: 2, netns: 300 },
        { dev: 'vma', ifindex: 3, netns: 100 },
      ];
      const packet = traffic.packet(MS, 'net_dev_queue', inA, echo(A, B, 1));
      packet.hop(MS + US, 'net_dev_start_xmit', inA).hop(MS + 2 * US, 'net_dev_xmit', inA);
      packet.hop(90 * MS, 'netif_receive_skb', vma, { pid: 259, tid: 259 });
      const devices = [
        { ...inA, name: 'eth0', kind: 'veth' },
        { ...vma, name: 'vma', kind: 'veth' },
      ];
      const { segments } = traffic.analyse({ devices }).pairs[0];
      return segments.find(({ spec }) => spec.id === 'link')?.consumer;
    };
    expect(takenInBy('napi/vma-259')).to.deep.equal({ pid: 259, tid: 259, softirq: true });
    expect(takenInBy('ksoftirqd/1')).to.deep.equal({ pid: 259, tid: 259, softirq: true });
    expect(takenInBy('qemu')).to.equal(undefined);
  });

  it('are not who reads a socket to which the packet came after it had left the tap', () => {
    const traffic = new Traffic();
    const packet = traffic.packet(MS, 'netif_receive_skb', TAP1, echo(A, B, 1));
    packet.hop(MS + US, 'net_dev_queue', TAP2).hop(MS + 2 * US, 'net_dev_start_xmit', TAP2);
    packet.hop(MS + 3 * US, 'net_dev_xmit', TAP2);
    packet.hop(MS + 53 * US, 'skb_copy_datagram_iovec', TAP2, { pid: 4711 });
    // Whoever read it carries it on: it comes back to this host.
    const inB = { dev: 'eth0', ifindex: 2, netns: 300 };
    packet.hop(2 * MS, 'netif_receive_skb', inB, { skb: 0x99900 });
    packet.hop(900 * MS, 'skb_copy_datagram_iovec', { ...inB, dev: '', ifindex: 0 }, { skb: 0x99900, pid: 999 });
    const rings = traffic.analyse().pairs[0].segments.filter(({ spec }) => spec.id === 'ring');
    expect(rings.map(({ label, latency }) => [label, latency.count])).to.deep.equal([
      ['tap2 ring → read by db-1 (pid 4711)', 1],
    ]);
  });
});
