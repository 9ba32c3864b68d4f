import { ConditionChecker, MAX_PARTS } from './check-condition.js';
import type { CheckContext } from './check-entry.js';
import { DIAGNOSIS_FACTS } from './diagnosis-facts.js';
import { isMapping } from './problems.js';
import { diagnosisVocabulary, eventVocabulary } from './vocabulary.js';

/**
 * Checks every macro and list by itself, so that one that no rule uses is not wrong unnoticed. A macro is about
 * diagnoses when it names any of their facts, else about events; a rule that uses it checks it again in its own terms.
 */
export function checkDefinitions({ known, definitions, problems, refer }: CheckContext): void {
  for (const [name, { value, at }] of definitions.macros) {
    const vocabulary = namesDiagnosisFact(value, { left: MAX_PARTS })
      ? diagnosisVocabulary(known, undefined, problems, (id, place) => refer(id, place, 'rule'))
      : eventVocabulary(known, problems);
    new ConditionChecker(vocabulary, definitions, problems).check(value, at, name);
  }
  for (const [name, { at }] of definitions.lists) definitions.resolveLists({ list: name }, at, problems);

  function namesDiagnosisFact(value: unknown, budget: { left: number }): boolean {
    if (budget.left-- <= 0) return false;
    if (Array.isArray(value)) return value.some((item) => namesDiagnosisFact(item, budget));
    if (!isMapping(value)) return false;
    if (typeof value.fact === 'string')
      return value.fact.startsWith('evidence.') || Object.hasOwn(DIAGNOSIS_FACTS, value.fact);
    if (typeof value.macro === 'string') return namesDiagnosisFact(definitions.macros.get(value.macro)?.value, budget);
    return ['all', 'any', 'not'].some((form) => namesDiagnosisFact(value[form], budget));
  }
}
