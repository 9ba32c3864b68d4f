import { expect } from 'chai';
import { EventCursor } from '../../src/events/cursor.js';
import { DropInference } from '../../src/events/drop-inference.js';
import { FIELDS, reason } from '../../src/events/fields.js';
import { FLAG } from '../../src/events/layout.js';
import { eventOf } from '../../src/events/normalise.js';
import { type DropRule, dropRulesFor, loadDropRules, probesOfDropRules } from '../../src/probes/drop-rules.js';
import { loadCatalogue } from '../../src/probes/catalogue.js';
import type { ProbePlan } from '../../src/probes/types.js';
import { planOf, TEST_LAYOUT, WireWriter } from '../support/wire.js';

const PLACES = [
  'tcp_v4_rcv',
  'nf_hook_slow.cold',
  'ip_error',
  '__udp4_lib_rcv',
  'ip_rcv_finish_core.constprop.0',
  'ip_rcv_core',
];
const at = (place: string): number => 0xffff_0000 + 16 * (PLACES.indexOf(place) + 1);
const symbol = (address: number): string | undefined => PLACES[(address - 0xffff_0000) / 16 - 1]?.concat('+0x1f');
const NAMES = { symbol, dropReason: (number: number) => ({ 2: 'NOT_SPECIFIED', 3: 'OTHERHOST' })[number] };

const PROBES: Parameters<typeof planOf>[0] = [
  { name: 'kfree_skb', group: 'lifecycle', role: 'drop' },
  { name: 'net_dev_queue', group: 'l2', role: 'queue' },
  { name: 'icmp_send', group: 'l3', role: 'icmp-error', fields: { a: 'icmpType', b: 'icmpCode' } },
  { name: 'fib_validate_source', group: 'l3', role: 'other', returns: 'errno' },
  { name: '__skb_checksum_complete', group: 'l4', role: 'other', returns: 'bool' },
];
/** As a kernel with kprobes attaches them. */
const plan: ProbePlan = ((): ProbePlan => {
  const made = planOf(PROBES);
  const returns = probesOfDropRules(loadDropRules()).wantReturn;
  return {
    ...made,
    probes: made.probes.map((probe) => ({
      ...probe,
      backend: returns.includes(probe.point.name) ? ('kretprobe' as const) : ('kprobe' as const),
    })),
  };
})();

const RULES = dropRulesFor(loadDropRules(), '5.10.0-32-cloud-amd64');
const DROP = FLAG.freed | FLAG.dropped;

/** What each drop of the records is said to be, in their order. */
function reasons(writer: WireWriter, rules: readonly DropRule[] = RULES): (string | undefined)[] {
  const inference = new DropInference(rules, plan);
  const cursor = new EventCursor({ wire: TEST_LAYOUT, plan, names: NAMES, inference });
  cursor.load(writer.batch());
  const told: (string | undefined)[] = [];
  while (cursor.next()) {
    inference.note(cursor);
    if (cursor.dropped) told.push(reason(cursor));
  }
  return told;
}
const write = (): WireWriter => new WireWriter(plan);
const drop = (ts: number, place: string, skb: number): object => ({
  ...{ ts, probe: 'kfree_skb', flags: DROP, aux: at(place), skb, path: skb },
});

