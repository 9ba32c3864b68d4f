import type { FieldType } from '../events/field-names.js';
import { isPrefix, subnetMatcher } from './subnets.js';

/** What an operator's `value` must be. `same`: of the fact's own type. */
export type OperandKind = 'same' | 'same-list' | 'number' | 'text' | 'texts' | 'prefixes' | 'boolean';

/** A word of the condition language. */
export interface OperatorSpec {
  /** Types of the facts that it can be asked of. */
  of: readonly FieldType[];
  takes: OperandKind;
  /** Whether `value: { fact: … }` makes sense: the value is then another fact's. */
  takesFact: boolean;
  /** For the rule reference. */
  describe: string;
  /**
   * The test, with `value` prepared once. It is total: any fact, undefined included (then only the negative operators
   * hold), gives true or false.
   */
  prepare(value: unknown): (fact: unknown) => boolean;
}

const ANY: readonly FieldType[] = ['string', 'number', 'boolean'];
const NUMBER: readonly FieldType[] = ['number'];
const TEXT: readonly FieldType[] = ['string'];

/** Every operator that a condition may use; the first ten bear json-rules-engine's names. */
export const OPERATORS = {
  equal: {
    of: ANY,
    takes: 'same',
    takesFact: true,
    describe: 'the fact is the value',
    prepare: (value) => (fact) => fact !== undefined && fact === value,
  },
  notEqual: {
    of: ANY,
    takes: 'same',
    takesFact: true,
    describe: 'the fact is another value, or absent',
    prepare: (value) => (fact) => fact === undefined || fact !== value,
  },
  in: {
    of: ANY,
    takes: 'same-list',
    takesFact: false,
    describe: 'the fact is one of the values',
    prepare: (value) => member(value),
  },
  notIn: {
    of: ANY,
    takes: 'same-list',
    takesFact: false,
    describe: 'the fact is none of the values, or absent',
    prepare: (value) => negate(member(value)),
  },
  contains: {
    of: TEXT,
    takes: 'text',
    takesFact: false,
    describe: 'the text contains the value; a list (diagnosis facts) has it as a member',
    prepare: (value) => holds(value),
  },
  doesNotContain: {
    of: TEXT,
    takes: 'text',
    takesFact: false,
    describe: 'the text does not contain the value, or is absent',
    prepare: (value) => negate(holds(value)),
  },
  lessThan: {
    of: NUMBER,
    takes: 'number',
    takesFact: true,
    describe: 'the number is below the value',
    prepare: (value) => (fact) => typeof fact === 'number' && typeof value === 'number' && fact < value,
  },
  lessThanInclusive: {
    of: NUMBER,
    takes: 'number',
    takesFact: true,
    describe: 'the number is the value or below',
    prepare: (value) => (fact) => typeof fact === 'number' && typeof value === 'number' && fact <= value,
  },
  greaterThan: {
    of: NUMBER,
    takes: 'number',
    takesFact: true,
    describe: 'the number is above the value',
    prepare: (value) => (fact) => typeof fact === 'number' && typeof value === 'number' && fact > value,
  },
  greaterThanInclusive: {
    of: NUMBER,
    takes: 'number',
    takesFact: true,
    describe: 'the number is the value or above',
    prepare: (value) => (fact) => typeof fact === 'number' && typeof value === 'number' && fact >= value,
  },
  startsWith: {
    of: TEXT,
    takes: 'texts',
    takesFact: false,
    describe: 'the text starts with the value, or with one of the values',
    prepare: (value) => texts(value, (fact, part) => fact.startsWith(part)),
  },
  endsWith: {
    of: TEXT,
    takes: 'texts',
    takesFact: false,
    describe: 'the text ends with the value, or with one of the values',
    prepare: (value) => texts(value, (fact, part) => fact.endsWith(part)),
  },
  inSubnet: {
    of: TEXT,
    takes: 'prefixes',
    takesFact: false,
    describe: 'the address lies in the prefix, or in one of the prefixes (IPv4 and IPv6)',
    prepare: (value) => {
      const match = subnetMatcher(Array.isArray(value) ? value.map(String) : [String(value)]);
      return (fact) => typeof fact === 'string' && match(fact);
    },
  },
  exists: {
    of: ANY,
    takes: 'boolean',
    takesFact: false,
    describe: 'the fact is there (value: true), or absent (value: false)',
    prepare: (value) => (fact) => (fact !== undefined) === value,
  },
} as const satisfies Record<string, OperatorSpec>;

export type OperatorName = keyof typeof OPERATORS;

/** The operator of that name, or undefined. */
export function operatorNamed(name: string): OperatorSpec | undefined {
  return Object.hasOwn(OPERATORS, name) ? OPERATORS[name as OperatorName] : undefined;
}

/**
 * What is wrong with a constant `value` for an operator on a fact of that type (undefined: a type that is not known,
 * as of evidence), in words that follow "expected"; undefined when it is right.
 */
export function operandProblem(spec: OperatorSpec, type: FieldType | undefined, value: unknown): string | undefined {
  const fits = (item: unknown): boolean => isScalar(item) && (type === undefined || typeof item === type);
  const what = type === undefined ? 'a text, number or boolean' : WORDS[type];
  switch (spec.takes) {
    case 'same':
      return fits(value) ? undefined : what;
    case 'same-list':
      return isFullList(value) && value.every(fits)
        ? undefined
        : `a list of ${type ? `${type}s` : 'texts, numbers or booleans'}, not empty`;
    case 'number':
      return isScalar(value) && typeof value === 'number' ? undefined : 'a number';
    case 'text':
      return typeof value === 'string' || (type === undefined && isScalar(value)) ? undefined : 'a text';
    case 'texts':
      return textList(value) ? undefined : 'a text or a list of texts';
    case 'prefixes':
      return textList(value)?.every(isPrefix)
        ? undefined
        : 'an address or prefix such as 10.0.0.0/8 or fd00::/8, or a list of them';
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'true or false';
  }
}

const WORDS: Record<FieldType, string> = { string: 'a text', number: 'a number', boolean: 'true or false' };

function isScalar(value: unknown): boolean {
  return (
    typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
  );
}

function isFullList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length > 0;
}

function textList(value: unknown): string[] | undefined {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.length > 0 && list.every((item) => typeof item === 'string') ? list : undefined;
}

/** Up to this many values a scan of an array beats hashing. */
const FEW = 4;

function member(value: unknown): (fact: unknown) => boolean {
  const list: unknown[] = Array.isArray(value) ? value : [];
  if (list.length <= FEW) return (fact) => list.includes(fact);
  const set = new Set(list);
  return (fact) => set.has(fact);
}

function holds(value: unknown): (fact: unknown) => boolean {
  return (fact) => {
    if (typeof fact === 'string') return typeof value === 'string' && fact.includes(value);
    return Array.isArray(fact) && fact.includes(value);
  };
}

function texts(value: unknown, test: (fact: string, part: string) => boolean): (fact: unknown) => boolean {
  const parts = textList(value) ?? [];
  return (fact) => typeof fact === 'string' && parts.some((part) => test(fact, part));
}

function negate(test: (fact: unknown) => boolean): (fact: unknown) => boolean {
  return (fact) => !test(fact);
}
