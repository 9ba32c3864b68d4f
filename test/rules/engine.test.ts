import { expect } from 'chai';
import fc from 'fast-check';
import { evaluateCondition, readPath, type FactAnswer, type Outcome } from '../../src/rules/engine.js';
import type { Condition } from '../../src/rules/types.js';

const is = (fact: string, value: unknown, operator = 'equal'): Condition => ({ fact, operator, value });

/** Facts from a table; `undefined` members are unknown, a thrown one throws. */
function from(table: Record<string, FactAnswer | Error>, log: string[] = []) {
  return (name: string, params: Record<string, unknown>): Promise<FactAnswer> => {
    log.push(Object.keys(params).length > 0 ? `${name} ${JSON.stringify(params)}` : name);
    const answer = table[name] ?? { known: false, why: `no ${name}` };
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
}
const known = (value: unknown): FactAnswer => ({ known: true, value });

describe('rules: conditions over facts that may be unknown', () => {
  it('answers true and false, with what was compared', async () => {
    const condition: Condition = {
      all: [
        { fact: 'subject', path: '$.p99Ms', operator: 'greaterThan', value: 10 },
        { fact: 'evidence.qdisc', params: { device: 'tap1' }, path: '$.kind', operator: 'equal', value: 'tbf' },
      ],
    };
    const facts = from({ subject: known({ p99Ms: 412 }), 'evidence.qdisc': known({ kind: 'fq_codel' }) });
    expect(await evaluateCondition(condition, facts)).to.deep.equal({
      outcome: 'false',
      facts: [
        {
          fact: 'subject',
          params: {},
          path: '$.p99Ms',
          operator: 'greaterThan',
          expected: 10,
          actual: 412,
          outcome: 'true',
        },
        {
          fact: 'evidence.qdisc',
          params: { device: 'tap1' },
          path: '$.kind',
          operator: 'equal',
          expected: 'tbf',
          actual: 'fq_codel',
          outcome: 'false',
        },
      ],
    });
  });

  it('does not read the host when the analysis already refutes, wherever the evidence stands', async () => {
    const log: string[] = [];
    const condition: Condition = {
      all: [{ any: [is('evidence.sysctl', 1), is('evidence.route', 1)] }, is('subject', 2)],
    };
    const { outcome, facts } = await evaluateCondition(condition, from({ subject: known(1) }, log));
    expect(outcome).to.equal('false');
    expect(log).to.deep.equal(['subject']);
    expect(facts.map(({ fact }) => fact)).to.deep.equal(['subject']);
  });

  it('obeys an explicit priority', async () => {
    const log: string[] = [];
    const first: Condition = { fact: 'evidence.route', operator: 'equal', value: 1, priority: 200 };
    await evaluateCondition({ all: [is('subject', 1), first] }, from({ subject: known(1) }, log));
    expect(log).to.deep.equal(['evidence.route', 'subject']);
  });

  it('reads each fact once and one at a time, in the order of the condition', async () => {
    let running = 0;
    const log: string[] = [];
    const facts = async (name: string): Promise<FactAnswer> => {
      expect(++running).to.equal(1);
      log.push(name);
      await new Promise((resolve) => setTimeout(resolve, name.endsWith('a') ? 10 : 1));
      running--;
      return known({ x: 1 });
    };
    const compare = (fact: string): Condition => ({ fact, path: '$.x', operator: 'equal', value: 1 });
    const condition: Condition = { all: ['a', 'b', 'a', 'c'].map((letter) => compare(`evidence.${letter}`)) };
    expect((await evaluateCondition(condition, facts)).outcome).to.equal('true');
    expect(log).to.deep.equal(['evidence.a', 'evidence.b', 'evidence.c']);
  });

  it('takes a fact that throws for unknown and says why', async () => {
    const { outcome, facts } = await evaluateCondition(
      is('evidence.x', 1),
      from({ 'evidence.x': new Error('no such tool') }),
    );
    expect(outcome).to.equal('unknown');
    expect(facts[0]).to.include({
      outcome: 'unknown',
      why: 'reading evidence.x failed: no such tool',
      actual: undefined,
    });
  });

  it('takes a member that evidence does not give for unknown, unless asked whether it is there', async () => {
    const facts = from({ 'evidence.rule': known({ text: 'drop', delta: null }), subject: known({}) });
    const delta = (operator: string, value: unknown, fact = 'evidence.rule'): Condition => ({
      fact,
      path: '$.delta',
      operator,
      value,
    });
    expect((await evaluateCondition(delta('greaterThan', 0), facts)).outcome).to.equal('unknown');
    expect((await evaluateCondition(delta('exists', true), facts)).outcome).to.equal('false');
    expect((await evaluateCondition({ not: delta('exists', true) }, facts)).outcome).to.equal('true');
    expect((await evaluateCondition(delta('exists', true), from({}))).outcome).to.equal('unknown');
    expect((await evaluateCondition(delta('greaterThan', 0, 'subject'), facts)).outcome).to.equal('false');
  });

  it('compares with another fact', async () => {
    const condition: Condition = {
      fact: 'evidence.socket',
      path: '$.rmem',
      operator: 'greaterThanInclusive',
      value: { fact: 'evidence.socket', path: '$.rcvbuf' },
    };
    const result = await evaluateCondition(condition, from({ 'evidence.socket': known({ rmem: 9, rcvbuf: 8 }) }));
    expect(result.outcome).to.equal('true');
    expect(result.facts[0]).to.include({ expected: 8, actual: 9 });
    expect((await evaluateCondition(condition, from({ 'evidence.socket': known({ rmem: 9 }) }))).outcome).to.equal(
      'unknown',
    );
  });

  it('follows own members only', () => {
    expect(readPath({ a: { b: 3 } }, '$.a.b')).to.equal(3);
    expect(readPath({ a: 'text' }, '$.a.length')).to.equal(undefined);
    expect(readPath({}, '$.constructor.name')).to.equal(undefined);
    expect(readPath({}, '$.__proto__')).to.equal(undefined);
  });

  it('is Kleene logic for every condition and every unknown', async () => {
    const leaf = fc.constantFrom<Condition>(is('f0', 1), is('f1', 1), is('f2', 1), is('evidence.f3', 1));
    const tree = fc.letrec<{ node: Condition }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        leaf,
        fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((all) => ({ all })),
        fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
        tie('node').map((not) => ({ not })),
      ),
    })).node;
    const values = fc.record({ f0: outcome(), f1: outcome(), f2: outcome(), 'evidence.f3': outcome() });
    await fc.assert(
      fc.asyncProperty(tree, values, async (condition, table) => {
        const facts = (name: string): Promise<FactAnswer> => {
          const value = table[name as keyof typeof table];
          return Promise.resolve(value === 'unknown' ? { known: false, why: '' } : known(value === 'true' ? 1 : 0));
        };
        expect((await evaluateCondition(condition, facts)).outcome).to.equal(kleene(condition, table));
      }),
      { numRuns: 500 },
    );
  });
});

function outcome(): fc.Arbitrary<Outcome> {
  return fc.constantFrom<Outcome>('true', 'false', 'unknown');
}

/** Kleene's tables: false < unknown < true, `all` is the least, `any` the greatest, `not` turns about. */
function kleene(condition: Condition, table: Record<string, Outcome>): Outcome {
  const order: Outcome[] = ['false', 'unknown', 'true'];
  const ranks = (list: Condition[]): number[] => list.map((part) => order.indexOf(kleene(part, table)));
  if ('all' in condition) return order[Math.min(...ranks(condition.all))];
  if ('any' in condition) return order[Math.max(...ranks(condition.any))];
  if ('not' in condition) return order[2 - ranks([condition.not])[0]];
  return table[(condition as { fact: string }).fact];
}
