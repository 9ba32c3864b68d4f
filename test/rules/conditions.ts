import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { Engine, type RuleProperties } from 'json-rules-engine';
import { FIELD_SPECS, type FieldName, type FieldType } from '../../src/events/field-names.js';
import type { FieldTable, FieldValue } from '../../src/rules/compile.js';
import type { Condition } from '../../src/rules/types.js';

/** An event for tests: its fields by name. */
export type TestEvent = Record<string, FieldValue>;

const NAMES = Object.keys(FIELD_SPECS) as FieldName[];

export const TEST_FIELDS: FieldTable<TestEvent> = Object.fromEntries(
  NAMES.map((name) => [name, { type: FIELD_SPECS[name].type, read: (event: TestEvent) => event[name] }]),
);

// Few values, so that conditions and events meet.
const TEXTS = [
  '',
  'a',
  'ab',
  'b',
  'tap0',
  'tap1',
  '10.0.0.1',
  '10.9.0.1',
  '192.168.1.7',
  'fd00::1',
  'fe80::1',
  '::ffff:10.0.0.1',
];
const PREFIXES = ['10.0.0.0/8', '10.0.0.1', '0.0.0.0/0', '192.168.0.0/23', 'fd00::/8', 'fe80::1/128', '::/0'];
const NUMBERS = [-1, 0, 1, 2, 2.5, 80, 2 ** 40];
const value: Record<FieldType, fc.Arbitrary<string | number | boolean>> = {
  string: fc.constantFrom(...TEXTS),
  number: fc.constantFrom(...NUMBERS),
  boolean: fc.boolean(),
};

/** Any event: each field with a value of its type, or absent. */
export const anyEvent: fc.Arbitrary<TestEvent> = fc.record(
  Object.fromEntries(
    NAMES.map((name) => [name, fc.option(value[FIELD_SPECS[name].type], { nil: undefined, freq: 3 })]),
  ),
);

const list = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { minLength: 1, maxLength: 7 });
const someOf = (type: FieldType): fc.Arbitrary<FieldName> =>
  fc.constantFrom(...NAMES.filter((name) => FIELD_SPECS[name].type === type));

/** Any comparison with a constant that the loader lets through. */
const comparison: fc.Arbitrary<Condition> = fc.constantFrom(...NAMES).chain((fact) => {
  const { type } = FIELD_SPECS[fact];
  const withValue = (operators: string[], values: fc.Arbitrary<unknown>) =>
    fc.record({ fact: fc.constant(fact as string), operator: fc.constantFrom(...operators), value: values });
  return fc.oneof(
    withValue(['equal', 'notEqual'], value[type]),
    withValue(['in', 'notIn'], list(value[type])),
    withValue(['exists'], fc.boolean()),
    ...(type === 'number'
      ? [withValue(['lessThan', 'lessThanInclusive', 'greaterThan', 'greaterThanInclusive'], value.number)]
      : []),
    ...(type === 'string'
      ? [
          withValue(['contains', 'doesNotContain'], value.string),
          withValue(['startsWith', 'endsWith'], fc.oneof(value.string, list(value.string))),
          withValue(['inSubnet'], fc.oneof(fc.constantFrom(...PREFIXES), list(fc.constantFrom(...PREFIXES)))),
        ]
      : []),
  );
});

/** Any comparison of two fields of one type. */
const fieldComparison: fc.Arbitrary<Condition> = fc
  .constantFrom<FieldType>('string', 'number', 'boolean')
  .chain((type) =>
    fc.record({
      fact: someOf(type) as fc.Arbitrary<string>,
      operator: fc.constantFrom(
        'equal',
        'notEqual',
        ...(type === 'number' ? ['lessThan', 'lessThanInclusive', 'greaterThan', 'greaterThanInclusive'] : []),
      ),
      value: fc.record({ fact: someOf(type) }),
    }),
  );

/** Any condition that the loader lets through, macros and lists written out. */
export const anyCondition: fc.Arbitrary<Condition> = fc.letrec<{ node: Condition }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    { arbitrary: comparison, weight: 4 },
    { arbitrary: fieldComparison, weight: 1 },
    { arbitrary: fc.array(tie('node'), { minLength: 1, maxLength: 5 }).map((all) => ({ all })), weight: 2 },
    { arbitrary: fc.array(tie('node'), { minLength: 1, maxLength: 5 }).map((any) => ({ any })), weight: 2 },
    { arbitrary: tie('node').map((not) => ({ not })), weight: 1 },
  ),
})).node;

/**
 * The judge: json-rules-engine with its own operators. What it lacks is added here, apart from src/rules, as
 * docs/rules.md describes it: text in `contains`, absent values in comparisons of two fields, and our own operators.
 */
export async function judge(condition: Condition, event: TestEvent): Promise<boolean> {
  const engine = new Engine([], { allowUndefinedFacts: true });
  for (const [name, holds] of Object.entries(ADDED)) engine.addOperator(name, holds);
  engine.addRule({
    conditions: { all: [structuredClone(condition)] } as RuleProperties['conditions'],
    event: { type: 'met' },
  });
  const present = Object.fromEntries(Object.entries(event).filter(([, field]) => field !== undefined));
  return (await engine.run(present)).events.length > 0;
}

const isText = (fact: unknown): fact is string => typeof fact === 'string';
const asList = (given: unknown): string[] => (Array.isArray(given) ? given : [given]) as string[];

const ADDED: Record<string, (fact: unknown, given: unknown) => boolean> = {
  contains: (fact, given) => isText(fact) && fact.includes(given as string),
  doesNotContain: (fact, given) => !(isText(fact) && fact.includes(given as string)),
  startsWith: (fact, given) => isText(fact) && asList(given).some((part) => fact.slice(0, part.length) === part),
  endsWith: (fact, given) =>
    isText(fact) && asList(given).some((part) => part === '' || fact.slice(-part.length) === part),
  exists: (fact, given) => (fact === undefined ? !given : given === true),
  inSubnet: (fact, given) => isText(fact) && inBlockList(fact, asList(given)),
  // Two absent fields are not equal.
  equal: (fact, given) => fact !== undefined && given !== undefined && fact === given,
  notEqual: (fact, given) => !(fact !== undefined && given !== undefined && fact === given),
};

/** Node's own notion of prefixes. */
function inBlockList(address: string, prefixes: string[]): boolean {
  const plain = address.replace(/^::ffff:/, '');
  if (isIP(plain) === 0) return false;
  const family = (text: string): 'ipv4' | 'ipv6' => (text.includes(':') ? 'ipv6' : 'ipv4');
  return prefixes.some((prefix) => {
    const [net, bits] = prefix.split('/');
    if (family(net) !== family(plain)) return false;
    const block = new BlockList();
    if (bits === undefined) block.addAddress(net, family(net));
    else block.addSubnet(net, Number(bits), family(net));
    return block.check(plain, family(plain));
  });
}
