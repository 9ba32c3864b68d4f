import { readFileSync } from 'node:fs';
import { readDocument, yamlFilesBelow } from '../../src/base/documents.js';
import { packagePath } from '../../src/base/package-root.js';
import { FIELD_SPECS } from '../../src/events/field-names.js';
import { ROLES } from '../../src/events/probe-table.js';
import { loadKnowledgeBase, type KnowledgeBase } from '../../src/knowledge/knowledge-base.js';
import { loadCatalogue } from '../../src/probes/catalogue.js';
import type { ProbePlan } from '../../src/probes/types.js';
import { loadRules } from '../../src/rules/load.js';
import type { EventRule } from '../../src/rules/types.js';
import { copyEventRules } from './event-rule-folder.js';

export const knowledge: KnowledgeBase = loadKnowledgeBase();

const catalogue = loadCatalogue();

/** The whole catalogue, as if this kernel offered every point. */
export const wholePlan: ProbePlan = {
  set: 'full',
  probes: catalogue.points.map((point, index) => ({
    index,
    point,
    backend: 'kprobe',
    target: point.function ?? point.tracepoint,
    reasons: [],
  })),
};

/** The shipped event rules, loaded and checked against the catalogue, the fields and the articles. */
export const rules: EventRule[] = copyEventRules(
  (folder) =>
    loadRules([{ path: folder, origin: 'shipped' }], {
      probes: new Set(catalogue.points.map(({ name }) => name)),
      roles: new Set<string>(ROLES),
      articles: new Set(knowledge.ids),
      evidence: new Map(),
      fields: FIELD_SPECS,
    }).rules,
);

/** Ids and articles of the shipped diagnoses. */
export const diagnoses: { id: string; article: string }[] = yamlFilesBelow(packagePath('rules', 'diagnoses')).flatMap(
  (file) => (readDocument(file).value as { diagnoses: { id: string; article: string }[] }).diagnoses,
);

/** A macro's list of functions in rules/macros.yaml. */
export function macroFunctions(): Map<string, string[]> {
  const { macros } = readDocument(packagePath('rules', 'macros.yaml')).value as {
    macros: Record<string, { fact?: string; value?: string[] }>;
  };
  return new Map(
    Object.entries(macros).flatMap(([name, { fact, value }]) =>
      fact === 'event.function' && value ? [[name, value] as const] : [],
    ),
  );
}

/** Drop reasons of a kernel, newest known: enum skb_drop_reason without its prefix. */
export const dropReasons: string[] = readFileSync(new URL('drop-reasons.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));
