import { expect } from 'chai';
import type { SkbEvent } from '../../src/events/types.js';
import type { PlannedProbe, ProbeRole } from '../../src/probes/types.js';
import { Classifier, selectRules } from '../../src/rules/classify.js';
import { MAX_GROUPS, type EventAccess } from '../../src/rules/finding-groups.js';
import { FlowTally } from '../../src/rules/flow-tally.js';
import { runRuleTests } from '../../src/rules/rule-tests.js';
import type { EventRule } from '../../src/rules/types.js';
import { TEST_FIELDS, type TestEvent } from './conditions.js';
import { load, ruleWhen } from './support.js';

const PLAN: PlannedProbe[] = [
  planned(3, 'kfree_skb', 'drop'),
  planned(5, 'nft_do_chain', 'verdict'),
  { ...planned(6, 'ip_rcv', 'other'), backend: undefined },
];

function planned(index: number, name: string, role: ProbeRole): PlannedProbe {
  const point = { name, role, group: 'netfilter', set: 'standard', program: 'skb', hides: '' } as const;
  return { index, point, backend: 'kprobe', reasons: [] };
}

let kept = 0;
const ACCESS: EventAccess<TestEvent> = {
  probe: (event) => Number(event.index),
  ts: (event) => Number(event.ts),
  flow: (event) => String(event.flow ?? ''),
  toEvent: (event) => {
    kept++;
    return { ts: event.ts, packet: { summary: `to ${event['packet.dst']}` } } as SkbEvent;
  },
};

function rule(id: string, more: Partial<EventRule> = {}): EventRule {
  return {
    id,
    layer: 'netfilter',
    level: 'warn',
    on: ['nft_do_chain'],
    when: { fact: 'event.verdict', operator: 'equal', value: 'NF_DROP' },
    message: '{{event.chain}} drops {{packet.summary}} ({{flow}}, mark {{event.mark}})',
    article: 'a',
    tags: [],
    source: '',
    ...more,
  };
}

function event(more: TestEvent = {}): TestEvent {
  return {
    index: 5,
    ts: 1,
    flow: 'TCP 10.0.0.1:1 → 10.0.0.2:80',
    'event.verdict': 'NF_DROP',
    'event.chain': 'FORWARD',
    'event.device': 'tap0',
    'event.netns': 7,
    'event.hook': 'FORWARD',
    'event.probe': 'nft_do_chain',
    'packet.dst': '10.0.0.2',
    ...more,
  };
}

const classifier = (...rules: EventRule[]): Classifier<TestEvent> => new Classifier(rules, PLAN, TEST_FIELDS, ACCESS);

