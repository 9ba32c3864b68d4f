import { FIELD_SPECS } from '../events/field-names.js';
import { COLLECTORS } from '../evidence/index.js';
import { type KnowledgeBase, loadKnowledgeBase } from '../knowledge/knowledge-base.js';
import { type Catalogue, loadCatalogue } from '../probes/catalogue.js';
import { ruleFolders } from '../rules/folders.js';
import { loadRules, type LoadedRules } from '../rules/load.js';
import { loadScenarios } from './load.js';

/** Everything that vdiag knows beforehand: what ships with it and what the user added. */
export interface Library extends LoadedRules {
  catalogue: Catalogue;
  knowledge: KnowledgeBase;
}

/**
 * Loads the catalogue, the knowledge base and the rules, and checks that they fit each other.
 * @param options `rules`: folders of the user's own rules, beside those that are always looked at
 * @throws VdiagError (2) with every problem of every file
 */
export function loadLibrary(options: { rules?: readonly string[] } = {}): Library {
  const catalogue = loadCatalogue();
  const knowledge = loadKnowledgeBase();
  const loaded = loadRules(ruleFolders(options.rules), {
    probes: new Set(catalogue.points.map(({ name }) => name)),
    roles: new Set(catalogue.points.map(({ role }) => role)),
    articles: new Set(knowledge.ids),
    evidence: COLLECTORS,
    fields: FIELD_SPECS,
    segmentKinds: new Set(loadScenarios().flatMap(({ segments }) => segments.map(({ kind }) => kind))),
  });
  return { ...loaded, catalogue, knowledge };
}
