import { expect } from 'chai';
import { namesOf } from '../../src/analysis/recorded-names.js';
import { Pipeline } from '../../src/analysis/pipeline.js';
import { FLAG } from '../../src/events/layout.js';
import { compileCondition, type FieldTable } from '../../src/rules/compile.js';
import { FIELD_SPECS, type FieldName } from '../../src/events/field-names.js';
import type { FindingGroup } from '../../src/rules/types.js';
import { TEST_LAYOUT, WireWriter } from '../support/wire.js';
import { dropReasons, rules, wholePlan } from './content.js';

const NUMBERS = Object.fromEntries(dropReasons.map((name, i) => [String(i + 3), name]));
const reasonNumber = (name: string): number => dropReasons.indexOf(name) + 3;

/** The findings of records as the kernel side would write them. */
function classify(write: (writer: WireWriter) => void): FindingGroup[] {
  const writer = new WireWriter(wholePlan);
  write(writer);
  const options = {
    plan: wholePlan,
    wire: TEST_LAYOUT,
    dropReasons: NUMBERS,
    rules,
    paths: { segments: [], roundTrips: false },
  };
  const names = namesOf((address) => (address === 0xffff_8000 ? 'tbf_enqueue+0x1f [sch_tbf]' : undefined), NUMBERS);
  const pipeline = new Pipeline(options as unknown as ConstructorParameters<typeof Pipeline>[0], names);
  pipeline.push(writer.batch());
  return pipeline.finish().findings;
}

const summary = (groups: FindingGroup[]): string[] =>
  groups.map(({ rule, level, count }) => `${level} ${rule} ${count}`);

const SYN = { proto: 'tcp', src: '10.0.0.1', dst: '10.0.0.2', sport: 4711, dport: 80, flags: 'S' } as const;
const place = { ifindex: 5, dev: 'tap1', netns: 4026531840 };
const drop = { flags: FLAG.freed | FLAG.dropped, aux: 0xffff_8000 };

