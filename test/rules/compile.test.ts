import { expect } from 'chai';
import fc from 'fast-check';
import { compileCondition } from '../../src/rules/compile.js';
import { evaluateCondition } from '../../src/rules/engine.js';
import { isPrefix, subnetMatcher } from '../../src/rules/subnets.js';
import type { Condition } from '../../src/rules/types.js';
import { anyCondition, anyEvent, judge, TEST_FIELDS } from './conditions.js';

describe('rules: compiled conditions', () => {
  it('agree with json-rules-engine on every condition and event', async () => {
    let met = 0;
    await fc.assert(
      fc.asyncProperty(anyCondition, fc.array(anyEvent, { minLength: 1, maxLength: 4 }), async (condition, events) => {
        const test = compileCondition(condition, TEST_FIELDS);
        for (const event of events) {
          const expected = await judge(condition, event);
          expect(test(event), JSON.stringify(event)).to.equal(expected);
          if (expected) met++;
        }
      }),
      { numRuns: 1500 },
    );
    // Both outcomes must really have been tried.
    expect(met).to.be.within(500, 5000);
  });

  it('agree with the engine of the cold path, which shares their operators', async () => {
    await fc.assert(
      fc.asyncProperty(anyCondition, anyEvent, async (condition, event) => {
        const facts = (name: string) => Promise.resolve({ known: true as const, value: event[name] });
        const { outcome } = await evaluateCondition(condition, facts);
        expect(outcome).to.equal(String(compileCondition(condition, TEST_FIELDS)(event)));
      }),
      { numRuns: 500 },
    );
  });

  it('treat an absent field as documented: only the negative operators hold', () => {
    const holds = (operator: string, value: unknown, fact = 'event.device'): boolean =>
      compileCondition({ fact, operator, value }, TEST_FIELDS)({});
    for (const [operator, value] of [
      ['equal', 'x'],
      ['in', ['x']],
      ['contains', ''],
      ['startsWith', ''],
      ['endsWith', ''],
      ['exists', true],
    ] as const) {
      expect(holds(operator, value), operator).to.equal(false);
    }
    for (const operator of ['lessThan', 'lessThanInclusive', 'greaterThan', 'greaterThanInclusive']) {
      expect(holds(operator, 0, 'event.cpu'), operator).to.equal(false);
    }
    expect(holds('inSubnet', '0.0.0.0/0')).to.equal(false);
    for (const [operator, value] of [
      ['notEqual', 'x'],
      ['notIn', ['x']],
      ['doesNotContain', 'x'],
      ['exists', false],
    ] as const) {
      expect(holds(operator, value), operator).to.equal(true);
    }
  });

  it('refuse what the loader should have stopped', () => {
    const compile = (condition: Condition) => () => compileCondition(condition, TEST_FIELDS);
    expect(compile({ fact: 'constructor', operator: 'equal', value: 1 })).to.throw('there is no field "constructor"');
    expect(compile({ fact: 'event.cpu', operator: 'toString', value: 1 })).to.throw('there is no operator "toString"');
    expect(compile({ macro: 'x' })).to.throw('the macro "x" was not resolved');
    expect(compile({ fact: 'event.cpu', operator: 'in', value: { fact: 'event.tid' } })).to.throw(
      'does not compare two fields',
    );
  });
});

describe('rules: subnets', () => {
  it('know a prefix from what is none', () => {
    for (const good of ['10.0.0.0/8', '10.0.0.1', '0.0.0.0/0', 'fd00::/8', '::1', '::ffff:10.0.0.0/104'])
      expect(isPrefix(good), good).to.equal(true);
    for (const bad of [
      '',
      '10',
      '10.1',
      '010.0.0.1/x',
      '10.0.0.0/33',
      'fd00::/129',
      '10.0.0.0/8/8',
      'fe80::1%eth0',
      '0x0a000001',
      '::ffff:10.0.0.0/95/1',
      'a.b.c.d',
      '10.0.0.0/-1',
      '10.0.0.0/ 8',
    ]) {
      expect(isPrefix(bad), bad).to.equal(false);
    }
  });

  it('match mapped IPv4 addresses as IPv4, and nothing that is no address', () => {
    const match = subnetMatcher(['10.0.0.0/8', 'fd00::/8']);
    for (const [address, inside] of [
      ['10.255.255.255', true],
      ['11.0.0.0', false],
      ['::ffff:10.1.1.1', true],
      ['fdff::1', true],
      ['fe00::1', false],
      ['10.0.0.0/8', false],
      ['', false],
      ['tap0', false],
    ] as const) {
      expect(match(address), address).to.equal(inside);
    }
  });

  it('stay right when more addresses come than they remember', () => {
    const match = subnetMatcher(['10.0.0.0/16']);
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 3000; i++) expect(match(`10.${i % 2}.${i >> 8}.${i & 255}`)).to.equal(i % 2 === 0);
    }
  });
});
