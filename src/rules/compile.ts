import type { FieldType } from '../events/field-names.js';
import { isFactReference } from './engine.js';
import { operatorNamed } from './operators.js';
import type { Comparison, Condition } from './types.js';

/** A field's value; undefined when the event does not carry it. */
export type FieldValue = string | number | boolean | undefined;

/** How a field is read from the cursor of a batch (or from anything else that stands for an event). */
export interface Field<C> {
  type: FieldType;
  read(cursor: C): FieldValue;
}

export type FieldTable<C> = Readonly<Record<string, Field<C>>>;

/** Whether the event under the cursor meets the condition. Allocates nothing. */
export type Test<C> = (cursor: C) => boolean;

/**
 * Compiles a validated condition to closures over the cursor: no interpreter, no generated code. They agree with
 * json-rules-engine on every condition and event (test/rules/compile.test.ts).
 * @throws Error for an unknown field or operator or an unresolved macro: the loader lets none through.
 */
export function compileCondition<C>(condition: Condition, fields: FieldTable<C>): Test<C> {
  if ('all' in condition) return every(condition.all.map((part) => compileCondition(part, fields)));
  if ('any' in condition) return some(condition.any.map((part) => compileCondition(part, fields)));
  if ('not' in condition) {
    const test = compileCondition(condition.not, fields);
    return (cursor) => !test(cursor);
  }
  if ('macro' in condition) throw new Error(`the macro "${condition.macro}" was not resolved`);
  return compileComparison(condition, fields);
}

/** The field of that name. @throws Error if there is none. */
export function fieldNamed<C>(fields: FieldTable<C>, name: string): Field<C> {
  if (!Object.hasOwn(fields, name)) throw new Error(`there is no field "${name}"`);
  return fields[name];
}

function every<C>(tests: Test<C>[]): Test<C> {
  const [first, second, third] = tests;
  if (tests.length === 1) return first;
  if (tests.length === 2) return (cursor) => first(cursor) && second(cursor);
  if (tests.length === 3) return (cursor) => first(cursor) && second(cursor) && third(cursor);
  return (cursor) => {
    for (let i = 0; i < tests.length; i++) if (!tests[i](cursor)) return false;
    return true;
  };
}

function some<C>(tests: Test<C>[]): Test<C> {
  const [first, second, third] = tests;
  if (tests.length === 1) return first;
  if (tests.length === 2) return (cursor) => first(cursor) || second(cursor);
  if (tests.length === 3) return (cursor) => first(cursor) || second(cursor) || third(cursor);
  return (cursor) => {
    for (let i = 0; i < tests.length; i++) if (tests[i](cursor)) return true;
    return false;
  };
}

/** The commonest operators are written out, so that a comparison is one call; the rest go through their definition. */
function compileComparison<C>({ fact, operator, value }: Comparison, fields: FieldTable<C>): Test<C> {
  const field = fieldNamed(fields, fact);
  const spec = operatorNamed(operator);
  if (!spec) throw new Error(`there is no operator "${operator}"`);
  if (isFactReference(value)) return compileAgainstField(field, operator, fieldNamed(fields, value.fact));
  if (operator === 'equal') return (cursor) => field.read(cursor) === value;
  if (operator === 'notEqual') return (cursor) => field.read(cursor) !== value;
  if (typeof value === 'number') {
    // A comparison with undefined is false, as it should be.
    if (operator === 'lessThan') return (cursor) => (field.read(cursor) as number) < value;
    if (operator === 'lessThanInclusive') return (cursor) => (field.read(cursor) as number) <= value;
    if (operator === 'greaterThan') return (cursor) => (field.read(cursor) as number) > value;
    if (operator === 'greaterThanInclusive') return (cursor) => (field.read(cursor) as number) >= value;
  }
  const test = spec.prepare(value);
  return (cursor) => test(field.read(cursor));
}

function compileAgainstField<C>(field: Field<C>, operator: string, other: Field<C>): Test<C> {
  switch (operator) {
    case 'equal':
      return (cursor) => {
        const value = field.read(cursor);
        return value !== undefined && value === other.read(cursor);
      };
    case 'notEqual':
      return (cursor) => {
        const value = field.read(cursor);
        return value === undefined || value !== other.read(cursor);
      };
    case 'lessThan':
      return (cursor) => (field.read(cursor) as number) < (other.read(cursor) as number);
    case 'lessThanInclusive':
      return (cursor) => (field.read(cursor) as number) <= (other.read(cursor) as number);
    case 'greaterThan':
      return (cursor) => (field.read(cursor) as number) > (other.read(cursor) as number);
    case 'greaterThanInclusive':
      return (cursor) => (field.read(cursor) as number) >= (other.read(cursor) as number);
    default:
      throw new Error(`the operator "${operator}" does not compare two fields`);
  }
}
