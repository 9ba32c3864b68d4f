import { expect } from 'chai';
import { EventCursor } from '../../src/events/cursor.js';
import { FIELDS } from '../../src/events/fields.js';
import type { FieldName } from '../../src/events/field-names.js';
import { FLAG, resolveLayout } from '../../src/events/layout.js';
import { eventOf } from '../../src/events/normalise.js';
import { WIRE_LAYOUT, WIRE_VERSION } from '../../src/events/wire.gen.js';
import { VdiagError } from '../../src/base/errors.js';
import { TEST_LAYOUT, TEST_NAMES, TEST_PLAN, WireWriter } from '../support/wire.js';

function at(writer: WireWriter): EventCursor {
  const cursor = new EventCursor({ wire: TEST_LAYOUT, plan: TEST_PLAN, names: TEST_NAMES });
  cursor.load(writer.batch());
  expect(cursor.next()).to.equal(true);
  return cursor;
}
const read = (cursor: EventCursor, ...names: FieldName[]): unknown[] => names.map((name) => FIELDS[name].read(cursor));
const write = (): WireWriter => new WireWriter();

describe('fields of events', () => {
  it('of a drop: reason, place and function by the names of that kernel', () => {
    const flags = FLAG.freed | FLAG.dropped;
    const cursor = at(
      write().hop({ ts: 1, probe: 'kfree_skb', flags, ret: 8, aux: 0xffff8000, dev: 'tap1', ifindex: 5 }),
    );
    expect(
      read(cursor, 'event.reason', 'event.location', 'event.function', 'event.dropped', 'event.freed'),
    ).to.deep.equal([...['NETFILTER_DROP', 'nf_hook_slow+0x1f', 'nf_hook_slow', true, true]]);
    const nameless = at(write().hop({ ts: 1, probe: 'kfree_skb', flags, ret: 93, aux: 0xabc }));
    expect(read(nameless, 'event.reason', 'event.location', 'event.function')).to.deep.equal([
      'reason 93',
      '0xabc',
      undefined,
    ]);
    expect(
      read(at(write().hop({ ts: 1, probe: 'consume_skb', flags: FLAG.freed, ret: 8 })), 'event.reason'),
    ).to.deep.equal([undefined]);
  });

  it('of a verdict: table, chain, hook and family by name; control characters cannot get out', () => {
    const cursor = at(
      write().verdict({ ts: 1, probe: 'nft_do_chain', ret: 0, hook: 2, pf: 2, table: 'filter', chain: 'a\u001b[31m' }),
    );
    expect(read(cursor, 'event.verdict', 'event.hook', 'event.family', 'event.table', 'event.chain')).to.deep.equal([
      ...['NF_DROP', 'FORWARD', 'ip', 'filter', 'a\\x1b[31m'],
    ]);
    expect(eventOf(cursor)).to.deep.include({ verdict: 'NF_DROP', table: 'filter', kind: 'verdict' });
    // A queue's number stands above the verdict.
    const queued = at(write().verdict({ ts: 1, probe: 'nft_do_chain', ret: (7 << 16) | 3 }));
    expect(read(queued, 'event.verdict', 'event.table')).to.deep.equal(['NF_QUEUE', undefined]);
  });

  it('of a packet: addresses, ports, flags and what they mean', () => {
    const cursor = at(
      write().packet({
        ...{ ts: 1, probe: 'netif_receive_skb', src: 'fd00::1', sport: 4711, dst: 'ff02::fb', dport: 80 },
        ...{ flags: 'S.', seq: 7, ack: 9, window: 512, payload: 3, dmac: '33:33:00:00:00:fb', vlan: 0x6001 },
      }),
    );
    expect(read(cursor, 'packet.src', 'packet.dst', 'packet.sport', 'packet.dport', 'packet.flags')).to.deep.equal([
      ...['fd00::1', 'ff02::fb', 4711, 80, 'S.'],
    ]);
    expect(read(cursor, 'packet.syn', 'packet.rst', 'packet.multicast', 'packet.vlan', 'packet.dmac')).to.deep.equal([
      ...[true, false, true, 1, '33:33:00:00:00:fb'],
    ]);
    expect(eventOf(cursor).packet?.summary).to.equal('TCP [fd00::1]:4711 → [ff02::fb]:80 [S.] seq 7 ack 9 len 3');
  });

  it('of other packets: ARP, fragments, what is quoted by an ICMP error', () => {
    const arp = at(write().packet({ ts: 1, probe: 'net_dev_queue', proto: 'arp', src: '10.0.0.1', dst: '10.0.0.2' }));
    expect(eventOf(arp).packet?.summary).to.equal('ARP who has 10.0.0.2? tell 10.0.0.1');
    expect(read(arp, 'packet.sport', 'packet.ttl', 'packet.flags')).to.deep.equal([undefined, undefined, undefined]);
    const part = at(
      write().packet({
        ts: 1,
        probe: 'net_dev_queue',
        proto: 'udp',
        src: '10.0.0.1',
        dst: '10.0.0.2',
        frag: 0x2000 | 185,
      }),
    );
    expect(read(part, 'packet.fragment', 'packet.dontFragment')).to.deep.equal([true, false]);
    const quoting = at(
      write().packet({
        ...{ ts: 1, probe: 'net_dev_queue', proto: 'icmp', src: '10.0.0.9', dst: '10.0.0.1', icmpType: 3, icmpCode: 4 },
        inner: { proto: 'tcp', src: '10.0.0.1', sport: 1, dst: '10.0.0.2', dport: 2 },
      }),
    );
    expect(eventOf(quoting).packet).to.deep.include({ src: '10.0.0.9', proto: 'ICMP', icmpCode: 4, tunnel: '' });
  });

  it('of sockets, neighbours and threads', () => {
    const socket = at(
      write().socket({
        ...{
          ts: 1,
          probe: 'inet_sock_set_state',
          a: 2,
          b: 7,
          saddr: '10.0.0.1',
          daddr: '10.0.0.2',
          sport: 9,
          dport: 80,
        },
        ...{ rcvbuf: 4096, rmem: 5000, backlog: 3, backlogMax: 2 },
      }),
    );
    expect(
      read(socket, 'event.oldState', 'event.newState', 'socket.src', 'socket.dport', 'socket.protocol'),
    ).to.deep.equal([...['TCP_SYN_SENT', 'TCP_CLOSE', '10.0.0.1', 80, 'TCP']]);
    expect(read(socket, 'socket.rmem', 'socket.rcvbuf', 'socket.sndbuf', 'socket.backlog', 'packet.src')).to.deep.equal(
      [...[5000, 4096, undefined, 3, undefined]],
    );
    const neighbour = at(write().socket({ ts: 1, probe: 'neigh_update', a: 1, b: 32, daddr: 'fe80::1', family: 10 }));
    expect(read(neighbour, 'event.oldState', 'event.newState', 'socket.dst')).to.deep.equal([
      ...['NUD_INCOMPLETE', 'NUD_FAILED', 'fe80::1'],
    ]);
    const thread = at(write().sched({ ts: 1, probe: 'sched_switch', tid: 7, wait: 2_500_000, a: 1, comm: 'vhost-7' }));
    expect(read(thread, 'event.waitMs', 'event.preempted', 'socket.src')).to.deep.equal([2.5, true, undefined]);
  });

  it('that the catalogue names: whichever of the generic numbers it gave them', () => {
    expect(
      read(at(write().hop({ ts: 1, probe: 'icmp_send', a: 3, b: 4 })), 'event.icmpType', 'event.icmpCode'),
    ).to.deep.equal([3, 4]);
    expect(
      read(at(write().hop({ ts: 1, probe: 'qdisc_enqueue', a: 12 })), 'event.qlen', 'event.icmpType'),
    ).to.deep.equal([12, undefined]);
  });

  it('of paths are not there without a path', () => {
    const cursor = at(write().hop({ ts: 1, probe: 'consume_skb' }));
    expect(read(cursor, 'path.ageMs', 'path.lastDevice', 'packet.src')).to.deep.equal([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('the layout of records', () => {
  it('as generated from the compiled object is the one that C gives the header', () => {
    expect(WIRE_VERSION).to.equal(TEST_LAYOUT.version);
    for (const [member, place] of Object.entries(TEST_LAYOUT.layout)) {
      const generated = (WIRE_LAYOUT as Record<string, readonly number[]>)[member];
      if (generated) expect([...generated], member).to.deep.equal(place);
    }
    expect(() =>
      resolveLayout({ version: 1, layout: structuredClone(WIRE_LAYOUT) as never }, 'this build'),
    ).to.not.throw();
  });

  for (const [what, member, place] of [
    ['lacks a member', 'vd_hop.path', undefined],
    ['has one of another size', 'vd_hop.ts', [0, 4]],
    ['has one that cannot be read', 'vd_hop.ts', [3, 8]],
    ['has one at no place', 'vd_headers.saddr', [-4, 16]],
  ] as const) {
    it(`is refused when it ${what}`, () => {
      const layout: Record<string, [number, number]> = { ...TEST_LAYOUT.layout };
      if (place) layout[member] = [...place];
      else delete layout[member];
      expect(() => resolveLayout({ version: 1, layout }, 'x.vdiag')).to.throw(
        VdiagError,
        `x.vdiag describes its records differently: ${member}`,
      );
    });
  }
});
