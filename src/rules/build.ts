import type { Definitions } from './definitions.js';
import type { Mapping, Place, Problems } from './problems.js';
import type { Condition, DiagnosisRule, EventRule, Level, RuleTest, SuspectSpec } from './types.js';

/** A rule or diagnosis while files are read: what it is now, after the changes so far. */
export interface Entry {
  id: string;
  kind: 'rule' | 'diagnosis';
  value: Mapping;
  at: Place;
  /** Places of the overrides that changed it. */
  changedAt: Place[];
  layer: unknown;
}

/** The fields of a rule as the schema has let them through. */
interface RuleFields {
  level: Level;
  on: string[];
  when: Condition;
  message: string;
  messageZh?: string;
  article?: string;
  tags?: string[];
  groupBy?: string[];
  tests?: RuleTest[];
}

interface DiagnosisFields {
  severity: Level;
  suspect: SuspectSpec;
  when: Condition;
  proof?: Condition;
  summary: string;
  summaryZh?: string;
  why?: { text: string; textZh?: string }[];
  explains?: string[];
  explainsSegments?: string[];
  article?: string;
  names?: Record<string, string>;
  confidence?: 'established' | 'likely';
}

/** Makes rules of checked entries: macros and lists written out, defaults filled in. */
export function build(
  entries: readonly Entry[],
  definitions: Definitions,
  problems: Problems,
  sourceOf: (at: Place) => string,
): { rules: EventRule[]; diagnoses: DiagnosisRule[] } {
  const resolve = (condition: Condition, entry: Entry): Condition => definitions.resolve(condition, problems, entry.at);
  const source = ({ at, changedAt }: Entry): string =>
    [sourceOf(at), ...changedAt.map((place) => `changed at ${sourceOf(place)}`)].join(', ');
  return {
    rules: entries
      .filter(({ kind }) => kind === 'rule')
      .map((entry): EventRule => {
        const rule = entry.value as unknown as RuleFields;
        return {
          id: entry.id,
          layer: entry.layer as EventRule['layer'],
          level: rule.level,
          on: rule.on,
          when: resolve(rule.when, entry),
          message: rule.message,
          ...(rule.messageZh !== undefined && { messageZh: rule.messageZh }),
          article: rule.article ?? '',
          tags: rule.tags ?? [],
          ...(rule.groupBy && { groupBy: rule.groupBy }),
          ...(rule.tests && { tests: rule.tests }),
          source: source(entry),
        };
      }),
    diagnoses: entries
      .filter(({ kind }) => kind === 'diagnosis')
      .map((entry): DiagnosisRule => {
        const rule = entry.value as unknown as DiagnosisFields;
        return {
          id: entry.id,
          severity: rule.severity,
          suspect: rule.suspect,
          when: resolve(rule.when, entry),
          ...(rule.proof && { proof: resolve(rule.proof, entry) }),
          summary: rule.summary,
          summaryZh: rule.summaryZh ?? rule.summary,
          ...(rule.why && { why: rule.why.map(({ text, textZh }) => ({ text, textZh: textZh ?? text })) }),
          explains: rule.explains ?? [],
          ...(rule.explainsSegments && { explainsSegments: rule.explainsSegments }),
          article: rule.article ?? '',
          ...(rule.names && { names: rule.names }),
          ...(rule.confidence && { confidence: rule.confidence }),
          source: source(entry),
        };
      }),
  };
}
