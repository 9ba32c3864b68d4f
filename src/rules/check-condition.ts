import type { FieldType } from '../events/field-names.js';
import { didYouMean } from '../base/suggest.js';
import { isFactReference } from './engine.js';
import type { Definitions } from './definitions.js';
import { OPERATORS, operandProblem, operatorNamed, type OperatorSpec } from './operators.js';
import { isMapping, quote, type Mapping, type Place, type Problems } from './problems.js';
import type { Vocabulary } from './vocabulary.js';

/** Parts (comparisons and all/any/not) that one rule may come to when its macros are written out. */
export const MAX_PARTS = 2000;
const MAX_MACRO_DEPTH = 32;

const FORMS = ['all', 'any', 'not', 'macro', 'fact'];
const COMPARISON_KEYS = ['fact', 'operator', 'value', 'path', 'params', 'priority'];

/** Checks the conditions of one rule: form, facts, operators, values, macros and lists. */
export class ConditionChecker {
  private parts = 0;

  constructor(
    private readonly vocabulary: Vocabulary,
    private readonly definitions: Definitions,
    private readonly problems: Problems,
  ) {}

  /** Checks a condition as the user wrote it; it need not even be a mapping. `macro`: the one whose definition it is. */
  check(value: unknown, at: Place, macro?: string): void {
    this.parts = 0;
    this.checkPart(value, at, macro === undefined ? [] : [macro]);
    if (this.parts > MAX_PARTS) {
      this.problems.add(at, `with its macros written out, the condition has more than ${MAX_PARTS} parts`, {
        expected: 'fewer; use a list with "in" instead of many comparisons',
      });
    }
  }

  private checkPart(value: unknown, at: Place, macros: readonly string[]): void {
    if (++this.parts > MAX_PARTS) return;
    if (!isMapping(value)) {
      this.problems.add(at, `a condition is ${quote(value)}`, {
        expected: 'a mapping with all, any, not, macro, or fact, operator and value',
      });
      return;
    }
    const forms = FORMS.filter((form) => Object.hasOwn(value, form));
    if (forms.length !== 1) {
      this.badForm(value, forms, at);
      return;
    }
    const [form] = forms;
    this.checkKeys(value, form === 'fact' ? COMPARISON_KEYS : [form], at);
    if (form === 'all' || form === 'any') this.checkMembers(value[form], form, at.to(form), macros);
    else if (form === 'not') this.checkPart(value.not, at.to('not'), macros);
    else if (form === 'macro') this.checkMacro(value.macro, at.to('macro'), macros);
    else this.checkComparison(value, at);
  }

  private badForm(value: Mapping, forms: string[], at: Place): void {
    if (forms.length > 1) {
      this.problems.add(at, `a condition has both "${forms[0]}" and "${forms[1]}"`, {
        expected: 'one of them; nest the other in it',
      });
      return;
    }
    const keys = Object.keys(value);
    this.problems.add(
      at,
      keys.length === 0 ? 'the condition is empty' : `a condition has only ${keys.map(quote).join(', ')}`,
      {
        expected: 'all, any, not, macro, or fact, operator and value',
        hint: keys.map((key) => didYouMean(key, FORMS)).find((hint) => hint !== undefined),
      },
    );
  }

  private checkKeys(value: Mapping, allowed: readonly string[], at: Place): void {
    for (const key of Object.keys(value)) {
      if (allowed.includes(key)) continue;
      this.problems.add(at.to(key), `unknown field ${quote(key)} in a condition`, {
        expected: allowed.length === 1 ? `"${allowed[0]}" alone` : `one of ${allowed.join(', ')}`,
        hint: didYouMean(key, allowed),
      });
    }
  }

  private checkMembers(members: unknown, form: string, at: Place, macros: readonly string[]): void {
    if (!Array.isArray(members)) {
      this.problems.add(at, `"${form}" is ${quote(members)}`, { expected: 'a list of conditions' });
      return;
    }
    if (members.length === 0) {
      this.problems.add(at, `"${form}" is empty`, {
        expected: 'at least one condition',
        hint:
          form === 'all'
            ? 'a rule that always matches says so: { fact: event.probe, operator: exists, value: true }'
            : undefined,
      });
    }
    members.forEach((member, i) => this.checkPart(member, at.to(i), macros));
  }