describe('reasons of drops that the kernel does not give', () => {
  it('come from the place where only one can be, whatever the compiler made of its name', () => {
    const writer = write().hop({
      ts: 1,
      probe: 'kfree_skb',
      flags: DROP,
      aux: at('nf_hook_slow.cold'),
      skb: 64,
      path: 1,
    });
    expect(reasons(writer)).to.deep.equal(['NETFILTER_DROP']);
  });

  it('are marked as inferred, and the kernel’s own are not touched', () => {
    const inference = new DropInference(RULES, plan);
    const cursor = new EventCursor({ wire: TEST_LAYOUT, plan, names: NAMES, inference });
    const hop = { ts: 1, probe: 'kfree_skb', flags: DROP, aux: at('nf_hook_slow.cold'), skb: 64, path: 1 };
    cursor.load(
      write()
        .hop(hop)
        .hop({ ...hop, ts: 2, ret: 3 })
        .hop({ ...hop, ts: 3, ret: 2 })
        .batch(),
    );
    const seen: unknown[] = [];
    while (cursor.next()) {
      inference.note(cursor);
      const { reason: name, reasonInferred } = eventOf(cursor);
      seen.push([name, reasonInferred, FIELDS['event.reasonInferred'].read(cursor)]);
    }
    expect(seen).to.deep.equal([
      ['NETFILTER_DROP', true, true],
      ['OTHERHOST', undefined, undefined],
      ['NETFILTER_DROP', true, true],
    ]);
  });

  it('stay unknown where the place alone does not tell', () => {
    const writer = write();
    for (const place of ['tcp_v4_rcv', 'ip_error', '__udp4_lib_rcv', 'ip_rcv_finish_core.constprop.0', 'ip_rcv_core']) {
      writer.hop(drop(1, place, 64) as never);
    }
    expect(reasons(writer)).to.deep.equal([undefined, undefined, undefined, undefined, undefined]);
  });

  it('come from what a probe returned for the same skb, and only for that', () => {
    const place = 'ip_rcv_finish_core.constprop.0';
    const returned = { probe: 'fib_validate_source', flags: FLAG.returned };
    const writer = write()
      .hop({ ts: 1, ...returned, ret: -18, skb: 64, path: 1 })
      .hop({ ts: 2, ...returned, ret: 0, skb: 128, path: 2 })
      .hop({ ts: 3, ...returned, ret: -22, skb: 192, path: 3 })
      .hop({ ts: 4, probe: 'kfree_skb', flags: DROP, aux: at(place), skb: 128, path: 2 })
      .hop({ ts: 5, probe: 'kfree_skb', flags: DROP, aux: at(place), skb: 64, path: 1 })
      .hop({ ts: 6, probe: 'kfree_skb', flags: DROP, aux: at(place), skb: 192, path: 3 })
      // The same address, another packet.
      .hop({ ts: 7, probe: 'kfree_skb', flags: DROP, aux: at(place), skb: 64, path: 9 });
    expect(reasons(writer)).to.deep.equal([undefined, 'IP_RPFILTER', undefined, undefined]);
  });

  it('a wrong checksum is told from a port that nobody listens on, in the same function', () => {
    const writer = write()
      .hop({ ts: 1, probe: '__skb_checksum_complete', flags: FLAG.returned, ret: 0x4711, skb: 64, path: 1 })
      .hop({ ts: 2, probe: 'kfree_skb', flags: DROP, aux: at('__udp4_lib_rcv'), skb: 64, path: 1 })
      .hop({ ts: 3, probe: '__skb_checksum_complete', flags: FLAG.returned, ret: 0, skb: 128, path: 2 })
      .hop({ ts: 4, probe: 'icmp_send', a: 3, b: 3, skb: 128, path: 2 })
      .hop({ ts: 5, probe: 'kfree_skb', flags: DROP, aux: at('__udp4_lib_rcv'), skb: 128, path: 2 });
    expect(reasons(writer)).to.deep.equal(['UDP_CSUM', 'NO_SOCKET']);
  });

  it('a SYN that this CPU has answered by a reset found no socket', () => {
    const syn = { src: '10.0.0.1', sport: 4711, dst: '10.0.0.2', dport: 80, flags: 'S' };
    const reset = { src: '10.0.0.2', sport: 80, dst: '10.0.0.1', dport: 4711, flags: 'R.' };
    const refused = { probe: 'kfree_skb', flagsWire: FLAG.born | DROP, aux: at('tcp_v4_rcv'), ...syn };
    const answer = { probe: 'net_dev_queue', ...reset };
    const writer = write()
      .packet({ ts: 1, ...refused, skb: 64, path: 1 })
      .packet({ ts: 2, ...answer, skb: 128, path: 2, cpu: 1 })
      .packet({ ts: 3, ...refused, skb: 64, path: 3, cpu: 0 })
      .packet({ ts: 4, ...refused, skb: 64, path: 4, cpu: 1 })
      .packet({ ts: 5, ...refused, sport: 4712, skb: 64, path: 5, cpu: 1 })
      .packet({ ts: 6, ...refused, flags: '.', skb: 64, path: 6, cpu: 1 });
    expect(reasons(writer)).to.deep.equal([undefined, undefined, 'NO_SOCKET', undefined, undefined]);
  });

  it('what is not answered for its rate has the reason of what was answered, for the same destination', () => {
    const gone = { probe: 'kfree_skb', flagsWire: FLAG.born | DROP, aux: at('ip_error'), src: '10.0.0.1', netns: 7 };
    const writer = write()
      .packet({ ts: 1, ...gone, dst: '10.9.0.1', skb: 64, path: 1 })
      .packet({ ts: 2, probe: 'net_dev_queue', src: '10.0.0.1', dst: '10.9.0.1', skb: 128, path: 2 })
      .hop({ ts: 3, probe: 'icmp_send', a: 3, b: 0, skb: 128, path: 2 })
      .packet({ ts: 4, ...gone, flagsWire: DROP, dst: '10.9.0.1', skb: 128, path: 2 })
      .packet({ ts: 5, ...gone, dst: '10.9.0.1', skb: 192, path: 3 })
      .packet({ ts: 6, ...gone, dst: '10.9.0.2', skb: 256, path: 4 })
      .packet({ ts: 61e9 + 6, ...gone, dst: '10.9.0.1', skb: 320, path: 5 });
    expect(reasons(writer)).to.deep.equal([undefined, 'IP_INNOROUTES', 'IP_INNOROUTES', undefined, undefined]);
  });

  it('are remembered for those who read the records again', () => {
    const inference = new DropInference(RULES, plan);
    const context = { wire: TEST_LAYOUT, plan, names: NAMES, inference };
    const batch = write()
      .hop({ ts: 5, probe: 'kfree_skb', flags: DROP, aux: at('nf_hook_slow.cold'), skb: 64, path: 1 })
      .batch();
    const first = new EventCursor(context);
    first.load(batch);
    first.next();
    inference.note(first);
    expect(reason(first)).to.equal('NETFILTER_DROP');
    const second = new EventCursor(context);
    second.load(batch);
    second.next();
    expect(eventOf(second)).to.include({ reason: 'NETFILTER_DROP', reasonInferred: true });
  });

  it('need the probes that rule others out to be attached', () => {
    const rule: DropRule = {
      ...{ in: ['ip_error'], reason: 'NOMEM', source: 'a test' },
      unless: [{ probe: 'tcf_classify', returns: 2 }],
    };
    const writer = write().hop({ ts: 1, probe: 'kfree_skb', flags: DROP, aux: at('ip_error'), skb: 64, path: 1 });
    expect(reasons(writer, [rule])).to.deep.equal([undefined]);
    expect(reasons(writer, [{ ...rule, unless: undefined }])).to.deep.equal(['NOMEM']);
  });
});

