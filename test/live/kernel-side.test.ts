import { expect } from 'chai';
import { KernelBtf } from '../../src/bpf/btf.js';
import { openTrace } from '../../src/bpf/trace-session.js';
import type { Flavour, KernelFilter, TraceSession } from '../../src/bpf/types.js';
import { inNamespace, ip, TestNetwork } from '../support/network-namespaces.js';
import { type RingRecord, readRing } from '../support/ring-records.js';
import { probeName, tracepointRequests } from '../support/trace-requests.js';

/** Runs some traffic under a trace; what was recorded, in order of time. */
function traceWith(
  flavour: Flavour,
  filter: KernelFilter,
  traffic: () => void,
  watchTids: number[] = [],
): RingRecord[] {
  const options = { flavour, filter, ringBytes: 4 << 20, watchTids };
  const session: TraceSession = openTrace({ requests: tracepointRequests(), ...options });
  try {
    expect(session.failed).to.deep.equal([]);
    traffic();
    session.detach();
    const records = readRing(session).sort((a, b) => a.ts - b.ts);
    expect(session.counters()).to.deep.equal({
      ...{
        ringFull: 0,
        perfLost: 0,
        noWorkSpace: 0,
        pathsForgotten: 0,
        copiesForgotten: 0,
        parseFailures: 0,
        missedReturns: 0,
      },
    });
    return records;
  } finally {
    session.close();
  }
}

const names = (records: readonly RingRecord[]): string[] =>
  records.map(({ probe, dev }) => `${probeName(probe)}${dev && ` ${dev}`}`);

/** Records by path, in the order in which the paths began. */
function byPath(records: readonly RingRecord[]): RingRecord[][] {
  const paths = new Map<number, RingRecord[]>();
  for (const record of records) {
    if (record.path === 0) continue;
    paths.set(record.path, [...(paths.get(record.path) ?? []), record]);
  }
  return [...paths.values()];
}

