import { expect } from 'chai';
import { DEFINITIONS, diagnosisSet, FIELDS, problemsOf, ruleSet, ruleWhen } from './support.js';

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
