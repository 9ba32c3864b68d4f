import { expect } from 'chai';
import { diagnosisSet, problemsOf, ruleSet, ruleWhen } from './support.js';

const EVENT_OPERATORS_FOR_TEXT =
  'equal, notEqual, in, notIn, contains, doesNotContain, startsWith, endsWith, inSubnet, exists';
const ALL_OPERATORS =
  'equal, notEqual, in, notIn, contains, doesNotContain, lessThan, lessThanInclusive, greaterThan, greaterThanInclusive, startsWith, endsWith, inSubnet, exists';
const FIELDS = 'expected a field of events (docs/rules.md lists them)';
const FORMS = 'expected all, any, not, macro, or fact, operator and value';

/** A condition of an event rule, and the one problem that it has, at the mark (`¦`, which is taken out). */
const CONDITIONS: [string, string, string][] = [
  [
    'unknown field',
    '{ ¦fact: event.verdikt, operator: equal, value: X }',
    `unknown field "event.verdikt"; ${FIELDS}; did you mean "event.verdict"?`,
  ],
  [
    'a field of JavaScript',
    '{ ¦fact: constructor, operator: exists, value: true }',
    `unknown field "constructor"; ${FIELDS}`,
  ],
  [
    'a fact of diagnoses',
    '{ ¦fact: subject, operator: equal, value: X }',
    `unknown field "subject"; ${FIELDS}; "subject" is a fact of diagnoses (kind: DiagnosisSet)`,
  ],
  [
    'unknown operator',
    '{ fact: event.verdict, ¦operator: equals, value: X }',
    `unknown operator "equals"; expected one of ${ALL_OPERATORS}; did you mean "equal"?`,
  ],
  [
    'empty all',
    '{ ¦all: [] }',
    '"all" is empty; expected at least one condition; a rule that always matches says so: { fact: event.probe, operator: exists, value: true }',
  ],
  ['empty any, nested', '{ all: [{ ¦any: [] }] }', '"any" is empty; expected at least one condition'],
  ['empty mapping', '¦{}', `the condition is empty; ${FORMS}`],
  [
    'no mapping',
    '¦always',
    'a condition is "always"; expected a mapping with all, any, not, macro, or fact, operator and value',
  ],
  ['all without a list', '{ ¦all: { fact: a } }', '"all" is { fact: "a" }; expected a list of conditions'],
  ['misspelt form', '¦{ nott: { macro: x } }', `a condition has only "nott"; ${FORMS}; did you mean "not"?`],
  [
    'two forms',
    '¦{ all: [], any: [] }',
    'a condition has both "all" and "any"; expected one of them; nest the other in it',
  ],
  [
    'something beside all',
    '{ all: [{ fact: event.cpu, operator: equal, value: 1 }], ¦extra: 1 }',
    'unknown field "extra" in a condition; expected "all" alone',
  ],
  [
    'something beside a comparison',
    '{ fact: event.cpu, operator: equal, value: 1, ¦valeu: 2 }',
    'unknown field "valeu" in a condition; expected one of fact, operator, value, path, params, priority; did you mean "value"?',
  ],
  [
    'no value',
    '¦{ fact: event.cpu, operator: equal }',
    'the comparison lacks "value"; expected fact, operator and value',
  ],
  ['fact is no name', '{ ¦fact: [a], operator: equal, value: 1 }', 'fact is ["a"]; expected a name'],
  [
    'path in an event rule',
    '{ fact: event.cpu, operator: equal, value: 1, ¦path: $.x }',
    '"path" has no use in an event rule; expected fact, operator and value only',
  ],
  [
    'greaterThan on a text',
    '{ fact: event.device, ¦operator: greaterThan, value: 3 }',
    `"greaterThan" cannot be asked of "event.device", which is a string; expected an operator for a string: ${EVENT_OPERATORS_FOR_TEXT}`,
  ],
  [
    'a number for a text',
    '{ fact: event.device, operator: equal, ¦value: 3 }',
    'the value of "equal" on "event.device" is 3; expected a text; quote it: "3"',
  ],
  [
    'a text for a number',
    '{ fact: event.cpu, operator: equal, ¦value: "3" }',
    'the value of "equal" on "event.cpu" is "3"; expected a number; leave out the quotes',
  ],
  [
    'a text for a boolean',
    '{ fact: event.dropped, operator: equal, ¦value: yes }',
    'the value of "equal" on "event.dropped" is "yes"; expected true or false',
  ],
  [
    'infinity',
    '{ fact: event.cpu, operator: lessThan, ¦value: .inf }',
    'the value of "lessThan" on "event.cpu" is Infinity; expected a number',
  ],
  [
    'a list for equal',
    '{ fact: event.cpu, operator: equal, ¦value: [1, 2] }',
    'the value of "equal" on "event.cpu" is [1, 2]; expected a number; use "in" for a list',
  ],
  [
    'no list for in',
    '{ fact: event.cpu, operator: in, ¦value: 1 }',
    'the value of "in" on "event.cpu" is 1; expected a list of numbers, not empty; write [1]',
  ],
  [
    'an empty list',
    '{ fact: event.device, operator: notIn, ¦value: [] }',
    'the value of "notIn" on "event.device" is []; expected a list of strings, not empty',
  ],
  [
    'a mixed list',
    '{ fact: event.device, operator: in, ¦value: [a, 1] }',
    'the value of "in" on "event.device" is ["a", 1]; expected a list of strings, not empty',
  ],
  [
    'a bad prefix',
    '{ fact: packet.src, operator: inSubnet, ¦value: [10.0.0.0/33] }',
    'the value of "inSubnet" on "packet.src" is ["10.0.0.0/33"]; expected an address or prefix such as 10.0.0.0/8 or fd00::/8, or a list of them',
  ],
  [
    'a text for exists',
    '{ fact: packet.src, operator: exists, ¦value: "true" }',
    'the value of "exists" on "packet.src" is "true"; expected true or false',
  ],
  [
    'startsWith a number',
    '{ fact: event.device, operator: startsWith, ¦value: 1 }',
    'the value of "startsWith" on "event.device" is 1; expected a text or a list of texts; quote it: "1"',
  ],
  [
    'contains a list',
    '{ fact: event.device, operator: contains, ¦value: [a] }',
    'the value of "contains" on "event.device" is ["a"]; expected a text',
  ],
  [
    'another type of field',
    '{ fact: event.cpu, operator: equal, value: { ¦fact: event.device } }',
    '"event.device" is a string; expected a number to compare with',
  ],
  [
    'an unknown other field',
    '{ fact: event.cpu, operator: equal, value: { ¦fact: event.cup } }',
    `unknown field "event.cup"; ${FIELDS}; did you mean "event.cpu"?`,
  ],
  [
    'in another field',
    '{ fact: event.cpu, operator: in, ¦value: { fact: event.tid } }',
    '"in" cannot compare with another fact; expected a constant',
  ],
  [
    'unknown macro',
    '{ ¦macro: droped }',
    'unknown macro "droped"; expected a name under macros:; did you mean "dropped"?',
  ],
  [
    'unknown list',
    '{ fact: event.device, operator: in, ¦value: { list: tapps } }',
    'unknown list "tapps"; expected a name under lists:; did you mean "taps"?',
  ],
];

