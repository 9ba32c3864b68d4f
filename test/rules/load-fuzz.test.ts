import { expect } from 'chai';
import fc from 'fast-check';
import { compileCondition } from '../../src/rules/compile.js';
import { VdiagError } from '../../src/base/errors.js';
import { loadRules } from '../../src/rules/load.js';
import { anyCondition, anyEvent, TEST_FIELDS } from './conditions.js';
import { diagnosisSet, inFolder, KNOWN, load, ruleSet, ruleWhen } from './support.js';

const RIGHT = [
  ruleSet(
    'macros: { dropped: &d { fact: event.verdict, operator: equal, value: NF_DROP } }',
    'lists: { taps: [tap0, tap1], more: [{ list: taps }] }',
    'rules:',
    '  - id: a.b',
    '    level: warn',
    '    on: [nft_do_chain, "role:drop"]',
    '    when: { all: [{ macro: dropped }, { not: { fact: event.device, operator: in, value: { list: more } } }, *d] }',
    '    message: "{{event.chain}} {{packet.summary}}"',
    '    tests: [{ event: { event.cpu: 1 }, level: none }]',
    'levels: { a.b: info }',
  ),
  diagnosisSet(
    'diagnoses:',
    '  - id: c',
    '    severity: warn',
    '    suspect: { segments: [qdisc], each: host }',
    '    when: { fact: subject, path: $.p99Ms, operator: greaterThan, value: 1 }',
    '    proof: { fact: evidence.qdisc, params: { device: "{{subject.device}}" }, path: $.kind, operator: equal, value: tbf }',
    '    summary: "{{subject.label}} {{evidence.qdisc.kind}}"',
    '    explains: [c]',
  ),
];

/** Pieces that mean something to YAML, JSON Schema, templates or JavaScript. */
const PIECES = [
  '{',
  '}',
  '[',
  ']',
  ':',
  '- ',
  '\n',
  '  ',
  '"',
  "'",
  '*d',
  '&d ',
  '!!js',
  '~',
  '__proto__',
  'constructor',
  '{{',
  '}}',
  '{{#x}}',
  '{{{',
  'all',
  'macro: dropped',
  '[]',
  '{}',
  '$.',
  '\u0000',
  '\ud800',
  '<<',
  '|',
  '>',
  '%',
  '---',
  '.nan',
  '0x',
  '1e999',
  'list: more',
  'override: true',
];

/** A right file with pieces taken out, put in or put elsewhere. */
const mangled = fc.constantFrom(...RIGHT).chain((text) =>
  fc
    .array(
      fc.record({
        at: fc.nat({ max: text.length }),
        cut: fc.nat({ max: 30 }),
        put: fc.oneof(
          { arbitrary: fc.constantFrom(...PIECES), weight: 3 },
          { arbitrary: fc.constantFrom(...text.split(/\s+/)), weight: 2 },
          fc.string({ maxLength: 5 }),
        ),
      }),
      { minLength: 1, maxLength: 4 },
    )
    .map((edits) =>
      edits.reduce((result, { at, cut, put }) => result.slice(0, at) + put + result.slice(at + cut), text),
    ),
);

describe('rules: mangled files', () => {
  it('load as rules that can be compiled, or are refused with problems that have a place', () => {
    let refused = 0;
    fc.assert(
      fc.property(mangled, (text) => {
        inFolder({ 'x.yaml': text }, (path) => {
          try {
            const { rules } = loadRules([{ path, origin: 'flag' }], KNOWN);
            for (const rule of rules) compileCondition(rule.when, TEST_FIELDS)({});
          } catch (error) {
            refused++;
            if (!(error instanceof VdiagError)) throw error;
            expect(error.problems).to.not.be.empty;
            for (const { at, message } of error.problems) {
              expect(at?.file).to.equal(`${path}/x.yaml`);
              expect(at?.line).to.be.within(1, text.split('\n').length);
              expect(message).to.not.match(/undefined|\[object/);
            }
          }
        });
      }),
      { numRuns: 1500 },
    );
    expect(refused).to.be.within(500, 1499);
  }).timeout(60_000);

  it('any right condition loads as it stands', () => {
    fc.assert(
      fc.property(anyCondition, anyEvent, (condition, event) => {
        const { rules } = load({ 'a/x.yaml': ruleWhen(JSON.stringify(condition)) });
        expect(rules[0].when).to.deep.equal(condition);
        expect(compileCondition(rules[0].when, TEST_FIELDS)(event)).to.be.a('boolean');
      }),
      { numRuns: 200 },
    );
  });
});
