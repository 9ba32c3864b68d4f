import { FIELD_SPECS, type FieldName } from '../events/field-names.js';
import { compileCondition, type FieldTable, type FieldValue } from './compile.js';
import type { EventRule, Level, RuleTest } from './types.js';

/** A test of a rule that went otherwise than it says. */
export interface FailedRuleTest {
  rule: string;
  /** From 0, in the rule's `tests`. */
  index: number;
  expected: Level | 'none';
  got: Level | 'none';
  source: string;
}

/** Fields of an event written out in a rule file. */
const FIELDS: FieldTable<RuleTest['event']> = Object.fromEntries(
  (Object.keys(FIELD_SPECS) as FieldName[]).map((name) => [
    name,
    {
      type: FIELD_SPECS[name].type,
      read: (event: RuleTest['event']): FieldValue => (Object.hasOwn(event, name) ? event[name] : undefined),
    },
  ]),
);

/**
 * Runs the tests that rules carry (`tests:`): is the event met, and is the level the one that is expected? A level
 * changed by the user (`levels:`) fails no test: what was meant is that the rule meets the event.
 */
export function runRuleTests(rules: readonly EventRule[]): { run: number; failed: FailedRuleTest[] } {
  let run = 0;
  const failed: FailedRuleTest[] = [];
  for (const rule of rules) {
    if (!rule.tests) continue;
    const meets = compileCondition(rule.when, FIELDS);
    const changed = rule.source.includes('changed at');
    rule.tests.forEach(({ event, level: expected }, index) => {
      run++;
      const got = meets(event) ? rule.level : 'none';
      const right = changed ? (got === 'none') === (expected === 'none') : got === expected;
      if (!right) failed.push({ rule: rule.id, index, expected, got, source: rule.source });
    });
  }
  return { run, failed };
}