  private checkMacro(name: unknown, at: Place, macros: readonly string[]): void {
    const macro = typeof name === 'string' ? this.definitions.macros.get(name) : undefined;
    if (!macro || typeof name !== 'string') {
      this.problems.add(at, `unknown macro ${quote(name)}`, {
        expected: 'a name under macros:',
        hint: didYouMean(String(name), this.definitions.macros.keys()),
      });
      return;
    }
    const chain = [...macros, name];
    if (macros.includes(name)) {
      this.problems.add(
        macro.at,
        `the macro ${quote(name)} uses itself: ${chain.slice(macros.indexOf(name)).join(' → ')}`,
      );
    } else if (chain.length > MAX_MACRO_DEPTH) {
      this.problems.add(
        macro.at,
        `macros are nested more than ${MAX_MACRO_DEPTH} deep: ${chain.slice(0, 4).join(' → ')} …`,
      );
    } else {
      this.checkPart(macro.value, macro.at, chain);
    }
  }

  private checkComparison(value: Mapping, at: Place): void {
    const { fact, operator } = value;
    for (const key of ['fact', 'operator', 'value']) {
      if (!Object.hasOwn(value, key))
        this.problems.add(at, `the comparison lacks "${key}"`, { expected: 'fact, operator and value' });
    }
    if (typeof fact !== 'string') {
      this.problems.add(at.to('fact'), `fact is ${quote(fact)}`, { expected: 'a name' });
      return;
    }
    const { priority } = value;
    if (priority !== undefined && !(Number.isInteger(priority) && Number(priority) >= 1)) {
      this.problems.add(at.to('priority'), `priority is ${quote(priority)}`, { expected: 'a whole number from 1' });
    }
    const type = this.vocabulary.check(value, at);
    const spec = typeof operator === 'string' ? operatorNamed(operator) : undefined;
    if (!spec && Object.hasOwn(value, 'operator')) {
      const names = Object.keys(OPERATORS);
      this.problems.add(at.to('operator'), `unknown operator ${quote(operator)}`, {
        expected: `one of ${names.join(', ')}`,
        hint: didYouMean(String(operator), names),
      });
    }
    if (!spec || type === undefined) return;
    if (type !== 'any' && !spec.of.includes(type)) {
      this.problems.add(
        at.to('operator'),
        `"${String(operator)}" cannot be asked of ${quote(fact)}, which is a ${type}`,
        {
          expected: `an operator for a ${type}: ${Object.entries(OPERATORS as Record<string, OperatorSpec>)
            .filter(([, other]) => other.of.includes(type))
            .map(([name]) => name)
            .join(', ')}`,
        },
      );
      return;
    }
    if (Object.hasOwn(value, 'value')) this.checkOperand(value, spec, type, at.to('value'));
  }

  private checkOperand(comparison: Mapping, spec: OperatorSpec, type: FieldType | 'any', at: Place): void {
    const { value, operator, fact } = comparison;
    if (isFactReference(value)) {
      this.checkFactOperand(value, spec, type, String(operator), at);
      return;
    }
    const before = this.problems.count;
    const resolved = this.definitions.resolveLists(value, at, this.problems);
    if (this.problems.count > before) return;
    const expected = operandProblem(spec, type === 'any' ? undefined : type, resolved);
    if (expected !== undefined) {
      this.problems.add(at, `the value of "${String(operator)}" on ${quote(fact)} is ${quote(resolved)}`, {
        expected,
        hint: hintForValue(resolved, spec, type),
      });
    }
  }

  private checkFactOperand(
    value: Mapping,
    spec: OperatorSpec,
    type: FieldType | 'any',
    operator: string,
    at: Place,
  ): void {
    if (!spec.takesFact) {
      this.problems.add(at, `"${operator}" cannot compare with another fact`, { expected: 'a constant' });
      return;
    }
    this.checkKeys(value, ['fact', 'path', 'params'], at);
    const other = this.vocabulary.check(value, at);
    if (other === undefined || other === 'any' || type === 'any' || other === type) return;
    this.problems.add(at.to('fact'), `${quote(value.fact)} is a ${other}`, { expected: `a ${type} to compare with` });
  }
}

function hintForValue(value: unknown, spec: OperatorSpec, type: FieldType | 'any'): string | undefined {
  if (Array.isArray(value) && spec.takes === 'same') return 'use "in" for a list';
  if (spec.takes === 'same-list' && !Array.isArray(value)) return `write [${String(value)}]`;
  if (type === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return `quote it: "${String(value)}"`;
  if (type === 'number' && typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value)))
    return 'leave out the quotes';
  return undefined;
}
