import { expect } from 'chai';
import { type ChildProcess, spawn } from 'node:child_process';
import { openTrace } from '../../src/bpf/trace-session.js';
import type { KernelFilter } from '../../src/bpf/types.js';
import { inNamespace, ip, TestNetwork } from '../support/network-namespaces.js';
import { type PacketPath, packetPaths, tuples } from '../support/packet-paths.js';
import { readRing } from '../support/ring-records.js';
import { probeName, tracepointRequests } from '../support/trace-requests.js';

/** Runs some traffic under a trace with the tracepoints alone; the packets that were seen, in the order of their beginning. */
async function trace(filter: KernelFilter, traffic: () => void | Promise<void>): Promise<PacketPath[]> {
  const session = openTrace({ requests: tracepointRequests(), filter, ringBytes: 64 << 20 });
  try {
    expect(session.failed).to.deep.equal([]);
    await traffic();
    session.detach();
    const paths = packetPaths(readRing(session));
    const { ringFull, noWorkSpace, pathsForgotten, parseFailures } = session.counters();
    expect({ ringFull, noWorkSpace, pathsForgotten, parseFailures }).to.deep.equal({
      ...{ ringFull: 0, noWorkSpace: 0, pathsForgotten: 0, parseFailures: 0 },
    });
    return paths;
  } finally {
    session.close();
  }
}

const steps = ({ records }: PacketPath): string[] =>
  records.map(({ probe, dev }) => `${probeName(probe)} ${dev}`.trim());