for (const flavour of ['modern', 'legacy'] as const)
  describe(`the kernel side, ${flavour}, live`, () => {
    const trace = (filter: KernelFilter, traffic: () => void, watchTids?: number[]): RingRecord[] =>
      traceWith(flavour, filter, traffic, watchTids);

    const network = new TestNetwork('vd-a-');
    afterEach(() => network.remove());

    /** a (10.187.0.1) — bridge — b (10.187.0.2) */
    function bridged(): { a: string; b: string; host: string } {
      const [a, b, host] = ['a', 'b', 'host'].map((name) => network.add(name));
      ip('-n', host, 'link', 'add', 'br0', 'type', 'bridge');
      ip('-n', host, 'link', 'set', 'br0', 'up');
      network.veth([a, 'eth0', '10.187.0.1/24'], [host, 'pa']);
      network.veth([b, 'eth0', '10.187.0.2/24'], [host, 'pb']);
      for (const port of ['pa', 'pb']) ip('-n', host, 'link', 'set', port, 'master', 'br0');
      return { a, b, host };
    }

    it('follows a packet across veth, bridge and namespaces as one path, to its reader', () => {
      const { a, b, host } = bridged();
      inNamespace(a, 'ping', '-c1', '-W2', '10.187.0.2');
      const records = trace({ src: '10.187.0.1', dst: '10.187.0.2', proto: 'icmp' }, () => {
        inNamespace(a, 'ping', '-c1', '-W2', '10.187.0.2');
      });
      const [request, reply, ...more] = byPath(records);
      expect(more).to.deep.equal([]);
      expect(names(request).slice(0, 8)).to.deep.equal([
        'net_dev_queue eth0',
        'net_dev_start_xmit eth0',
        'net_dev_xmit eth0',
        'netif_receive_skb pa',
        'net_dev_queue pb',
        'net_dev_start_xmit pb',
        'net_dev_xmit pb',
        'netif_receive_skb eth0',
      ]);
      expect(request[0].outer).to.deep.include({
        src: '10.187.0.1',
        dst: '10.187.0.2',
        proto: 1,
        icmpType: 8,
        ttl: 64,
        dport: 1,
      });
      expect(request[0]).to.deep.include({ kind: 'PACKET', flags: ['BORN'], netns: network.inode(a), len: 98 });
      expect(request[3].netns).to.equal(network.inode(host));
      expect(request[7].netns).to.equal(network.inode(b));
      expect(request.slice(1).map(({ kind }) => kind)).to.satisfy((kinds: string[]) =>
        kinds.every((kind) => kind === 'HOP'),
      );
      expect(reply[0].outer).to.deep.include({ src: '10.187.0.2', dst: '10.187.0.1', icmpType: 0 });
      // ping's raw socket gets a copy, which is known again.
      const delivered = reply.find(({ probe }) => probeName(probe) === 'skb_copy_datagram_iovec');
      expect(delivered?.flags).to.deep.equal(['CLONED']);
      expect(delivered?.pid).to.be.greaterThan(0);
    });

    it('lets through only what the filter says', () => {
      const { a, b } = bridged();
      ip('-n', b, 'addr', 'add', '10.187.0.3/24', 'dev', 'eth0');
      const traffic = (): void => {
        inNamespace(a, 'ping', '-c1', '-W2', '10.187.0.2');
        inNamespace(a, 'ping', '-c1', '-W2', '10.187.0.3');
        inNamespace(a, 'busybox', 'nc', '-w1', '10.187.0.2', '99');
      };
      traffic();
      const packets = (filter: KernelFilter): string[] => [
        ...new Set(
          trace(filter, traffic)
            .flatMap(({ outer }) => (outer ? [outer] : []))
            .map(({ src, dst, proto, ethertype }) => `${ethertype === 0x806 ? 'arp' : proto} ${src} ${dst}`),
        ),
      ];
      expect(packets({ dst: '10.187.0.3', proto: 'icmp' })).to.deep.equal([
        '1 10.187.0.1 10.187.0.3',
        '1 10.187.0.3 10.187.0.1',
      ]);
      expect(packets({ src: '10.187.0.2/31', proto: 'icmp' })).to.have.length(4);
      expect(packets({ port: 99 })).to.deep.equal(['6 10.187.0.1 10.187.0.2', '6 10.187.0.2 10.187.0.1']);
      expect(packets({ proto: 'tcp', netns: [network.inode(b)] })).to.have.length(2);
      expect(packets({ src: '10.99.0.0/16' })).to.deep.equal([]);
      expect(packets({ mark: { value: 7, mask: 0xff } })).to.deep.equal([]);
      expect(packets({ netns: [network.inode(a)], ifindex: [4_000_000] })).to.deep.equal([]);
      expect(packets({ pid: 0x7ffffffe })).to.deep.equal([]);
    });

    it('matches ARP by its addresses, and tells the neighbour', () => {
      const { a } = bridged();
      const records = trace({ src: '10.187.0.1', dst: '10.187.0.2', proto: 'arp' }, () => {
        inNamespace(a, 'ping', '-c1', '-W2', '10.187.0.2');
      });
      const [ask, ...others] = byPath(records);
      // The bridge floods copies of the question; ARP has nothing to know them again by.
      const answer = others.find(([{ outer }]) => outer?.proto === 2) ?? [];
      expect(ask[0].outer).to.deep.include({
        ethertype: 0x806,
        proto: 1,
        src: '10.187.0.1',
        dst: '10.187.0.2',
        version: 0,
      });
      expect(answer[0].outer).to.deep.include({ ethertype: 0x806, proto: 2, src: '10.187.0.2', dst: '10.187.0.1' });
      const neighbours = trace({ dst: '10.187.0.9' }, () => {
        ip('-n', a, 'neigh', 'replace', '10.187.0.9', 'lladdr', '02:00:00:00:00:09', 'dev', 'eth0');
      });
      expect(names(neighbours)).to.deep.equal(['neigh_update eth0']);
      expect(neighbours[0]).to.deep.include({ kind: 'SOCKET', b: 0x80 });
      expect(neighbours[0].socket).to.deep.include({ dst: '10.187.0.9', family: 2 });
    });

    it('tells drops with reason and location, also of packets that nothing saw before', () => {
      const { a, b } = bridged();
      inNamespace(
        b,
        'nft',
        'add table ip t; add chain ip t in { type filter hook input priority 0; }; add rule ip t in icmp type echo-request drop',
      );
      const session = openTrace({
        flavour,
        requests: tracepointRequests(['kfree_skb']),
        filter: { proto: 'icmp', src: '10.187.0.1' },
        ringBytes: 1 << 20,
      });
      inNamespace(a, 'ping', '-c1', '-W1', '10.187.0.2');
      session.detach();
      const drops = readRing(session);
      session.close();
      expect(drops).to.have.length(1);
      expect(drops[0].flags).to.have.members(['FREED', 'DROPPED', 'BORN']);
      expect(KernelBtf.load().enumValues('skb_drop_reason').get(drops[0].ret)).to.equal(
        'SKB_DROP_REASON_NETFILTER_DROP',
      );
      expect(drops[0].aux).to.be.greaterThan(0xffff_0000_0000);
      expect(drops[0].dev).to.equal('eth0');
      expect(drops[0].outer).to.deep.include({ src: '10.187.0.1', dst: '10.187.0.2' });
    });

    it('keeps the path of a packet that NAT rewrites, and says so', () => {
      const [a, r, b] = ['a', 'r', 'b'].map((name) => network.add(name));
      network.veth([a, 'eth0', '10.188.1.2/24'], [r, 'ra', '10.188.1.1/24']);
      network.veth([b, 'eth0', '10.188.2.2/24'], [r, 'rb', '10.188.2.1/24']);
      ip('-n', a, 'route', 'add', 'default', 'via', '10.188.1.1');
      ip('-n', b, 'route', 'add', 'default', 'via', '10.188.2.1');
      inNamespace(r, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
      inNamespace(
        r,
        'nft',
        'add table ip t; add chain ip t post { type nat hook postrouting priority 100; }; add rule ip t post oifname rb masquerade',
      );
      const records = trace({ src: '10.188.1.2', proto: 'icmp' }, () => {
        inNamespace(a, 'ping', '-c1', '-W2', '10.188.2.2');
      });
      const [request, reply] = byPath(records);
      const rewritten = request.filter(({ flags }) => flags.includes('REWRITTEN'));
      expect(names(rewritten)).to.deep.equal(['net_dev_queue rb']);
      expect(rewritten[0].outer).to.deep.include({ src: '10.188.2.1', dst: '10.188.2.2', ttl: 63 });
      expect(names(request)).to.include('netif_receive_skb eth0');
      // The reply does not match at b, whose peer is the router; after the translation back it does.
      expect(reply[0].outer).to.deep.include({ src: '10.188.2.2', dst: '10.188.1.2' });
    });

    it('knows a packet inside its tunnel', () => {
      const [a, b] = ['a', 'b'].map((name) => network.add(name));
      network.veth([a, 'eth0', '10.189.0.1/24'], [b, 'eth0', '10.189.0.2/24']);
      for (const [ns, own, peer] of [
        [a, '1', '2'],
        [b, '2', '1'],
      ]) {
        ip(
          '-n',
          ns,
          'link',
          'add',
          'vx0',
          'type',
          'vxlan',
          'id',
          '42',
          'dstport',
          '4789',
          'dev',
          'eth0',
          'remote',
          `10.189.0.${peer}`,
        );
        ip('-n', ns, 'addr', 'add', `10.190.0.${own}/24`, 'dev', 'vx0');
        ip('-n', ns, 'link', 'set', 'vx0', 'up');
      }
      inNamespace(a, 'ping', '-c1', '-W2', '10.190.0.2');
      const records = trace({ src: '10.190.0.1', dst: '10.190.0.2', proto: 'icmp' }, () => {
        inNamespace(a, 'ping', '-c1', '-W2', '10.190.0.2');
      });
      const paths = byPath(records);
      expect(paths).to.have.length(2);
      const told = paths[0].filter(({ kind }) => kind === 'PACKET');
      expect(told.map(({ dev, flags }) => `${dev} ${flags.join()}`)).to.deep.equal([
        'vx0 BORN',
        'eth0 TUNNEL',
        'vx0 TUNNEL',
      ]);
      expect(told[1].outer).to.deep.include({ src: '10.189.0.1', dst: '10.189.0.2', proto: 17, dport: 4789 });
      expect(told[1].inner).to.deep.include({
        src: '10.190.0.1',
        dst: '10.190.0.2',
        icmpType: 8,
        tunnel: 1,
        tunnelId: 42,
      });
      // Filtered by the outer addresses, the packet begins where they are.
      const outer = trace({ src: '10.189.0.1', dst: '10.189.0.2', proto: 'udp' }, () => {
        inNamespace(a, 'ping', '-c1', '-W2', '10.190.0.2');
      });
      expect(byPath(outer)[0][0]).to.deep.include({ dev: 'eth0', kind: 'PACKET' });
    });

    it('tells connections, resets and ICMP errors, these also by the packet they quote', () => {
      const { a, b } = bridged();
      const records = trace({ port: 99, src: '10.187.0.1' }, () => {
        inNamespace(a, 'busybox', 'nc', '-w1', '10.187.0.2', '99');
        inNamespace(a, 'sh', '-c', 'echo x | socat -t0.1 - UDP:10.187.0.2:99');
      });
      const states = records.filter(({ probe }) => probeName(probe) === 'inet_sock_set_state');
      expect(states.map(({ a: from, b: to }) => `${from}>${to}`)).to.deep.equal(['7>2', '2>7']);
      expect(states[1].socket).to.deep.include({ src: '10.187.0.1', dst: '10.187.0.2', dport: 99, protocol: 6 });
      expect(states[1].socket?.sport).to.be.greaterThan(1024);
      const reset = records.find(({ probe }) => probeName(probe) === 'tcp_send_reset');
      expect(reset).to.deep.include({ kind: 'HOP', netns: network.inode(b) });
      const error = records.find(({ outer }) => outer?.icmpType === 3);
      expect(error?.outer).to.deep.include({ src: '10.187.0.2', dst: '10.187.0.1', proto: 1 });
      expect(error?.inner).to.deep.include({ src: '10.187.0.1', dst: '10.187.0.2', proto: 17, dport: 99, tunnel: 0 });
      const sent = records.find(({ probe }) => probeName(probe) === 'icmp_send');
      expect(sent).to.deep.include({ a: 3, b: 3 });
    });

    it('tells what a qdisc holds back', () => {
      const { a, host } = bridged();
      execTbf(host);
      const records = trace({ src: '10.187.0.1', proto: 'icmp' }, () => {
        inNamespace(a, 'ping', '-c3', '-i0.002', '-W2', '-s1400', '10.187.0.2');
      });
      const enqueued = records.filter(({ probe, dev }) => probeName(probe) === 'qdisc_enqueue' && dev === 'pb');
      const dequeued = records.filter(({ probe, dev }) => probeName(probe) === 'qdisc_dequeue' && dev === 'pb');
      expect(enqueued).to.have.length(3);
      expect(dequeued.map(({ path }) => path)).to.deep.equal(enqueued.map(({ path }) => path));
      expect(enqueued[0].a).to.equal(0x10000);
      expect(dequeued[2].ts - enqueued[2].ts).to.be.greaterThan(5e6);
    });

    function execTbf(host: string): void {
      inNamespace(
        host,
        'tc',
        'qdisc',
        'add',
        'dev',
        'pb',
        'root',
        'handle',
        '1:',
        'tbf',
        'rate',
        '1mbit',
        'burst',
        '1600',
        'latency',
        '500ms',
      );
    }

    it('tells how long a watched thread waited for a CPU', async () => {
      const session = openTrace({
        flavour,
        requests: tracepointRequests(['sched_wakeup', 'sched_switch']),
        filter: {},
        ringBytes: 1 << 20,
        watchTids: [process.pid],
      });
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 5));
      session.detach();
      const waits = readRing(session);
      session.close();
      expect(waits.length).to.be.greaterThan(3);
      for (const wait of waits) expect(wait).to.deep.include({ kind: 'SCHED', tid: process.pid, pid: process.pid });
      expect(waits[0].comm).to.not.equal('');
      expect(Math.max(...waits.map(({ wait }) => wait ?? 0)))
        .to.be.greaterThan(0)
        .and.below(1e9);
    });

    it('watches by itself the thread that takes a matching packet', () => {
      const { a } = bridged();
      const session = openTrace({
        flavour,
        requests: tracepointRequests(['skb_copy_datagram_iovec', 'netif_receive_skb', 'sched_wakeup', 'sched_switch']),
        filter: { src: '10.187.0.1', dst: '10.187.0.2', proto: 'icmp' },
        ringBytes: 1 << 20,
        autoWatch: true,
      });
      inNamespace(a, 'ping', '-c3', '-i0.1', '-W2', '10.187.0.2');
      session.detach();
      const records = readRing(session);
      session.close();
      expect(new Set(records.filter(({ kind }) => kind === 'SCHED').map(({ comm }) => comm))).to.deep.equal(
        new Set(['ping']),
      );
    });

    it('loses nothing silently: a ring that is too small counts what it could not hold', () => {
      const { a } = bridged();
      const session = openTrace({
        flavour,
        requests: tracepointRequests(),
        filter: { proto: 'icmp' },
        ringBytes: 64 << 10,
      });
      inNamespace(a, 'ping', '-q', '-c200', '-i0.001', '-W2', '10.187.0.2');
      session.detach();
      const read = readRing(session).length;
      const { ringFull, perfLost, lost } = session.counters();
      const hits = [...session.hits().values()].reduce((sum, count) => sum + count, 0);
      session.close();
      expect(flavour === 'modern' ? ringFull : perfLost).to.be.greaterThan(0);
      expect(read + ringFull + perfLost).to.equal(hits);
      const lostBy = [...(lost?.values() ?? [])].reduce((sum, count) => sum + count, 0);
      expect(lostBy, 'of which probes they were').to.equal(ringFull + perfLost);
      expect(session.counters(), 'also after close').to.include({ ringFull, perfLost });
    });
  });