describe('the shipped rules on records', () => {
  it('see a dropped SYN at a closed port, with its reason, place and flow', () => {
    const [finding, ...others] = classify((w) =>
      w
        .packet({ ts: 1000, path: 7, skb: 9, probe: 'netif_receive_skb', ...SYN, ...place })
        .hop({ ts: 2000, path: 7, skb: 9, probe: 'kfree_skb', ret: reasonNumber('NO_SOCKET'), ...drop, ...place }),
    );
    expect(others).to.deep.equal([]);
    expect(finding).to.deep.include({
      rule: 'lifecycle.no-socket',
      level: 'error',
      article: 'l4/port-closed',
      count: 1,
    });
    expect(finding.message).to.match(/^no socket listens for TCP 10\.0\.0\.1:4711 → 10\.0\.0\.2:80/);
    expect(finding.messageZh).to.match(/^没有套接字监听该目的端口：TCP 10\.0\.0\.1:4711/);
    expect(finding.subject).to.deep.include({ device: 'tap1', reason: 'NO_SOCKET' });
  });

  it('say nothing of a packet that passes', () => {
    const found = classify((w) =>
      w
        .packet({ ts: 1000, path: 7, skb: 9, probe: 'netif_receive_skb', ...SYN, window: 64240, ...place })
        .hop({ ts: 1100, path: 7, skb: 9, probe: 'net_dev_queue', ...place })
        .hop({ ts: 1200, path: 7, skb: 9, probe: 'net_dev_xmit', ret: 0, ...place })
        .hop({ ts: 1300, path: 7, skb: 9, probe: 'skb_copy_datagram_iovec', ...place })
        .hop({ ts: 1400, path: 7, skb: 9, probe: 'consume_skb', flags: FLAG.freed, ...place }),
    );
    expect(found).to.deep.equal([]);
  });

  it('read the function where an old kernel gives no reason', () => {
    const found = classify((w) =>
      w
        .packet({ ts: 1000, path: 7, skb: 9, probe: 'net_dev_queue', ...SYN, ...place })
        .hop({ ts: 2000, path: 7, skb: 9, probe: 'kfree_skb', ret: 0, ...drop, ...place }),
    );
    expect(summary(found)).to.deep.equal(['error lifecycle.qdisc-drop 1']);
    expect(found[0].subject).to.deep.include({ location: 'tbf_enqueue+0x1f [sch_tbf]', function: 'tbf_enqueue' });
  });

  it('read verdicts with table, chain and hook', () => {
    const found = classify((w) =>
      w
        .packet({ ts: 1000, path: 7, skb: 9, probe: 'netif_receive_skb', ...SYN, ...place })
        .verdict({
          ts: 1500,
          path: 7,
          skb: 9,
          probe: 'ipt_do_table',
          ret: 0,
          hook: 2,
          pf: 2,
          table: 'filter',
          chain: 'FORWARD',
          ...place,
        })
        .verdict({ ts: 1600, path: 7, skb: 9, probe: 'nf_hook_slow', ret: -1, hook: 2, pf: 2, ...place })
        .verdict({
          ts: 1700,
          path: 7,
          skb: 9,
          probe: 'nft_do_chain',
          ret: 1,
          hook: 2,
          pf: 2,
          table: 't',
          chain: 'c',
          ...place,
        }),
    );
    expect(summary(found).sort()).to.deep.equal(['error netfilter.chain-drop 1', 'error netfilter.hook-drop 1']);
    expect(found.find(({ rule }) => rule === 'netfilter.chain-drop')?.message).to.match(
      /^filter\/FORWARD at FORWARD dropped TCP 10\.0\.0\.1/,
    );
  });

  it('read what a driver answers', () => {
    const packet = { path: 7, skb: 9, ...SYN, ...place };
    const xmit = { path: 7, skb: 9, probe: 'net_dev_xmit', ...place };
    const found = classify((w) => {
      w.packet({ ts: 1, probe: 'net_dev_start_xmit', ...packet });
      [0, 1, 2, 16, -100].forEach((ret, i) => w.hop({ ts: i + 2, ret, ...xmit }));
    });
    expect(summary(found).sort()).to.deep.equal([
      'error l2.xmit-dropped 1',
      'error l2.xmit-refused 1',
      'info l2.xmit-busy 1',
      'info l2.xmit-congested 1',
    ]);
    expect(found.find(({ rule }) => rule === 'l2.xmit-refused')?.message).to.match(
      /^tap1 refused to send \(ENETDOWN\)/,
    );
  });

  it('read ICMP errors that this host sends', () => {
    const sent = (type: number, code: number): string[] =>
      summary(
        classify((w) => w.packet({ ts: 1, path: 7, skb: 9, probe: 'icmp_send', a: type, b: code, ...SYN, ...place })),
      );
    expect(sent(3, 0)).to.deep.equal(['error l3.icmp-no-route 1']);
    expect(sent(3, 1)).to.deep.equal(['error l3.icmp-host-unreachable 1']);
    expect(sent(3, 3)).to.deep.equal(['warn l3.icmp-port-unreachable 1']);
    expect(sent(3, 4)).to.deep.equal(['info l3.icmp-too-big 1']);
    expect(sent(3, 13)).to.deep.equal(['error l3.icmp-prohibited 1']);
    expect(sent(11, 0)).to.deep.equal(['warn l3.icmp-ttl-exceeded 1']);
    expect(sent(5, 1)).to.deep.equal(['info l3.icmp-redirect 1']);
  });

  it('read neighbours and sockets', () => {
    const found = classify((w) =>
      w
        .socket({ ts: 1, probe: 'neigh_timer_handler', a: 32, daddr: '10.0.0.9', protocol: 0, ...place })
        .socket({ ts: 2, probe: 'neigh_timer_handler', a: 2, daddr: '10.0.0.8', protocol: 0, ...place })
        .socket({ ts: 3, probe: 'inet_sock_set_state', a: 2, b: 7, daddr: '10.0.0.2', dport: 80, sport: 4711 })
        .socket({ ts: 3, probe: 'inet_sock_set_state', a: 2, b: 7, daddr: '10.0.0.2', dport: 80, sport: 0 })
        .socket({ ts: 4, probe: 'inet_sock_set_state', a: 2, b: 1, daddr: '10.0.0.2', dport: 80 })
        .socket({ ts: 5, probe: 'tcp_conn_request', sport: 80, backlog: 6, backlogMax: 5 })
        .socket({ ts: 6, probe: 'sock_rcvqueue_full', sport: 53, protocol: 17, rmem: 9, rcvbuf: 8 })
        .socket({ ts: 7, probe: 'tcp_retransmit_skb', a: 1, saddr: '10.0.0.1', daddr: '10.0.0.2' })
        .socket({ ts: 8, probe: 'tcp_retransmit_skb', a: 2, saddr: '10.0.0.1', daddr: '10.0.0.2' }),
    );
    expect(summary(found).sort()).to.deep.equal([
      'error socket.accept-queue-full 1',
      'error socket.no-local-port 1',
      'error socket.receive-queue-full 1',
      'info l4.retransmit 1',
      'warn l2.neighbour-failed 1',
      'warn l4.syn-retransmit 1',
      'warn socket.connect-failed 1',
    ]);
    expect(found.find(({ rule }) => rule === 'l2.neighbour-failed')?.message).to.equal(
      'the neighbour 10.0.0.9 on tap1 does not answer (NUD_FAILED)',
    );
    expect(found.find(({ rule }) => rule === 'socket.receive-queue-full')?.message).to.equal(
      'the receive queue of the UDP socket at port 53 is full: 9 of 8 bytes',
    );
  });

  it('read waits for a CPU', () => {
    const waits = (ms: number): string[] =>
      summary(
        classify((w) => w.sched({ ts: 1, probe: 'sched_switch', pid: 4711, tid: 4712, wait: ms * 1e6, comm: 'vhost' })),
      );
    expect(waits(2)).to.deep.equal([]);
    expect(waits(20)).to.deep.equal(['info sched.wait 1']);
    expect(waits(80)).to.deep.equal(['info sched.long-wait 1']);
    expect(waits(1500)).to.deep.equal(['warn sched.starved 1']);
  });

  it('tell a window of zero from a reset', () => {
    const found = (flags: string, window: number): string[] =>
      summary(
        classify((w) => w.packet({ ts: 1, path: 7, skb: 9, probe: 'net_dev_queue', ...SYN, flags, window, ...place })),
      );
    expect(found('.', 0)).to.deep.equal(['info l4.zero-window 1']);
    expect(found('R', 0)).to.deep.equal([]);
    expect(found('.', 501)).to.deep.equal([]);
  });
});

describe('the tests that rules carry', () => {
  const fields = Object.fromEntries(
    (Object.keys(FIELD_SPECS) as FieldName[]).map((name) => [
      name,
      { type: FIELD_SPECS[name].type, read: (event: Record<string, string | number | boolean>) => event[name] },
    ]),
  ) as FieldTable<Record<string, string | number | boolean>>;

  it('are there, and hold', () => {
    let count = 0;
    for (const rule of rules) {
      const test = compileCondition(rule.when, fields);
      for (const { event, level } of rule.tests ?? []) {
        count++;
        expect(test(event) ? rule.level : 'none', `${rule.id}: ${JSON.stringify(event)}`).to.equal(level);
      }
    }
    expect(count).to.be.at.least(40);
  });
});
