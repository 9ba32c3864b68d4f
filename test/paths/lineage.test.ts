import { expect } from 'chai';
import { FLAG } from '../../src/events/layout.js';
import { type At, echo, MS, TAP1, TAP2, Traffic, US } from '../support/traffic.js';
import type { PacketInput } from '../support/wire.js';

const A = '10.0.0.5';
const B = '10.0.0.6';
const VETH: At = { dev: 'veth0', ifindex: 9, netns: 300 };
const ETH: At = { dev: 'eth0', ifindex: 2, netns: 400 };

const data = (seq: number, payload: number): Partial<PacketInput> => ({
  ...{ src: A, dst: B, proto: 'tcp', sport: 4711, dport: 80, seq, payload, flags: '.', ipId: seq & 0xffff },
});

describe('packets that become others', () => {
  it('are not lost when GRO merges them: the one they go on in says how many', () => {
    const traffic = new Traffic();
    const first = traffic.packet(1 * MS, 'napi_gro_receive_entry', ETH, data(1, 1000));
    const second = traffic.packet(2 * MS, 'napi_gro_receive_entry', ETH, data(1001, 1000));
    second.hop(2 * MS + US, 'skb_gro_receive', ETH, { flags: FLAG.merged, aux: first.skb });
    first.hop(3 * MS, 'netif_receive_skb', ETH).hop(4 * MS, 'consume_skb', ETH, { flags: FLAG.freed });
    const { paths, packets, pairs } = traffic.analyse();
    expect(packets).to.equal(2);
    expect(paths.map(({ end, merged }) => [end, merged])).to.deep.equal([
      ['freed', 1],
      ['merged', undefined],
    ]);
    expect(pairs[0].drops).to.deep.equal({ forward: 0, reverse: 0 });
  });

  it('are taken for merged, where only the entry of GRO is watched, when their address is used again', () => {
    const traffic = new Traffic();
    const merged = traffic.packet(1 * MS, 'napi_gro_receive_entry', ETH, data(1, 1000));
    traffic.writer.packet({
      ...{ ...ETH, ...data(5001, 1000), ts: 2 * MS, probe: 'napi_gro_receive_entry', path: 99, skb: merged.skb },
      flagsWire: FLAG.born | FLAG.reused,
    });
    traffic.writer.hop({ ...ETH, ts: 3 * MS, probe: 'netif_receive_skb', path: 99, skb: merged.skb });
    traffic.writer.hop({ ...ETH, ts: 4 * MS, probe: 'consume_skb', path: 99, skb: merged.skb, flags: FLAG.freed });
    const { paths } = traffic.analyse();
    expect(paths.map(({ end }) => end)).to.deep.equal(['merged', 'freed']);
  });

  it('are one with the segments that they were cut to, and merged again they are still themselves', () => {
    const traffic = new Traffic();
    const large = traffic.packet(1 * MS, 'net_dev_queue', VETH, { ...data(1, 2000), gsoSize: 1000, gsoSegs: 2 });
    const flags = FLAG.cloned | FLAG.segment;
    large.hop(2 * MS, 'skb_clone', VETH, { skb: 0xa000, aux: large.skb, flags });
    large.hop(2 * MS, 'skb_clone', VETH, { skb: 0xb000, aux: large.skb, flags });
    large.hop(2 * MS + US, 'consume_skb', VETH, { flags: FLAG.freed });
    large
      .hop(3 * MS, 'net_dev_start_xmit', VETH, { skb: 0xa000 })
      .hop(3 * MS, 'net_dev_start_xmit', VETH, { skb: 0xb000 });
    large.hop(4 * MS, 'skb_gro_receive', ETH, { skb: 0xb000, aux: 0xa000, flags: FLAG.merged });
    large.hop(5 * MS, 'netif_receive_skb', ETH, { skb: 0xa000 });
    large.hop(6 * MS, 'skb_copy_datagram_iovec', { dev: '', ifindex: 0 }, { skb: 0xa000, pid: 7 });
    large.hop(6 * MS, 'consume_skb', ETH, { skb: 0xa000, flags: FLAG.freed });
    const { paths, packets } = traffic.analyse();
    expect(packets).to.equal(1);
    expect(paths.map(({ end, merged }) => [end, merged])).to.deep.equal([['delivered', undefined]]);
  });

  it('are lost with any of their fragments', () => {
    const traffic = new Traffic();
    const fragment = { src: A, dst: B, proto: 'udp', ipId: 7 } as const;
    const first = traffic.packet(1 * MS, 'net_dev_queue', VETH, { ...fragment, frag: 0x2000, sport: 1, dport: 2 });
    const later = { ...VETH, ...fragment, frag: 100, ts: 1 * MS + US, probe: 'net_dev_queue', path: first.path };
    traffic.writer.packet({ ...later, skb: 0xc000, aux: first.skb, flagsWire: FLAG.cloned });
    first.hop(2 * MS, 'kfree_skb', VETH, { flags: FLAG.freed | FLAG.dropped });
    first.hop(3 * MS, 'consume_skb', ETH, { skb: 0xc000, flags: FLAG.freed });
    const { paths, pairs } = traffic.analyse();
    expect(paths.map(({ end }) => end)).to.deep.equal(['dropped']);
    expect(pairs[0].drops.forward).to.equal(1);
  });

  it('count as forgotten when the kernel side knew them again in the skb that it should have remembered', () => {
    const traffic = new Traffic();
    const packet = traffic.packet(1 * MS, 'net_dev_queue', VETH, data(1, 100));
    traffic.writer.packet({
      ...{ ...VETH, ...data(1, 100), ts: 2 * MS, probe: 'net_dev_start_xmit', path: packet.path },
      ...{ skb: packet.skb, aux: packet.skb, flagsWire: FLAG.cloned },
    });
    packet.hop(3 * MS, 'consume_skb', VETH, { flags: FLAG.freed });
    const { paths, loss } = traffic.analyse();
    expect(loss.pathsForgotten).to.equal(1);
    expect(paths.map(({ end }) => end)).to.deep.equal(['freed']);
  });
});