describe('rules: classification', () => {
  it('asks only the rules of the event’s probe, by name or role', () => {
    const all = classifier(
      rule('by-name'),
      rule('by-role', { on: ['role:verdict'] }),
      rule('other', { on: ['kfree_skb'] }),
      rule('idle', { on: ['ip_rcv'] }),
    );
    expect(all.classify(event())).to.equal(2);
    expect(all.classify(event({ index: 3 }))).to.equal(1);
    expect(all.classify(event({ index: 6 }))).to.equal(0);
    expect(all.classify(event({ index: 4 }))).to.equal(0);
    expect(all.classify(event({ index: 400 }))).to.equal(0);
    expect(all.classify(event({ 'event.verdict': 'NF_ACCEPT' }))).to.equal(0);
    expect(all.idle).to.deep.equal(['idle']);
  });

  it('groups what belongs together', () => {
    const one = classifier(rule('drop', { tags: ['t'] }));
    kept = 0;
    one.classify(event({ ts: 5 }));
    one.classify(event({ ts: 9, flow: 'UDP x', 'event.hook': 'INPUT' }));
    for (let i = 0; i < 10; i++) one.classify(event({ ts: 3 }));
    one.classify(event({ ts: 2, 'event.device': 'tap1', flow: '' }));
    expect(one.findings()).to.deep.equal([
      {
        rule: 'drop',
        level: 'warn',
        layer: 'netfilter',
        article: 'a',
        tags: ['t'],
        count: 12,
        firstTs: 3,
        lastTs: 9,
        message: 'FORWARD drops to 10.0.0.2 (TCP 10.0.0.1:1 → 10.0.0.2:80, mark ?)',
        messageZh: 'FORWARD drops to 10.0.0.2 (TCP 10.0.0.1:1 → 10.0.0.2:80, mark ?)',
        // The hook differed, so the group does not have one.
        subject: { device: 'tap0', netns: 7, chain: 'FORWARD', probe: 'nft_do_chain', verdict: 'NF_DROP' },
        flows: [
          { flow: 'TCP 10.0.0.1:1 → 10.0.0.2:80', count: 11 },
          { flow: 'UDP x', count: 1 },
        ],
        samples: [5, 9, 3].map((ts) => ({ ts, packet: { summary: 'to 10.0.0.2' } })),
      },
      {
        ...one.findings()[1],
        count: 1,
        flows: [],
        subject: {
          device: 'tap1',
          netns: 7,
          chain: 'FORWARD',
          probe: 'nft_do_chain',
          verdict: 'NF_DROP',
          hook: 'FORWARD',
        },
      },
    ]);
    expect(kept, 'objects made of events').to.equal(4);
  });

  it('groups by what the rule says instead', () => {
    const one = classifier(rule('drop', { groupBy: ['packet.dst'] }));
    one.classify(event({ 'event.device': 'tap0' }));
    one.classify(event({ 'event.device': 'tap1' }));
    one.classify(event({ 'packet.dst': '10.0.0.3' }));
    expect(one.findings().map(({ subject, count }) => [subject.dst, subject.device, count])).to.deep.equal([
      ['10.0.0.2', undefined, 2],
      ['10.0.0.3', undefined, 1],
    ]);
  });

  it('sorts by level, count and id, whatever came first', () => {
    const all = classifier(
      rule('i', { level: 'info' }),
      rule('b'),
      rule('a'),
      rule('many', { on: ['role:verdict', 'kfree_skb'] }),
      rule('e', { level: 'error', on: ['kfree_skb'] }),
    );
    all.classify(event());
    all.classify(event({ index: 3 }));
    expect(all.findings().map((group) => group.rule)).to.deep.equal(['e', 'many', 'a', 'b', 'i']);
  });

  it('lets nothing from a packet or the kernel reach a terminal', () => {
    const one = classifier(
      rule('drop', { message: '{{event.chain}} {{event.device}}', messageZh: '{{event.device}}' }),
    );
    one.classify(event({ 'event.device': 'tap\u001b[31m', 'event.chain': 'a\u202eb' }));
    const [{ message, messageZh, subject }] = one.findings();
    expect([message, messageZh, subject.device]).to.deep.equal([
      'a\\u{202e}b tap\\x1b[31m',
      'tap\\x1b[31m',
      'tap\\x1b[31m',
    ]);
  });

  it('does not take a value for a template', () => {
    const one = classifier(rule('drop', { message: '{{event.chain}}' }));
    one.classify(event({ 'event.chain': '{{event.device}}' }));
    expect(one.findings()[0].message).to.equal('{{event.device}}');
  });

  it('stays within its memory, counts the rest, and keeps room for what is worse', () => {
    const all = classifier(
      rule('flood', { level: 'info' }),
      rule('bad', { level: 'error', when: { fact: 'event.cpu', operator: 'greaterThan', value: MAX_GROUPS.info - 1 } }),
      rule('late', { level: 'info', when: { fact: 'event.cpu', operator: 'equal', value: 4999 } }),
    );
    for (let i = 0; i < 5000; i++) all.classify(event({ 'event.device': `tap${i}`, 'event.cpu': i }));
    const counts = new Map<string, number>();
    for (const group of all.findings()) counts.set(group.rule, (counts.get(group.rule) ?? 0) + 1);
    expect(Object.fromEntries(counts)).to.deep.equal({
      flood: MAX_GROUPS.info,
      bad: MAX_GROUPS.error - MAX_GROUPS.info,
      late: 1,
    });
    expect(Object.fromEntries(all.overflow)).to.deep.equal({ flood: 4000, bad: 3000 });
  });

  it('takes the rules of a scenario’s layers or tags', () => {
    const rules = [rule('a', { layer: 'l2' }), rule('b', { tags: ['latency'] }), rule('c')];
    const ids = (wanted: Parameters<typeof selectRules>[1]) => selectRules(rules, wanted).map(({ id }) => id);
    expect(ids(undefined)).to.deep.equal(['a', 'b', 'c']);
    expect(ids({ layers: ['l2'], tags: ['latency'] })).to.deep.equal(['a', 'b']);
    expect(ids({ tags: ['nothing'] })).to.deep.equal([]);
  });
});

describe('rules: flows of a group', () => {
  it('are counted exactly up to 64, and the frequent ones survive a flood', () => {
    const tally = new FlowTally();
    for (let i = 0; i < 1000; i++) {
      tally.add('often');
      if (i % 2 === 0) tally.add('half');
      tally.add(`once ${i}`);
    }
    expect(tally.top(2)).to.deep.equal([
      { flow: 'often', count: 1000 },
      { flow: 'half', count: 500 },
    ]);
    expect(tally.top(1000).length).to.be.at.most(64);
  });
});

describe('rules: tests that rules carry', () => {
  const tests = [
    '    tests:',
    '      - { event: { event.verdict: NF_DROP }, level: warn }',
    '      - { event: { event.verdict: NF_ACCEPT }, level: warn }',
    '      - { event: {}, level: none }',
  ];
  const file = ruleWhen('{ fact: event.verdict, operator: equal, value: NF_DROP }', tests);

  it('are run, and what fails is named', () => {
    const { run, failed } = runRuleTests(load({ 'a/x.yaml': file }).rules);
    expect(run).to.equal(3);
    expect(failed.map(({ source: _, ...rest }) => rest)).to.deep.equal([
      { rule: 'netfilter.drop', index: 1, expected: 'warn', got: 'none' },
    ]);
  });

  it('do not fail because the user changed the level', () => {
    const levels = 'apiVersion: vdiag/v1\nkind: RuleSet\nlevels: { netfilter.drop: error }\n';
    expect(
      runRuleTests(load({ 'a/x.yaml': file, 'b/y.yaml': levels }).rules).failed.map(({ index }) => index),
    ).to.deep.equal([1]);
  });
});