const DEFINITIONS =
  'apiVersion: vdiag/v1\nkind: MacroSet\nmacros: { dropped: { fact: event.dropped, operator: equal, value: true } }\nlists: { taps: [tap0] }\n';

describe('rules: what is wrong with a condition', () => {
  for (const [name, when, expected] of CONDITIONS) {
    it(name, () => {
      const problems = problemsOf({ 'a/m.yaml': DEFINITIONS, 'a/x.yaml': ruleWhen(when.replace('¦', '')) });
      // A value on the line of its key is placed at the key.
      const column = when.startsWith('¦') ? 5 : '    when: '.length + 1 + when.indexOf('¦');
      expect(problems).to.deep.equal([`a/x.yaml:8:${column}: ${expected}`]);
    });
  }

  it('macros within themselves, once, at the macro', () => {
    const macros = ruleSet('macros:', '  a: { not: { macro: b } }', '  b: { all: [{ macro: a }] }');
    expect(problemsOf({ 'a/x.yaml': macros })).to.deep.equal([
      'a/x.yaml:5:3: the macro "a" uses itself: a → b → a',
      'a/x.yaml:6:3: the macro "b" uses itself: b → a → b',
    ]);
  });

  it('macros that grow beyond all bounds, without growing', () => {
    const lines = ['macros:', '  m0: { fact: event.cpu, operator: equal, value: 1 }'];
    for (let i = 1; i < 40; i++) lines.push(`  m${i}: { all: [{ macro: m${i - 1} }, { macro: m${i - 1} }] }`);
    const problems = problemsOf({ 'a/x.yaml': ruleSet(...lines) });
    expect(problems).to.include(
      'a/x.yaml:16:3: with its macros written out, the condition has more than 2000 parts; expected fewer; use a list with "in" instead of many comparisons',
    );
    expect(
      problems.some((problem) => /macros are nested more than 32 deep: m39 → m38 → m37 → m36 …$/.test(problem)),
    ).to.equal(true);
  });

  it('lists within themselves, of no list, or beyond all bounds', () => {
    const lines = ['lists:', '  a: [{ list: b }]', '  b: [{ list: a }]', '  c: [{ list: nothing }]', '  l0: [1, 2]'];
    for (let i = 1; i < 40; i++) lines.push(`  l${i}: [{ list: l${i - 1} }, { list: l${i - 1} }]`);
    const problems = problemsOf({ 'a/x.yaml': ruleSet(...lines) });
    expect(problems).to.deep.equal([
      'a/x.yaml:5:3: the list "a" contains itself: a → b → a',
      'a/x.yaml:7:7: unknown list "nothing"; expected a name under lists:',
      'a/x.yaml:21:3: with its lists written out, the value has more than 10000 items; expected fewer',
    ]);
  });

  it('YAML aliases that grow beyond all bounds', () => {
    const lines = ['macros:', '  m0: &m0 { fact: event.cpu, operator: equal, value: 1 }'];
    for (let i = 1; i < 12; i++)
      lines.push(
        `  m${i}: &m${i} { all: [${Array(8)
          .fill(`*m${i - 1}`)
          .join(', ')}] }`,
      );
    expect(problemsOf({ 'a/x.yaml': ruleSet(...lines) })[0]).to.match(/more than 2000 parts/);
  });
});