describe('tenants', () => {
  /** A packet's way from one namespace over the host to another, and its answer's way back. */
  function echoed(traffic: Traffic, ts: number, seq: number, from: number, to: number): void {
    const place = (netns: number): At => ({ dev: 'eth0', ifindex: 2, netns });
    const way = (start: number, first: At, last: At, headers: Partial<PacketInput>): void => {
      traffic
        .packet(start, 'net_dev_queue', first, headers)
        .hop(start + US, 'netif_receive_skb', TAP1)
        .hop(start + 2 * US, 'net_dev_queue', TAP2)
        .hop(start + 3 * US, 'netif_receive_skb', last)
        .hop(start + 4 * US, 'consume_skb', last, { flags: FLAG.freed });
    };
    way(ts, place(from), place(to), echo(A, B, seq));
    way(ts + MS, place(to), place(from), echo(B, A, seq, true));
  }

  it('with the same addresses in namespaces of their own are pairs of their own', () => {
    const traffic = new Traffic();
    for (let i = 0; i < 5; i++) {
      echoed(traffic, (1 + i * 20) * MS, i, 501, 502);
      echoed(traffic, (3 + i * 20) * MS, i + 100, 601, 602);
    }
    const { pairs, roundTrips } = traffic.analyse();
    expect(
      pairs.map(({ a, b, aNetns, bNetns, packets }) => [a, b, aNetns, bNetns, packets.forward, packets.reverse]),
    ).to.deep.equal([
      [A, B, 501, 502, 5, 5],
      [A, B, 601, 602, 5, 5],
    ]);
    expect(roundTrips).to.equal(10);
  });

  it('share a pair when nothing tells them apart, and a pair is not split by the side that is seen first', () => {
    const traffic = new Traffic();
    // The trace begins in the midst: an answer first, and packets of both sides under way at once.
    traffic.packet(1 * MS, 'net_dev_queue', { dev: 'eth0', ifindex: 2, netns: 502 }, echo(B, A, 1, true));
    echoed(traffic, 1 * MS + US, 2, 501, 502);
    expect(traffic.analyse().pairs).to.have.length(1);
  });

  it('are told apart by VNI and by VLAN', () => {
    const traffic = new Traffic();
    const tunnelled = (vni: number, seq: number): Partial<PacketInput> => ({
      ...{ src: '192.0.2.1', dst: '192.0.2.2', proto: 'udp', dport: 4789 },
      inner: { ...echo(A, B, seq), tunnel: 1, tunnelId: vni },
    });
    for (let i = 0; i < 3; i++) {
      traffic.packet((1 + i) * MS, 'netif_receive_skb', ETH, tunnelled(10, i));
      traffic.packet((1 + i) * MS + US, 'netif_receive_skb', ETH, tunnelled(20, i));
      traffic.packet((1 + i) * MS, 'netif_receive_skb', ETH, { ...echo('10.9.0.1', '10.9.0.2', i), vlan: 5 });
      traffic.packet((1 + i) * MS + US, 'netif_receive_skb', ETH, { ...echo('10.9.0.1', '10.9.0.2', i + 50), vlan: 6 });
    }
    expect(traffic.analyse().pairs.map(({ a, packets }) => [a, packets.forward])).to.deep.equal([
      [A, 3],
      [A, 3],
      ['10.9.0.1', 3],
      ['10.9.0.1', 3],
    ]);
  });
});

