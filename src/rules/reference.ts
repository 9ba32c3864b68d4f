import type { FieldSpec } from '../events/field-names.js';
import { DIAGNOSIS_FACTS, subjectMembers } from './diagnosis-facts.js';
import { OPERATORS } from './operators.js';

/** The tables of the rule reference (docs/rules.md), from the definitions themselves; a test keeps the page up to date. */
export function referenceTables(fields: Readonly<Record<string, FieldSpec>>): Record<string, string> {
  return {
    operators: table(
      ['operator', 'of', 'holds when'],
      Object.entries(OPERATORS).map(([name, { of, describe }]) => [`\`${name}\``, of.join(', '), describe]),
    ),
    fields: members(fields),
    facts: table(
      ['fact', 'what it is', 'parameters'],
      Object.entries(DIAGNOSIS_FACTS).map(([name, { describe, params }]) => [
        `\`${name}\``,
        describe,
        Object.entries(params)
          .map(([param, spec]) => `\`${param}\`: ${spec.describe}`)
          .join('; '),
      ]),
    ),
    'subject-findings': members(subjectMembers({ findings: [] }, {})),
    'subject-segments': members(subjectMembers({ segments: [] }, {})),
    'subject-pair': members(subjectMembers({ each: 'pair' }, {})),
    'subject-end': members(subjectMembers({ each: 'end' }, {})),
    'subject-flow': members(subjectMembers({ each: 'flow' }, {})),
    'subject-unanswered': members(subjectMembers({ each: 'unanswered' }, {})),
    'subject-stream': members(subjectMembers({ each: 'stream' }, {})),
    'subject-hop': members(subjectMembers({ each: 'hop' }, {})),
    'subject-sched': members(subjectMembers({ each: 'sched' }, {})),
    findings: members(DIAGNOSIS_FACTS.findings.members),
    run: members(DIAGNOSIS_FACTS.run.members),
  };
}

function members(specs: Readonly<Record<string, FieldSpec>>): string {
  const rows = Object.entries(specs).map(([name, { type, describe }]) => [`\`${name}\``, type, describe]);
  return table(['name', 'type', 'meaning'], rows);
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
