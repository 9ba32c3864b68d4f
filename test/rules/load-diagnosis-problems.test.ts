import { expect } from 'chai';
import { diagnosisSet, EVENT_OPERATORS_FOR_TEXT, problemsOf, ruleWhen } from './support.js';

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