describe('a guest that routes', () => {
  const NEAR: At = { dev: 'tap-near', ifindex: 11, netns: 100 };
  const FAR: At = { dev: 'tap-far', ifindex: 12, netns: 100 };
  const router = 500 * US;

  /** There by way of the guest, and back; returns the ns of the whole. */
  function roundTrip(traffic: Traffic, ts: number, ask: Partial<PacketInput>, answer: Partial<PacketInput>): number {
    let at = traffic.tapToTap(ts, TAP1, NEAR, { ...ask, ttl: 64 });
    at = traffic.tapToTap(at + router, FAR, TAP2, { ...ask, ttl: 63 });
    at = traffic.tapToTap(at + 2 * MS, TAP2, FAR, { ...answer, ttl: 64 });
    at = traffic.tapToTap(at + router, NEAR, TAP1, { ...answer, ttl: 63 });
    return at - ts;
  }

  for (const [what, ask, answer] of [
    ['ICMP', echo(A, B, 1), echo(B, A, 1, true)],
    [
      'ICMPv6',
      { ...echo('fd00::5', 'fd00::6', 1), proto: 'icmp6', icmpType: 128, ipId: 0 },
      { ...echo('fd00::6', 'fd00::5', 1), proto: 'icmp6', icmpType: 129, ipId: 0 },
    ],
    [
      'TCP',
      { ...data(1, 100), ack: 5 },
      { src: B, dst: A, proto: 'tcp', sport: 80, dport: 4711, seq: 5, ack: 101, flags: '.', payload: 0, ipId: 9 },
    ],
    [
      'UDP',
      { src: A, dst: B, proto: 'udp', sport: 7, dport: 53, ipId: 3, payload: 30 },
      { src: B, dst: A, proto: 'udp', sport: 53, dport: 7, ipId: 4, payload: 90 },
    ],
  ] as [string, Partial<PacketInput>, Partial<PacketInput>][]) {
    it(`does not end a round trip of ${what} at its first leg`, () => {
      const traffic = new Traffic();
      const whole = roundTrip(traffic, 1 * MS, ask, answer);
      const { roundTrips, pairs } = traffic.analyse();
      expect(roundTrips).to.equal(1);
      expect(pairs[0].roundTrips.max).to.be.closeTo(whole / MS, 1e-3);
      expect(pairs[0].turnaround.max).to.be.closeTo(2, 1e-3);
    });
  }
});