/** Whole files, and every problem that they have. */
const FILES: [string, Record<string, string>, string[]][] = [
  [
    'no YAML',
    { 'a/x.yaml': 'rules: [' },
    ['a/x.yaml:1:9: not valid YAML: unexpected end of the stream within a flow collection'],
  ],
  ['an empty file', { 'a/x.yaml': '' }, ['a/x.yaml:1:1: the file is empty']],
  ['a list', { 'a/x.yaml': '[1]' }, ['a/x.yaml:1:1: the file holds [1]; expected apiVersion, kind and rules']],
  [
    'no kind',
    { 'a/x.yaml': 'rules: []' },
    ['a/x.yaml:1:1: the file lacks the field "kind"; expected one of RuleSet, MacroSet, DiagnosisSet'],
  ],
  [
    'a misspelt kind',
    { 'a/x.yaml': 'kind: Ruleset' },
    ['a/x.yaml:1:1: kind is "Ruleset"; expected one of RuleSet, MacroSet, DiagnosisSet; did you mean "RuleSet"?'],
  ],
  [
    'another version',
    { 'a/x.yaml': 'apiVersion: vdiag/v2\nkind: MacroSet' },
    ['a/x.yaml:1:1: "apiVersion" is "vdiag/v2"; expected "vdiag/v1"'],
  ],
  [
    'rules in a MacroSet',
    { 'a/x.yaml': 'apiVersion: vdiag/v1\nkind: MacroSet\nrules: []' },
    ['a/x.yaml:3:1: "rules" stands in a MacroSet; expected macros and lists only; rules need kind: RuleSet'],
  ],
  [
    'an unknown field, a missing one, a wrong level',
    { 'a/x.yaml': ruleSet('rules:', '  - { id: a.b, level: warning, on: [kfree_skb], message: m, mesage: m }') },
    [
      'a/x.yaml:5:5: "rules.0" lacks the field "when"',
      'a/x.yaml:5:16: "rules.0.level" is "warning"; expected one of info, warn, error',
      'a/x.yaml:5:61: unknown field "mesage" in "rules.0"; expected one of id, override, level, on, when, message, messageZh, article, tags, groupBy, tests; did you mean "message"?',
    ],
  ],
  [
    'unknown names',
    {
      'a/x.yaml': ruleSet(
        'rules:',
        '  - id: a.b',
        '    level: info',
        '    on: [kfree_skp, "role:dropp", receive]',
        '    when: { fact: event.cpu, operator: equal, value: 1 }',
        '    message: "{{event.devise}} {{#x}}"',
        '    messageZh: "{{device}}"',
        '    article: netfilter/chain-drops',
        '    groupBy: [event.devise, packet.src, socket.src]',
        '    tests: [{ event: { event.cpu: "1", event.cup: 1 }, level: none }]',
      ),
    },
    [
      'a/x.yaml:7:10: unknown probe "kfree_skp"; expected a probe of the catalogue (vdiag probes list), or role:<role>; did you mean "kfree_skb"?',
      'a/x.yaml:7:22: unknown role "dropp"; expected one of receive, queue, drop, verdict; did you mean "drop"?',
      'a/x.yaml:7:35: unknown probe "receive"; expected a probe of the catalogue (vdiag probes list), or role:<role>; did you mean "role:receive"?',
      'a/x.yaml:9:5: bad template: Unclosed section "x" at 23; expected {{name}} with a name of docs/rules.md',
      'a/x.yaml:10:5: the template names {{device}}, which is not known here; expected a name below event, packet, path, socket; did you mean "event.device"?',
      'a/x.yaml:11:5: unknown article "netfilter/chain-drops"; expected an article of the knowledge base (vdiag kb list); did you mean "netfilter/chain-drop"?',
      `a/x.yaml:12:15: unknown field "event.devise"; ${FIELDS}; did you mean "event.device"?`,
      'a/x.yaml:12:41: "socket.src" and "packet.src" would both be "src" in the finding\'s subject; expected one of them',
      'a/x.yaml:13:24: "event.cpu" is "1"; expected a number',
      `a/x.yaml:13:40: unknown field "event.cup"; ${FIELDS}; did you mean "event.cpu"?`,
    ],
  ],
  [
    'an id twice, over files and kinds',
    {
      'a/x.yaml': ruleWhen('{ fact: event.cpu, operator: equal, value: 1 }'),
      'b/y.yaml': ruleWhen('{ fact: event.cpu, operator: equal, value: 2 }'),
    },
    [
      'b/y.yaml:5:5: the id "netfilter.drop" is already taken at a/x.yaml:5:5; expected another id, or override: true to change that one',
    ],
  ],
  [
    'no layer',
    { 'a/x.yaml': ruleWhen('{ fact: event.cpu, operator: equal, value: 1 }').replace('layer: netfilter\n', '') },
    ['a/x.yaml:4:5: "netfilter.drop" has no layer; expected layer: l2, l3 … at the top of the file'],
  ],
  [
    'changes of what is not there',
    {
      'a/x.yaml': ruleWhen('{ fact: event.cpu, operator: equal, value: 1 }'),
      'b/y.yaml': ruleSet(
        'rules: [{ id: netfilter.drops, override: true, level: info }]',
        'disable: [netfilter.dropp]',
        'levels: { netfilter.dorp: warn }',
      ),
      'b/z.yaml': diagnosisSet('diagnoses: [{ id: netfilter.drop, override: true }]'),
    },
    [
      'b/y.yaml:4:11: there is no rule "netfilter.drops" to override; expected the id of a rule of this folder or an earlier one; did you mean "netfilter.drop"?',
      'b/y.yaml:5:11: unknown rule or diagnosis "netfilter.dropp"; expected the id of one (vdiag rules list); did you mean "netfilter.drop"?',
      'b/y.yaml:6:11: unknown rule or diagnosis "netfilter.dorp"; expected the id of one (vdiag rules list); did you mean "netfilter.drop"?',
      'b/z.yaml:3:15: there is no diagnosis "netfilter.drop" to override; expected the id of a diagnosis of this folder or an earlier one',
    ],
  ],
  [
    'a macro or list twice in a folder',
    { 'a/m.yaml': DEFINITIONS, 'a/n.yaml': DEFINITIONS },
    [
      'a/n.yaml:3:11: the macro "dropped" is already defined at a/m.yaml:3; expected another name',
      'a/n.yaml:4:10: the list "taps" is already defined at a/m.yaml:4; expected another name',
    ],
  ],
];

