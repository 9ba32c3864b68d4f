import { expect } from 'chai';
import { DEFINITIONS, EVENT_OPERATORS_FOR_TEXT, FIELDS, problemsOf, ruleSet, ruleWhen } from './support.js';

const ALL_OPERATORS =
  'equal, notEqual, in, notIn, contains, doesNotContain, lessThan, lessThanInclusive, greaterThan, greaterThanInclusive, startsWith, endsWith, inSubnet, exists';
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
    for (let i = 1; i < 5; i++)
      lines.push(
        `  m${i}: &m${i} { all: [${Array(8)
          .fill(`*m${i - 1}`)
          .join(', ')}] }`,
      );
    expect(problemsOf({ 'a/x.yaml': ruleSet(...lines) })[0]).to.match(/more than 2000 parts/);
  });
});