describe('packet identity, live', () => {
  const network = new TestNetwork('vd-d-');
  const servers: ChildProcess[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.kill();
    network.remove();
  });

  /** a (10.192.1.2, fd92:1::2) — r — b (10.192.2.2, fd92:2::2) */
  function routed(mtu?: number): { a: string; r: string; b: string } {
    const [a, r, b] = ['a', 'r', 'b'].map((name) => network.add(name));
    for (const ns of [a, r, b]) {
      inNamespace(
        ns,
        'sh',
        '-c',
        'cd /proc/sys/net/ipv6/conf; for i in all default; do echo 0 > $i/accept_dad; echo 0 > $i/disable_ipv6; done',
      );
    }
    network.veth([a, 'eth0', '10.192.1.2/24'], [r, 'ra', '10.192.1.1/24']);
    network.veth([b, 'eth0', '10.192.2.2/24'], [r, 'rb', '10.192.2.1/24']);
    for (const [ns, device, address] of [
      [a, 'eth0', 'fd92:1::2/64'],
      [r, 'ra', 'fd92:1::1/64'],
      [r, 'rb', 'fd92:2::1/64'],
      [b, 'eth0', 'fd92:2::2/64'],
    ]) {
      ip('-n', ns, 'addr', 'add', address, 'dev', device, 'nodad');
      if (mtu !== undefined) ip('-n', ns, 'link', 'set', device, 'mtu', String(mtu));
    }
    for (const [ns, via] of [
      [a, '1'],
      [b, '2'],
    ]) {
      ip('-n', ns, 'route', 'add', 'default', 'via', `10.192.${via}.1`);
      ip('-n', ns, 'route', 'add', 'default', 'via', `fd92:${via}::1`);
    }
    inNamespace(
      r,
      'sh',
      '-c',
      'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding',
    );
    for (const peer of ['10.192.2.2', 'fd92:2::2']) inNamespace(a, 'ping', '-c1', '-W2', peer);
    return { a, r, b };
  }

  function server(ns: string, ...argv: string[]): void {
    servers.push(spawn('ip', ['netns', 'exec', ns, ...argv], { stdio: 'ignore' }));
  }

  const soon = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  for (const [family, from, gateway, to, table] of [
    ['IPv4', '10.192.1.2', '10.192.2.1', '10.192.2.2', 'ip'],
    ['IPv6', 'fd92:1::2', 'fd92:2::1', 'fd92:2::2', 'ip6'],
  ]) {
    it(`keeps the path of a ${family} datagram whose source and destination are both translated`, async () => {
      const { a, r, b } = routed();
      const outside = family === 'IPv4' ? '10.192.1.1' : 'fd92:1::1';
      inNamespace(
        r,
        'nft',
        `add table ${table} t; add chain ${table} t pre { type nat hook prerouting priority -100; };` +
          `add rule ${table} t pre udp dport 700 dnat to ${family === 'IPv4' ? `${to}:99` : `[${to}]:99`};` +
          `add chain ${table} t post { type nat hook postrouting priority 100; }; add rule ${table} t post oifname rb masquerade`,
      );
      const proto = family === 'IPv4' ? 'UDP4' : 'UDP6';
      server(b, 'socat', `${proto}-RECVFROM:99,fork`, 'EXEC:cat');
      await soon(200);
      const paths = await trace({ src: from, proto: 'udp' }, async () => {
        inNamespace(
          a,
          'sh',
          '-c',
          `echo hello | socat -t0.5 - ${proto}:${family === 'IPv4' ? outside : `[${outside}]`}:700`,
        );
        await soon(100);
      });
      const [request, reply, ...more] = paths;
      expect(more).to.deep.equal([]);
      expect(tuples(request).map(({ src, dst, dport }) => `${src}>${dst}:${dport}`)).to.deep.equal([
        `${from}>${outside}:700`,
        `${gateway}>${to}:99`,
      ]);
      expect(steps(request)).to.include('netif_receive_skb eth0');
      // The reply begins where it reads as wanted: behind the translation back.
      expect(tuples(reply).map(({ src, dst, sport }) => `${src}:${sport}>${dst}`)).to.deep.equal([
        `${outside}:700>${from}`,
      ]);
    });
  }

  for (const [family, from, to] of [
    ['IPv4', '10.192.1.2', '10.192.2.2'],
    ['IPv6', 'fd92:1::2', 'fd92:2::2'],
  ]) {
    it(`knows the ${family} fragments of a datagram as one packet, to its reader`, async () => {
      const { a } = routed(1400);
      const paths = await trace({ src: from, dst: to, proto: family === 'IPv4' ? 'icmp' : 'icmp6' }, () => {
        inNamespace(a, 'ping', '-c1', '-W2', '-s3000', to);
      });
      const [request, reply, ...more] = paths.filter(({ first }) => [128, 129, 8, 0].includes(first.outer!.icmpType));
      expect(more).to.deep.equal([]);
      const fragments = request.records.filter(({ outer, dev }) => outer && outer.frag !== 0 && dev === 'eth0');
      expect(fragments).to.have.length(3);
      expect(new Set(fragments.map(({ outer }) => outer!.ipId))).to.have.property('size', 1);
      expect(steps(request).filter((step) => step === 'net_dev_queue rb')).to.have.length(3);
      expect(reply.first.outer).to.include({ src: to, dst: from });
      expect(steps(reply)).to.include('skb_copy_datagram_iovec');
    });
  }

  it('looks inside tunnels alone when it is asked to', async () => {
    const [a, b] = ['a', 'b'].map((name) => network.add(name));
    network.veth([a, 'eth0', '10.193.0.1/24'], [b, 'eth0', '10.193.0.2/24']);
    for (const [ns, own, peer] of [
      [a, '1', '2'],
      [b, '2', '1'],
    ]) {
      const vxlan = ['type', 'vxlan', 'id', '42', 'dstport', '4789', 'dev', 'eth0', 'remote', `10.193.0.${peer}`];
      ip('-n', ns, 'link', 'add', 'vx0', ...vxlan);
      ip('-n', ns, 'addr', 'add', `10.194.0.${own}/24`, 'dev', 'vx0');
      ip('-n', ns, 'link', 'set', 'vx0', 'up');
    }
    const traffic = (): void => {
      inNamespace(a, 'ping', '-c1', '-W2', '10.194.0.2');
      inNamespace(a, 'ping', '-c1', '-W2', '10.193.0.2');
    };
    traffic();
    const inner = await trace({ src: '10.194.0.1', dst: '10.194.0.2', proto: 'icmp', inner: true }, traffic);
    expect(inner.map(({ first }) => [first.dev, first.outer!.proto, first.inner?.tunnelId])).to.deep.equal([
      ['eth0', 17, 42],
      ['eth0', 17, 42],
    ]);
    expect(steps(inner[0])).to.include('netif_receive_skb vx0');
    // The tunnel's own addresses are no inner ones.
    expect(await trace({ src: '10.193.0.1', proto: 'udp', inner: true }, traffic)).to.deep.equal([]);
    const any = await trace({ inner: true }, traffic);
    expect(any.map(({ first }) => first.inner?.proto)).to.include(1);
    expect(any.every(({ first }) => first.inner?.tunnel === 1)).to.equal(true);
  });

  it('counts the packets that make room for others, when more are under way than can be remembered', async function () {
    this.timeout(60_000);
    const { a, r, b } = routed();
    // They pile up in a queue that lets next to nothing through.
    inNamespace(r, 'tc', 'qdisc', 'add', 'dev', 'rb', 'root', 'tbf', 'rate', '8kbit', 'burst', '1600', 'limit', '200M');
    ip('-n', r, 'neigh', 'replace', '10.192.2.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'rb');
    void b;
    const session = openTrace({
      requests: tracepointRequests(['net_dev_queue']),
      filter: { dst: '10.192.2.2', proto: 'udp' },
      ringBytes: 32 << 20,
    });
    for (let i = 0; i < 5; i++) {
      inNamespace(a, 'sh', '-c', 'head -c 1000000 /dev/zero | socat -u -b100 - UDP4-SENDTO:10.192.2.2:9');
    }
    session.detach();
    const { ringFull, tracksEvicted, pathsForgotten } = session.counters();
    session.close();
    expect({ ringFull, pathsForgotten }).to.deep.equal({ ringFull: 0, pathsForgotten: 0 });
    expect(tracksEvicted).to.be.within(10_000, 50_000);
  });

  for (const tracked of [false, true]) {
    it(`mixes no flows when addresses are used again at full speed${tracked ? ', with connection tracking' : ''}`, async function () {
      this.timeout(60_000);
      const { a, r, b } = routed();
      if (tracked) {
        for (const ns of [a, r, b]) {
          inNamespace(
            ns,
            'nft',
            'add table inet t; add chain inet t c { type filter hook forward priority 0; }; add rule inet t c ct state invalid drop; add chain inet t o { type filter hook output priority 0; }; add rule inet t o ct state invalid drop',
          );
        }
      }
      for (const port of [7001, 7002, 7003, 7004]) server(b, 'iperf3', '-s', '-p', String(port));
      await soon(500);
      const run = (port: number, ...options: string[]): Promise<void> =>
        new Promise((resolve) => {
          const argv = ['netns', 'exec', a, 'iperf3', '-p', String(port), ...options];
          spawn('ip', argv, { stdio: 'ignore' }).on('exit', () => resolve());
        });
      const paths = await trace({}, async () => {
        await Promise.all([
          run(7001, '-c', '10.192.2.2', '-u', '-b0', '-P3', '-l64', '-k6000'),
          run(7002, '-c', 'fd92:2::2', '-u', '-b0', '-P3', '-l64', '-k6000'),
          run(7003, '-c', '10.192.2.2', '-P2', '-n20M'),
          run(7004, '-c', 'fd92:2::2', '-P2', '-n20M'),
        ]);
      });
      expect(paths.length).to.be.greaterThan(10_000);
      const mixed = paths.filter((path) => tuples(path).length > 1);
      expect(mixed.slice(0, 3).map(tuples)).to.deep.equal([]);
      const joined = paths.filter(
        ({ records }) =>
          records.filter(({ dev, probe }) => dev === 'ra' && probeName(probe) === 'netif_receive_skb').length > 1,
      );
      expect(joined.length / paths.length, 'packets of one flow taken for one').to.be.below(0.001);
    });
  }
});
