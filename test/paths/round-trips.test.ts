import { expect } from 'chai';
import { FLAG } from '../../src/events/layout.js';
import type { PacketInput } from '../support/wire.js';
import { MS, TAP1, TAP2, Traffic } from '../support/traffic.js';

const A = '10.0.0.5';
const B = '10.0.0.6';

/** A conversation: packets that enter at one tap and are read at the other one 0.1 ms later. */
class Conversation {
  readonly traffic = new Traffic();
  private ids = 0;

  constructor(private readonly proto: 'tcp' | 'udp') {}

  a(ms: number, headers: Partial<PacketInput> = {}): this {
    return this.send(ms, false, headers);
  }
  b(ms: number, headers: Partial<PacketInput> = {}): this {
    return this.send(ms, true, headers);
  }

  private send(ms: number, reverse: boolean, headers: Partial<PacketInput>): this {
    const ends = { src: A, sport: 4000, dst: B, dport: 80 };
    const back = { src: B, sport: 80, dst: A, dport: 4000 };
    const at = reverse ? [TAP2, TAP1] : [TAP1, TAP2];
    const all = { ...(reverse ? back : ends), proto: this.proto, ipId: ++this.ids, ...headers };
    const packet = this.traffic.packet(ms * MS, 'netif_receive_skb', at[0], all);
    packet.hop(ms * MS + MS / 10, 'skb_copy_datagram_iovec', at[1], { pid: 1 });
    packet.hop(ms * MS + MS / 10, 'consume_skb', at[1], { flags: FLAG.freed });
    return this;
  }

  /** [round trips, longest turnaround in ms, whose it is] */
  result(): [number, number, string | undefined] {
    const { pairs, roundTrips } = this.traffic.analyse();
    return [roundTrips, Math.round(pairs[0].turnaround.max * 1000) / 1000, pairs[0].turnaroundOf];
  }
}

const tcp = (): Conversation => new Conversation('tcp');
const data = (seq: number, payload: number, more: Partial<PacketInput> = {}): Partial<PacketInput> => ({
  ...{ flags: 'P.', seq, payload, ack: 1 },
  ...more,
});
const ack = (number: number): Partial<PacketInput> => ({ flags: '.', seq: 1, ack: number, payload: 0 });

describe('round trips', () => {
  it('of TCP: the handshake in both directions', () => {
    const handshake = tcp()
      .a(10, { flags: 'S', seq: 99, payload: 0 })
      .b(15, { flags: 'S.', seq: 499, ack: 100, payload: 0 })
      .a(16, { flags: '.', seq: 100, ack: 500, payload: 0 });
    expect(handshake.result()).to.deep.equal([2, 4.9, 'b']);
  });

  it('of TCP: the first acknowledgement that covers the data, not an earlier one', () => {
    expect(tcp().a(10, data(100, 50)).b(12, ack(120)).b(20, ack(150)).b(30, ack(150)).result()).to.deep.equal([
      ...[1, 9.9, 'b'],
    ]);
  });

  it('of TCP: a delayed acknowledgement answers the segment that it waited for', () => {
    expect(tcp().a(10, data(100, 50)).a(40, data(150, 50)).b(41, ack(200)).result()).to.deep.equal([1, 0.9, 'b']);
  });

  it('of TCP: none for data that was sent again', () => {
    expect(tcp().a(10, data(100, 50)).a(210, data(100, 50)).b(211, ack(150)).result()[0]).to.equal(0);
    const syn = { flags: 'S', seq: 99, payload: 0 };
    expect(tcp().a(10, syn).a(1010, syn).b(1011, { flags: 'S.', seq: 5, ack: 100 }).result()[0]).to.equal(0);
  });

  it('of TCP: the same packet passed on by a guest between is no retransmission', () => {
    const passedOn = tcp()
      .a(10, data(100, 50, { ipId: 77 }))
      .a(11, data(100, 50, { ipId: 77, ttl: 63 }));
    expect(passedOn.b(15, ack(150)).result()[0]).to.equal(1);
  });

  it('of TCP: sequence numbers wrap', () => {
    expect(tcp().a(10, data(0xffffffe0, 64)).b(12, ack(32)).result()).to.deep.equal([1, 1.9, 'b']);
  });

  it('of TCP: when b sends the data, they are the ones that it begins', () => {
    const download = tcp().a(1, ack(1));
    for (let i = 0; i < 8; i++) download.b(10 + i, data(1 + i * 100, 100)).a(10.5 + i, ack(101 + i * 100));
    expect(download.result()).to.deep.equal([8, 0.4, 'a']);
  });

  it('of TCP: more data under way than is followed leaves round trips all the same', () => {
    const bulk = tcp();
    for (let i = 0; i < 100; i++) bulk.a(10 + i / 100, data(1000 + i * 10, 10));
    for (let i = 0; i < 100; i++) bulk.b(12 + i / 100, ack(1010 + i * 10));
    expect(bulk.result()[0]).to.equal(16);
  });

  it('of UDP: question and answer by order, not a stream', () => {
    const udp = (): Conversation => new Conversation('udp');
    expect(udp().a(10).b(15).a(20).b(22).result()).to.deep.equal([2, 4.9, 'b']);
    expect(udp().a(10).a(11).b(20).b(21).result()).to.deep.equal([2, 9.9, 'b']);
    const stream = udp();
    for (let i = 0; i < 50; i++) stream.a(10 + i);
    expect(stream.b(61).result()[0]).to.equal(0);
    expect(udp().a(10).b(20_000).result()[0], 'too late to be its answer').to.equal(0);
  });

  it('are left out when the scenario does not ask for them', () => {
    const { traffic } = tcp().a(10, data(100, 50)).b(20, ack(150));
    expect(traffic.analyse({ roundTrips: false }).roundTrips).to.equal(0);
  });
});
