import { expect } from 'chai';
import fc from 'fast-check';
import { FLAG } from '../../src/events/layout.js';
import type { PathAnalysis } from '../../src/paths/summary.js';
import type { SegmentStats } from '../../src/paths/types.js';
import { type At, echo, MS, SEGMENTS, TAP1, TAP2, Traffic, US } from '../support/traffic.js';

const A = '10.0.0.5';
const B = '10.0.0.6';

/** `label` → [count, p50 in µs], forward first. */
function latencies(analysis: PathAnalysis, pair = 0): Record<string, [number, number]> {
  return Object.fromEntries(
    analysis.pairs[pair].segments.map((s) => [
      `${s.direction === 'forward' ? '>' : '<'} ${s.label}`,
      [s.latency.count, Math.round(s.latency.p50 * 1000)],
    ]),
  );
}

const segment = (analysis: PathAnalysis, id: string, direction: 'forward' | 'reverse' = 'forward'): SegmentStats =>
  analysis.pairs[0].segments.find((s) => s.spec.id === id && s.direction === direction)!;

/** Pings between two guests, one after the other. */
function pings(count: number, wait: { qdisc?: number; ring?: number } = {}, turnaround = 2 * MS): Traffic {
  const traffic = new Traffic();
  for (let i = 0; i < count; i++) {
    const start = 1000 * MS + i * 1000 * MS;
    const read = traffic.tapToTap(start, TAP1, TAP2, echo(A, B, i));
    traffic.tapToTap(read + turnaround, TAP2, TAP1, echo(B, A, i, true), wait);
  }
  return traffic;
}

