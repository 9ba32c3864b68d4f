import { expect } from 'chai';
import { FLAG } from '../../src/events/layout.js';
import { type At, echo, MS, TAP2, Traffic, US } from '../support/traffic.js';

const A = '10.0.0.5';
const B = '10.0.0.6';

describe('conversations', () => {
  it('of packets that are first seen in their socket, where they have no device, begin at their first device', () => {
    const [inSocket, inA]: At[] = [
      { dev: '', ifindex: 0, netns: 201 },
      { dev: 'eth0', ifindex: 2, netns: 201 },
    ];
    const traffic = new Traffic();
    const request = traffic.packet(MS - 5 * US, '__ip_local_out', inSocket, echo(A, B, 1));
    request.hop(MS, 'net_dev_queue', inA).hop(MS + US, 'consume_skb', inA, { flags: FLAG.freed });
    const reply = traffic.packet(2 * MS, 'netif_receive_skb', TAP2, echo(B, A, 1, true));
    reply.hop(3 * MS, 'netif_receive_skb', inA);
    // A kernel without drop reasons.
    reply.hop(4 * MS, 'kfree_skb', inA, { flags: FLAG.freed | FLAG.dropped, ret: 0 });
    const [pair] = traffic.analyse().pairs;
    expect(pair).to.deep.include({ aDevice: 'eth0', aNetns: 201 });
    expect(pair.drops).to.deep.equal({ forward: 0, reverse: 0 });
    expect(pair.roundTrips).to.include({ count: 1 });
    expect(pair.roundTrips.max).to.be.closeTo(2.005, 1e-9);
  });
});