describe('rules for drop reasons', () => {
  const rules = loadDropRules();

  it('hold for the kernels that give none', () => {
    expect(dropRulesFor(rules, '4.19.90-2003.4.0.x86_64')).to.have.length(rules.length);
    expect(dropRulesFor(rules, '5.16.1')).to.have.length(rules.length);
    // Later kernels mostly say it themselves: what they leave open is told only where a function frees for one reason.
    const later = dropRulesFor(rules, '6.1.0-56-cloud-amd64');
    expect(later.length).to.be.within(1, rules.length / 2);
    for (const name of ['enqueue_to_backlog', 'tcp_v4_rcv', 'tun_net_xmit'])
      expect(later.flatMap((rule) => rule.in)).to.not.include(name);
    expect(dropRulesFor(rules, 'custom')).to.deep.equal([]);
  });

  it('name probes of the catalogue, and the kernel source that they rest on', () => {
    const catalogue = loadCatalogue();
    const { probes, wantReturn } = probesOfDropRules(rules);
    for (const name of probes) expect(catalogue.get(name), name).not.to.equal(undefined);
    for (const name of wantReturn) expect(catalogue.get(name)?.function, name).not.to.equal(undefined);
    for (const { source } of rules) expect(source).to.match(/(net|drivers|include)\/[a-z0-9_/]+\.[ch]/);
  });
});