describe('paths', () => {
  it('split a ping between two guests into its segments, there and back', () => {
    const analysis = pings(10).analyse();
    expect(analysis.pairs).to.have.length(1);
    const [pair] = analysis.pairs;
    expect(pair).to.deep.include({ a: A, b: B, aDevice: 'tap1', bDevice: 'tap2', protocols: ['ICMP'] });
    expect(pair.packets).to.deep.equal({ forward: 10, reverse: 10 });
    expect(latencies(analysis)).to.deep.equal({
      '> tap1 in → bridge → tap2 queue': [10, 48],
      '> tap2 queue → driver': [10, 30],
      '> tap2 driver': [10, 13],
      '> tap2 ring → read by db-1 (pid 4711)': [10, 32],
      '< tap2 in → bridge → tap1 queue': [10, 48],
      '< tap1 queue → driver': [10, 30],
      '< tap1 driver': [10, 13],
      '< tap1 ring → read by web-1 (pid 4710)': [10, 32],
      '> db-1 turnaround': [10, 2000],
    });
    expect(analysis.roundTrips).to.equal(10);
    expect(pair.roundTrips.p50).to.be.closeTo(2.246, 1e-6);
    expect(pair.turnaround.p50).to.be.closeTo(2, 1e-6);
    const shares = pair.segments.reduce((sum, one) => sum + one.share, 0);
    expect(shares, 'everything is accounted for').to.be.closeTo(1, 1e-6);
    expect(segment(analysis, 'ring').consumer).to.deep.equal({ pid: 4711, tid: 4711 });
  });

  it('show a slow queue as the wait in that device, with its share of the round trip', () => {
    const analysis = pings(20, { qdisc: 388 * MS }).analyse();
    const slow = segment(analysis, 'qdisc', 'reverse');
    expect(slow).to.deep.include({ device: 'tap1', label: 'tap1 queue → driver', labelZh: 'tap1 队列 → 驱动' });
    expect(slow.latency.p99).to.be.closeTo(388, 0.4);
    expect(slow.share).to.be.within(0.98, 1);
    expect(analysis.qdiscWait[0]).to.deep.include({ device: 'tap1', netns: 100 });
    expect(analysis.qdiscWait[0].latency.max).to.be.closeTo(388, 1e-6);
  });

  it('show a reader that stops as wait in the ring, and what it never reads as lost there', () => {
    const traffic = pings(5, { ring: 1500 * MS });
    for (let i = 0; i < 4; i++) {
      const ts = 20_000 * MS + i * MS;
      const packet = traffic.packet(ts, 'netif_receive_skb', TAP1, echo(A, B, 100 + i));
      packet.hop(ts + US, 'net_dev_queue', TAP2).hop(ts + 2 * US, 'net_dev_start_xmit', TAP2);
      packet.hop(ts + 3 * US, 'net_dev_xmit', TAP2);
    }
    traffic.tapToTap(22_000 * MS, { dev: 'tap9', ifindex: 9 }, TAP1, echo('10.0.0.9', A, 1));
    const analysis = traffic.analyse();
    expect(segment(analysis, 'ring', 'reverse').latency.p50).to.be.closeTo(1500, 1.5);
    expect(segment(analysis, 'ring')).to.deep.include({ entered: 9, lost: 4, dropped: 0, device: 'tap2' });
    expect(segment(analysis, 'qdisc').lost).to.equal(0);
    expect(analysis.paths.filter((path) => path.end === 'open' && path.pair === 0).length).to.be.at.least(1);
  });

  it('do not call lost what is just under way when the run ends', () => {
    const traffic = pings(2);
    const packet = traffic.packet(9000 * MS, 'netif_receive_skb', TAP1, echo(A, B, 9));
    packet.hop(9000 * MS + US, 'net_dev_queue', TAP2);
    expect(segment(traffic.analyse(), 'qdisc').lost).to.equal(0);
  });

  it('count a drop for its pair and for the segment that it happened in', () => {
    const traffic = pings(3);
    const packet = traffic.packet(9000 * MS, 'netif_receive_skb', TAP1, echo(A, B, 9));
    packet.hop(9000 * MS + US, 'net_dev_queue', TAP2);
    packet.hop(9000 * MS + 2 * US, 'kfree_skb', TAP2, { flags: FLAG.freed | FLAG.dropped, ret: 70 });
    const analysis = traffic.analyse();
    expect(analysis.pairs[0].drops).to.deep.equal({ forward: 1, reverse: 0 });
    expect(segment(analysis, 'qdisc')).to.deep.include({ entered: 4, lost: 1, dropped: 1 });
    const dropped = analysis.paths.find((path) => path.end === 'dropped')!;
    expect(dropped.summary).to.equal('ICMP 10.0.0.5 → 10.0.0.6 echo request id 77 seq 9');
    expect(dropped.events.map((event) => event.probe)).to.deep.equal([
      'netif_receive_skb',
      'net_dev_queue',
      'kfree_skb',
    ]);
    expect(dropped.events[2]).to.deep.include({ reason: 'QDISC_DROP', path: dropped.id });
    expect(dropped.events[2].packet?.dst, 'headers are known to the end').to.equal(B);
    expect(dropped.duration).to.be.closeTo(0.002, 1e-9);
  });

  it('tell of packets that all vanish where guests enter, without an end', () => {
    const traffic = new Traffic();
    const packet = traffic.packet(MS, 'netif_receive_skb', TAP1, echo(A, B, 1));
    packet.hop(MS + US, 'kfree_skb', TAP1, { flags: FLAG.freed | FLAG.dropped, ret: 8 });
    const [cell] = traffic.analyse().pairs[0].segments;
    expect(cell).to.deep.include({ label: 'tap1 in → bridge → ? queue', entered: 1, lost: 1, device: 'tap1' });
  });

  it('follow a packet through namespaces and veth pairs, where a guest is a namespace', () => {
    const inA: At = { dev: 'eth0', ifindex: 2, netns: 201 };
    const inB: At = { dev: 'eth0', ifindex: 2, netns: 202 };
    const veth1: At = { dev: 'veth1', ifindex: 11, netns: 100 };
    const veth2: At = { dev: 'veth2', ifindex: 12, netns: 100 };
    const devices = [
      ...[veth1, veth2].map(({ dev, ifindex }) => ({ netns: 100, ifindex, name: dev, kind: 'veth' })),
      ...[201, 202].map((netns) => ({ netns, ifindex: 2, name: 'eth0', kind: 'veth' })),
    ];
    const traffic = new Traffic();
    const send = (ts: number, way: At[], headers: ReturnType<typeof echo>): number => {
      const [from, near, far, to] = way;
      const packet = traffic.packet(ts, 'net_dev_queue', from, headers);
      packet.hop(ts + 5 * US, 'net_dev_start_xmit', from).hop(ts + 6 * US, 'net_dev_xmit', from);
      packet.hop(ts + 10 * US, 'netif_receive_skb', near).hop(ts + 20 * US, 'net_dev_queue', far);
      packet.hop(ts + 24 * US, 'net_dev_start_xmit', far).hop(ts + 25 * US, 'net_dev_xmit', far);
      packet.hop(ts + 30 * US, 'netif_receive_skb', to).hop(ts + 35 * US, 'consume_skb', to, { flags: FLAG.freed });
      return ts + 35 * US;
    };
    for (let i = 0; i < 3; i++) {
      const end = send(i * 100 * MS + MS, [inA, veth1, veth2, inB], echo(A, B, i));
      send(end + 5 * US, [inB, veth2, veth1, inA], echo(B, A, i, true));
    }
    const analysis = traffic.analyse({ devices });
    expect(analysis.packets).to.equal(6);
    expect(analysis.pairs[0]).to.deep.include({ aDevice: 'eth0', aNetns: 201, bNetns: 202 });
    expect(latencies(analysis)).to.deep.include({
      '> eth0 queue → driver': [3, 5],
      '> eth0 → veth1': [3, 4],
      '> veth1 in → host → veth2 queue': [3, 10],
      '> veth2 queue → driver': [3, 4],
      '> veth2 → eth0': [3, 5],
      '< veth2 in → host → veth1 queue': [3, 10],
    });
    expect(analysis.roundTrips).to.equal(3);
    // From its arrival at eth0 (30 µs) to the reply's first event (40 µs).
    expect(analysis.pairs[0].turnaround.p50).to.be.closeTo(0.01, 1e-6);
    expect(analysis.pairs[0].segments.reduce((sum, one) => sum + one.lost, 0)).to.equal(0);
  });

  it('keep the pair of a packet that NAT rewrites, and count its replies for it', () => {
    const traffic = new Traffic();
    const tcp = { proto: 'tcp', ipId: 5, payload: 10 } as const;
    const request = traffic.packet(MS, 'netif_receive_skb', TAP1, {
      ...{ ...tcp, src: A, sport: 4000, dst: '192.0.2.1', dport: 80, flags: 'P.', seq: 100, ack: 1 },
    });
    request.changed(MS + US, 'ip_forward', TAP1, FLAG.rewritten, {
      ...{ ...tcp, src: A, sport: 4000, dst: B, dport: 8080, flags: 'P.', seq: 100, ack: 1 },
    });
    request.hop(MS + 2 * US, 'net_dev_queue', TAP2).hop(MS + 9 * US, 'consume_skb', TAP2, { flags: FLAG.freed });
    const reply = traffic.packet(2 * MS, 'netif_receive_skb', TAP2, {
      ...{ ...tcp, src: B, sport: 8080, dst: A, dport: 4000, flags: '.', seq: 1, ack: 110, payload: 0 },
    });
    reply.hop(2 * MS + US, 'net_dev_queue', TAP1).hop(2 * MS + 9 * US, 'consume_skb', TAP1, { flags: FLAG.freed });
    const analysis = traffic.analyse();
    expect(analysis.pairs).to.have.length(1);
    expect(analysis.pairs[0]).to.deep.include({ a: A, b: '192.0.2.1', bDevice: 'tap2' });
    expect(analysis.roundTrips).to.equal(1);
  });

  it('take the headers inside a tunnel for the packet, and its number for its identity', () => {
    const inner = { ...echo(A, B, 1), tunnel: 1, tunnelId: 42 };
    const outer = { src: '198.51.100.1', dst: '198.51.100.2', proto: 'udp', sport: 5000, dport: 4789 } as const;
    const traffic = new Traffic();
    const eth: At = { dev: 'eth0', ifindex: 3, netns: 100 };
    const packet = traffic.packet(MS, 'netif_receive_skb', TAP1, echo(A, B, 1));
    packet.changed(MS + 10 * US, 'net_dev_queue', eth, FLAG.tunnel, { ...outer, inner });
    packet.hop(MS + 12 * US, 'net_dev_start_xmit', eth).hop(MS + 15 * US, 'consume_skb', eth, { flags: FLAG.freed });
    const arriving = traffic.packet(2 * MS, 'netif_receive_skb', eth, {
      ...outer,
      src: outer.dst,
      dst: outer.src,
      inner: { ...echo(B, A, 1, true), tunnel: 1, tunnelId: 42 },
    });
    arriving.changed(2 * MS + US, 'net_dev_queue', TAP1, FLAG.tunnel, echo(B, A, 1, true));
    arriving.hop(2 * MS + 2 * US, 'consume_skb', TAP1, { flags: FLAG.freed });
    const analysis = traffic.analyse();
    expect(analysis.pairs).to.have.length(1);
    expect(analysis.pairs[0]).to.deep.include({ a: A, b: B, bDevice: 'eth0' });
    expect(analysis.roundTrips).to.equal(1);
    expect(analysis.paths.flatMap((path) => path.events).some((event) => event.packet?.tunnel === 'vxlan 42')).to.equal(
      true,
    );
  });

  it('begin anew when an address is used again, and tell the packets apart', () => {
    const traffic = new Traffic();
    const first = traffic.packet(MS, 'netif_receive_skb', TAP1, echo(A, B, 1));
    first.hop(MS + 10 * US, 'net_dev_queue', TAP2);
    traffic.writer.packet({
      ...{ ...TAP1, ...echo(A, B, 2), ts: 5000 * MS, probe: 'netif_receive_skb', path: 99, skb: first.skb },
      ...{ flagsWire: FLAG.born | FLAG.reused },
    });
    traffic.writer.hop({ ...TAP2, ts: 5000 * MS + 20 * US, probe: 'net_dev_queue', path: 99, skb: first.skb });
    const analysis = traffic.analyse();
    expect(analysis.packets).to.equal(2);
    expect(segment(analysis, 'forwarding').latency.max, 'no gap of seconds').to.be.closeTo(0.02, 1e-6);
    expect(analysis.paths.find((path) => path.id === 1)?.end).to.equal('lost');
    expect(segment(analysis, 'forwarding').lost, 'its end was not seen: nothing is claimed').to.equal(0);
  });

  it('tell an answer in the same place of memory from NAT', () => {
    const udp = { proto: 'udp', payload: 64 } as const;
    const traffic = new Traffic();
    const ask = traffic.packet(MS, 'net_dev_queue', TAP1, {
      ...udp,
      src: 'fd00::1',
      sport: 4000,
      dst: 'fd00::2',
      dport: 53,
    });
    const answer = { ...udp, src: 'fd00::2', sport: 53, dst: 'fd00::1', dport: 4000 };
    ask.changed(3 * MS, 'net_dev_queue', TAP2, FLAG.rewritten, answer);
    ask.hop(4 * MS, 'net_dev_start_xmit', TAP2).hop(5 * MS, 'consume_skb', TAP2, { flags: FLAG.freed });
    const analysis = traffic.analyse();
    expect(analysis.packets).to.equal(2);
    expect(analysis.pairs[0].packets).to.deep.equal({ forward: 1, reverse: 1 });
    expect(analysis.pairs[0].turnaround.max).to.be.closeTo(2, 1e-9);
  });

  it('join a flooded clone that no probe saw being made, unless it could be of two packets', () => {
    const TAP3: At = { dev: 'tap3', ifindex: 7, netns: 100 };
    const flood = (headers: ReturnType<typeof echo>, twice: boolean): PathAnalysis => {
      const traffic = new Traffic();
      const packet = traffic.packet(MS, 'netif_receive_skb', TAP1, headers);
      if (twice) traffic.packet(MS + US, 'netif_receive_skb', TAP1, headers).hop(MS + 2 * US, 'net_dev_queue', TAP3);
      const clone = traffic.packet(MS + 30 * US, 'net_dev_queue', TAP2, headers);
      packet.hop(MS + 40 * US, 'net_dev_queue', TAP3);
      packet.hop(MS + 42 * US, 'kfree_skb', TAP3, { flags: FLAG.freed | FLAG.dropped, ret: 2 });
      clone.hop(MS + 50 * US, 'net_dev_start_xmit', TAP2).hop(MS + 60 * US, 'net_dev_xmit', TAP2);
      clone.hop(MS + 400 * MS, 'skb_copy_datagram_iovec', TAP2, { pid: 4711 });
      clone.hop(MS + 401 * MS, 'consume_skb', TAP2, { flags: FLAG.freed });
      return traffic.analyse();
    };
    const joined = flood(echo(A, B, 1), false);
    expect(joined.packets).to.equal(1);
    expect(latencies(joined)).to.deep.include({ '> tap1 in → bridge → tap2 queue': [1, 30] });
    expect(joined.pairs[0].drops.forward, 'one copy got through').to.equal(0);
    expect(joined.paths[0].end).to.equal('delivered');
    expect(flood(echo(A, B, 1), true).packets).to.equal(3);
  });

  it('follow the segments that a queue cuts from a large packet, and tell a retransmission from them', () => {
    const tcp = { proto: 'tcp', src: A, sport: 4000, dst: B, dport: 80, ack: 1, flags: '.' } as const;
    const traffic = new Traffic();
    const large = traffic.packet(MS, 'netif_receive_skb', TAP1, {
      ...{ ...tcp, seq: 1000, payload: 2800, ipId: 1, gsoSize: 1400, gsoSegs: 2 },
    });
    large.hop(MS + US, 'net_dev_queue', TAP2).hop(MS + 2 * US, 'consume_skb', TAP2, { flags: FLAG.freed });
    for (let i = 0; i < 2; i++) {
      const ts = (500 + 500 * i) * MS;
      const headers = { ...tcp, seq: 1000 + 1400 * i, payload: 1400, ipId: 1 + i };
      const cut = traffic.packet(ts, 'qdisc_dequeue', TAP2, headers);
      cut.hop(ts + US, 'net_dev_start_xmit', TAP2).hop(ts + 2 * US, 'net_dev_xmit', TAP2);
      cut.hop(ts + 3 * US, 'skb_copy_datagram_iovec', TAP2, { pid: 4711 });
      cut.hop(ts + 4 * US, 'consume_skb', TAP2, { flags: FLAG.freed });
    }
    const back = { ...tcp, src: B, sport: 80, dst: A, dport: 4000, seq: 1, ack: 3800, payload: 0, ipId: 1 };
    traffic.tapToTap(1001 * MS, TAP2, TAP1, back);
    const again = traffic.packet(600 * MS, 'net_dev_queue', TAP2, { ...tcp, seq: 1000, payload: 1400, ipId: 9 });
    again.hop(600 * MS + US, 'consume_skb', TAP2, { flags: FLAG.freed });
    const analysis = traffic.analyse();
    expect(analysis.packets, 'the large one, its acknowledgement and the retransmission').to.equal(3);
    expect(segment(analysis, 'qdisc').share, 'the longest of the parts').to.be.within(0.95, 1);
    expect(segment(analysis, 'qdisc').latency).to.deep.include({ count: 2 });
    expect(segment(analysis, 'qdisc').latency.max).to.be.closeTo(999, 0.01);
    expect(segment(analysis, 'ring').latency.count).to.equal(2);
    expect(analysis.paths.find(({ id }) => id === 1)?.end).to.equal('delivered');
  });

  it('see an echo reply that is back with its ping as arrived, though no ping socket wanted it', () => {
    const inA: At = { dev: 'eth0', ifindex: 2, netns: 201 };
    const traffic = new Traffic();
    const request = traffic.packet(MS, 'net_dev_queue', inA, echo(A, B, 1));
    request.hop(MS + US, 'consume_skb', inA, { flags: FLAG.freed });
    const reply = traffic.packet(2 * MS, 'netif_receive_skb', TAP2, echo(B, A, 1, true));
    reply.hop(3 * MS, 'netif_receive_skb', inA);
    reply.hop(4 * MS, 'kfree_skb', inA, { flags: FLAG.freed | FLAG.dropped, ret: 3 });
    const analysis = traffic.analyse();
    expect(analysis.pairs[0].drops.reverse).to.equal(0);
    expect(analysis.pairs[0].roundTrips.max).to.be.closeTo(2, 1e-9);
    const refused = traffic.packet(5 * MS, 'netif_receive_skb', inA, echo(B, A, 2, true));
    refused.hop(6 * MS, 'kfree_skb', inA, { flags: FLAG.freed | FLAG.dropped, ret: 8 });
    expect(traffic.analyse().pairs[0].drops.reverse, 'a firewall is another matter').to.equal(1);
  });

  it('do not take a copy read by tcpdump for the delivery', () => {
    const traffic = new Traffic();
    const packet = traffic.packet(MS, 'netif_receive_skb', TAP1, echo(A, B, 1));
    packet.hop(MS + US, 'skb_clone', TAP1, { flags: FLAG.cloned, skb: 0x77700, aux: packet.skb });
    packet.hop(MS + 3 * US, 'kfree_skb', TAP1, { flags: FLAG.freed | FLAG.dropped, ret: 8 });
    packet.hop(MS + 5 * US, 'skb_copy_datagram_iovec', TAP1, { skb: 0x77700, pid: 999 });
    packet.hop(MS + 6 * US, 'consume_skb', TAP1, { skb: 0x77700, flags: FLAG.freed });
    const analysis = traffic.analyse();
    expect(analysis.paths[0].end).to.equal('dropped');
    expect(analysis.pairs[0].drops.forward).to.equal(1);
  });

  it('hold the known consumer alone for the one that reads a tap', () => {
    const traffic = new Traffic();
    const packet = traffic.packet(MS, 'netif_receive_skb', TAP1, echo(A, B, 1));
    packet.hop(MS + US, 'net_dev_queue', TAP2).hop(MS + 2 * US, 'net_dev_start_xmit', TAP2);
    packet.hop(MS + 3 * US, 'net_dev_xmit', TAP2);
    packet.hop(MS + 4 * US, 'net_dev_xmit', TAP2, { skb: 0x88800, flags: FLAG.cloned });
    packet.hop(MS + 5 * US, 'skb_copy_datagram_iovec', TAP2, { skb: 0x88800, pid: 999 });
    packet.hop(MS + 54 * US, 'skb_copy_datagram_iovec', TAP2, { pid: 4711 });
    const devices = [
      { ...TAP2, netns: 100, name: 'tap2', kind: 'tap', consumer: { pid: 4711, comm: 'qemu', tids: [] } },
    ];
    expect(latencies(traffic.analyse({ devices }))).to.deep.include({ '> tap2 ring → read by qemu 4711': [1, 50] });
  });

  it('let the one that was asked for first be a', () => {
    const traffic = pings(2);
    const analysis = traffic.analyse({ first: { addresses: [B], devices: [] } });
    expect(analysis.pairs[0]).to.deep.include({ a: B, b: A, aDevice: 'tap2', turnaroundOf: 'a' });
    expect(traffic.analyse({ first: { addresses: [], devices: ['tap2'] } }).pairs[0].a).to.equal(B);
  });

  it('take events that come after the end, and times that go backwards, as they are', () => {
    const traffic = new Traffic();
    const packet = traffic.packet(MS, 'netif_receive_skb', TAP1, echo(A, B, 1));
    packet.hop(MS - US, 'net_dev_queue', TAP2).hop(MS + 2 * US, 'net_dev_start_xmit', TAP2);
    packet.hop(MS + 5 * US, 'skb_copy_datagram_iovec', TAP2, { pid: 1 });
    packet.hop(MS + 6 * US, 'consume_skb', TAP2, { flags: FLAG.freed }).hop(MS + 4 * US, 'net_dev_xmit', TAP2);
    const analysis = traffic.analyse();
    expect(analysis.packets).to.equal(1);
    expect(latencies(analysis)).to.deep.include({ '> tap1 in → bridge → tap2 queue': [1, 0], '> tap2 driver': [1, 2] });
  });

  it('give the same result however the records are cut into batches', () => {
    const traffic = pings(12, { qdisc: 3 * MS });
    const whole = JSON.stringify(traffic.analyse());
    fc.assert(
      fc.property(fc.array(fc.nat(150), { maxLength: 12 }), (cuts) => {
        expect(JSON.stringify(traffic.analyse({}, cuts))).to.equal(whole);
      }),
      { numRuns: 25 },
    );
  });

  it('stay within their limits and count what they forget', () => {
    const traffic = new Traffic();
    for (let i = 0; i < 3000; i++) {
      const src = `10.${((i % 1500) >> 8) & 255}.${(i % 1500) & 255}.1`;
      const packet = traffic.packet(MS + i * US, 'netif_receive_skb', TAP1, echo(src, B, i));
      packet.hop(MS + i * US + 10, 'net_dev_queue', TAP2);
    }
    const limits = { paths: 100, hops: 250, pairs: 20, flows: 50, hopsOfPath: 8 };
    const analysis = traffic.analyse({ limits });
    expect(analysis.packets).to.equal(3000);
    expect(analysis.loss.pathsForgotten).to.be.within(2880, 3000);
    expect(analysis.pairs).to.have.length(20);
    expect(analysis.pairsNotShown, 'each once').to.equal(1480);
    expect(analysis.paths.length).to.be.at.most(7 * 16);
  });

  it('take any events in any order without failing, within their limits', () => {
    const probes = [
      'netif_receive_skb',
      'net_dev_queue',
      'net_dev_start_xmit',
      'net_dev_xmit',
      'consume_skb',
      'kfree_skb',
    ];
    const step = fc.record({
      ...{ ts: fc.nat(1_000_000_000), probe: fc.constantFrom(...probes), path: fc.nat(6), skb: fc.nat(4) },
      ...{ flags: fc.nat(255), dev: fc.constantFrom('tap1', 'tap2', ''), whole: fc.boolean(), seq: fc.nat(3) },
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const traffic = new Traffic();
        for (const { whole, flags, seq, dev, ...hop } of steps) {
          const at = { dev, ifindex: dev === '' ? 0 : Number(dev.at(-1)) + 4, netns: 100 };
          const event = { ...hop, ...at, skb: hop.skb * 256 };
          if (whole) traffic.writer.packet({ ...event, ...echo(A, B, seq, seq > 1), flagsWire: flags });
          else traffic.writer.hop({ ...event, flags });
        }
        const { pairs } = traffic.analyse({ limits: { paths: 3, hops: 12, hopsOfPath: 5, pairs: 2, flows: 3 } });
        for (const { latency, entered, lost } of pairs.flatMap((pair) => pair.segments)) {
          expect(latency.p50).to.be.at.most(latency.max);
          expect(entered).to.equal(latency.count + lost);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('measure how long watched threads wait for a CPU', () => {
    const traffic = new Traffic();
    for (let i = 1; i <= 4; i++) {
      traffic.writer.sched({
        ts: i * MS,
        probe: 'sched_switch',
        pid: 4711,
        tid: 4712,
        wait: i * MS,
        comm: 'vhost-4711',
      });
    }
    const [thread] = traffic.analyse({ segments: SEGMENTS }).sched;
    expect(thread).to.deep.include({ pid: 4711, tid: 4712, comm: 'vhost-4711' });
    expect(thread.wait).to.deep.include({ count: 4, p50: 2, max: 4 });
  });
});