describe('rules: what is wrong with a file', () => {
  for (const [name, files, expected] of FILES) {
    it(name, () => expect(problemsOf(files)).to.deep.equal(expected));
  }
});

/** A diagnosis with one field changed; `suspect` stands in line 6, `when` in line 7, the rest below. */
function diagnosis(change: { suspect?: string; when?: string; more?: string[] }): Record<string, string> {
  return {
    'a/r.yaml': ruleWhen('{ fact: event.cpu, operator: equal, value: 1 }'),
    'a/x.yaml': diagnosisSet(
      'diagnoses:',
      '  - id: it-drops',
      '    severity: warn',
      `    suspect: ${change.suspect ?? '{ segments: [qdisc] }'}`,
      `    when: ${change.when ?? '{ fact: subject, path: $.p99Ms, operator: greaterThan, value: 1 }'}`,
      '    summary: s',
      '    article: l2/qdisc-shaping',
      ...(change.more ?? []),
    ),
  };
}

const DIAGNOSIS_FACTS = 'subject, findings, segment, sched, pair, host, run, evidence.qdisc, evidence.firewall-rule';
const DIAGNOSES: [string, Parameters<typeof diagnosis>[0], string][] = [
  ['nothing suspected', { suspect: '{}' }, '6:5: "diagnoses.0.suspect" must NOT have fewer than 1 properties'],
  [
    'findings of an unknown rule',
    {
      suspect: '{ findings: [netfilter.dropp] }',
      when: '{ fact: subject, path: $.count, operator: greaterThan, value: 1 }',
    },
    '6:27: unknown rule "netfilter.dropp"; expected the id of one (vdiag rules list); did you mean "netfilter.drop"?',
  ],
  [
    'findings of a diagnosis',
    { suspect: '{ findings: [it-drops] }', when: '{ fact: subject, path: $.count, operator: greaterThan, value: 1 }' },
    '6:27: unknown rule "it-drops"; expected the id of one (vdiag rules list)',
  ],
  [
    'an unknown kind of segment',
    { suspect: '{ segments: [qdisk] }' },
    '6:27: unknown kind of segment "qdisk"; expected one of qdisc, ring; did you mean "qdisc"?',
  ],
  [
    'an unknown fact',
    { when: '{ fact: finding, path: $.count, operator: greaterThan, value: 1 }' },
    `7:13: unknown fact "finding"; expected one of ${DIAGNOSIS_FACTS}; did you mean "findings"?`,
  ],
  [
    'a field of events',
    { when: '{ fact: event.cpu, operator: greaterThan, value: 1 }' },
    `7:13: unknown fact "event.cpu"; expected one of ${DIAGNOSIS_FACTS}; "event.cpu" is a field of event rules; here use subject or findings`,
  ],
  [
    'unknown evidence',
    { when: '{ fact: evidence.qdsic, path: $.kind, operator: equal, value: tbf }' },
    '7:13: unknown evidence "qdsic"; expected one of qdisc, firewall-rule; did you mean "qdisc"?',
  ],
  [
    'an unknown member of evidence',
    { when: '{ fact: evidence.qdisc, path: $.kinds, operator: equal, value: tbf }' },
    '7:35: evidence.qdisc has no member "kinds"; expected one of kind, rate, dropped; did you mean "kind"?',
  ],
  [
    'no member',
    { when: '{ fact: evidence.qdisc, operator: equal, value: tbf }' },
    '7:5: "evidence.qdisc" needs a path; expected path: $.<member>, one of kind, rate, dropped',
  ],
  [
    'a JSONPath filter',
    { when: '{ fact: evidence.qdisc, path: "$.kind[?(@.x)]", operator: equal, value: tbf }' },
    '7:35: path is "$.kind[?(@.x)]"; expected $.member or $.member.member; filters and indices are not allowed',
  ],
  [
    'an unknown parameter',
    { when: '{ fact: evidence.qdisc, params: { devise: x }, path: $.kind, operator: equal, value: tbf }' },
    '7:45: evidence.qdisc takes no parameter "devise"; expected one of netns, device; did you mean "device"?',
  ],
  [
    'a parameter of another type',
    { when: '{ fact: findings, params: { same: 1 }, path: $.count, operator: equal, value: 1 }' },
    '7:39: same is 1; expected true or false, or a template such as "{{subject.device}}"',
  ],
  [
    'parameters that are no mapping',
    { when: '{ fact: findings, params: [], path: $.count, operator: equal, value: 1 }' },
    '7:29: params is []; expected a mapping of names to values',
  ],
  [
    'an unknown rule in a parameter',
    { when: '{ fact: findings, params: { rule: [a.b] }, path: $.count, operator: equal, value: 1 }' },
    '7:46: unknown rule "a.b"; expected the id of one (vdiag rules list)',
  ],
  [
    'a parameter from what the subject lacks',
    {
      when: '{ fact: evidence.qdisc, params: { device: "{{subject.aDevice}}" }, path: $.kind, operator: equal, value: tbf }',
    },
    '7:45: the template names {{subject.aDevice}}, which is not known here; expected a name below subject, run; did you mean "subject.device"?',
  ],
  [
    'a member of another suspect',
    { suspect: '{ each: pair }' },
    '7:28: subject has no member "p99Ms"; expected one of a, b, aDevice, bDevice, netns, flow, packets, packetsForward, packetsReverse, drops, roundTrips, roundTripP50Ms, roundTripP99Ms, turnaroundP99Ms',
  ],
  [
    'a member of another type',
    { when: '{ fact: subject, path: $.device, operator: greaterThan, value: 1 }' },
    `7:44: "greaterThan" cannot be asked of "subject", which is a string; expected an operator for a string: ${EVENT_OPERATORS_FOR_TEXT}`,
  ],
  [
    'a bad priority',
    { when: '{ fact: subject, path: $.count, operator: equal, value: 1, priority: 0 }' },
    '7:70: priority is 0; expected a whole number from 1',
  ],
  [
    'evidence that nothing reads',
    { more: ['    names: { rate: "{{evidence.qdisc.rate}}" }'] },
    '4:5: "it-drops" shows {{evidence.qdisc.rate}}, but neither "when" nor "proof" reads that evidence; expected a condition on it',
  ],
  [
    'a template of nothing',
    { more: ['    why: [{ text: "{{flow}}" }]'] },
    '10:13: the template names {{flow}}, which is not known here; expected a name below subject, run, evidence.qdisc, evidence.firewall-rule; did you mean "subject.flow"?',
  ],
  [
    'an unknown symptom',
    { more: ['    explains: [netfilter.drops]'] },
    '10:16: unknown rule or diagnosis "netfilter.drops"; expected the id of one (vdiag rules list); did you mean "netfilter.drop"?',
  ],
];

describe('rules: what is wrong with a diagnosis', () => {
  for (const [name, change, expected] of DIAGNOSES) {
    it(name, () => expect(problemsOf(diagnosis(change))).to.deep.equal([`a/x.yaml:${expected}`]));
  }

  it('checks what an override leaves against its new suspect', () => {
    const change = diagnosisSet('diagnoses: [{ id: it-drops, override: true, suspect: { each: sched } }]');
    expect(
      problemsOf({
        ...diagnosis({ when: '{ fact: subject, path: $.lost, operator: greaterThan, value: 1 }' }),
        'b/y.yaml': change,
      }),
    ).to.deep.equal([
      'a/x.yaml:7:28: subject has no member "lost"; expected one of pid, tid, comm, count, p50Ms, p99Ms, maxMs',
    ]);
  });

  it('has nothing against a right one', () => {
    expect(
      problemsOf(diagnosis({ more: ['    explains: [netfilter.drop]', '    why: [{ text: "{{subject.label}}" }]'] })),
    ).to.deep.equal([]);
  });
});
