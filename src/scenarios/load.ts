import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { readDocument, schemaProblems, type SourceDocument, yamlFilesBelow } from '../base/documents.js';
import { type Problem, VdiagError } from '../base/errors.js';
import { packagePath } from '../base/package-root.js';
import { didYouMean } from '../base/suggest.js';
import { templateVariables } from '../base/template.js';
import { COLLECTORS } from '../evidence/index.js';
import { loadCatalogue } from '../probes/catalogue.js';
import type { Scenario } from './types.js';

/** What labels of segments may name. */
const LABEL_VARIABLES = ['from.device', 'to.device', 'to.comm', 'to.pid', 'via', 'consumer', 'peer'];

/** A scenario file before what it leaves out is filled in. */
type Draft = Omit<Scenario, 'segments' | 'ordinary' | 'before' | 'examples' | 'roundTrips' | 'file'> &
  Partial<Scenario>;

/**
 * Where scenarios are looked for, in this order: shipped, the host's, the user's. One of a later folder replaces one of
 * the same id of an earlier one. Folders that are not there are left out.
 */
export function scenarioFolders(env: NodeJS.ProcessEnv = process.env): string[] {
  const config = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config');
  const own = ['/etc/vdiag/scenarios.d', join(config, 'vdiag', 'scenarios')];
  return [packagePath('rules', 'scenarios'), ...own.filter((folder) => existsSync(folder))];
}

/**
 * Every scenario, by id in alphabetical order.
 * @throws VdiagError (2) with every problem of every file: form, unknown probes and evidence, labels, ids given twice.
 */
export function loadScenarios(folders: readonly string[] = scenarioFolders()): Scenario[] {
  const problems: Problem[] = [];
  const scenarios = new Map<string, Scenario>();
  const probes = new Set(loadCatalogue().points.map((point) => point.name));
  for (const folder of folders) {
    const here = new Map<string, string>();
    for (const file of yamlFilesBelow(folder)) {
      const document = readDocument(file);
      const wrong = schemaProblems(document, 'scenario');
      if (wrong.length > 0) {
        problems.push(...wrong);
        continue;
      }
      const scenario = complete(document.value as Draft, file);
      problems.push(...check(scenario, document, probes));
      const twin = here.get(scenario.id);
      if (twin !== undefined) {
        problems.push({ message: `scenario "${scenario.id}" stands in ${twin} too`, at: document.positionOf(['id']) });
      }
      here.set(scenario.id, file);
      scenarios.set(scenario.id, scenario);
    }
  }
  if (problems.length > 0) throw new VdiagError(problems, 2);
  return [...scenarios.values()].sort((x, y) => (x.id < y.id ? -1 : 1));
}

/** One scenario by its id. @throws VdiagError (2) if there is none, or a file is wrong. */
export function loadScenario(id: string, folders: readonly string[] = scenarioFolders()): Scenario {
  const all = loadScenarios(folders);
  const found = all.find((scenario) => scenario.id === id);
  if (found) return found;
  const ids = all.map((scenario) => scenario.id);
  throw new VdiagError(
    { message: `there is no scenario "${id}"`, expected: `one of ${ids.join(', ')}`, hint: didYouMean(id, ids) },
    2,
  );
}

/** The scenario as a slower host is asked it: each segment may take so many times as long as it says. */
export function withBudgets(scenario: Scenario, factor: number): Scenario {
  if (factor === 1) return scenario;
  const segments = scenario.segments.map((segment) =>
    segment.budgetMs === undefined ? segment : { ...segment, budgetMs: segment.budgetMs * factor },
  );
  return { ...scenario, segments };
}

function complete(draft: Draft, file: string): Scenario {
  const { id, title, titleZh, description, probes, defaults, endpoints, rules, diagnoses } = draft;
  return {
    ...{ id, title, titleZh, description, probes, defaults, endpoints },
    segments: draft.segments ?? [],
    roundTrips: draft.roundTrips ?? false,
    ...(rules && { rules }),
    ordinary: draft.ordinary ?? [],
    ...(diagnoses && { diagnoses }),
    before: draft.before ?? [],
    examples: draft.examples ?? [],
    file,
  };
}

/** What a schema cannot say: whether the names are known. */
function check(scenario: Scenario, document: SourceDocument, probes: ReadonlySet<string>): Problem[] {
  const problems: Problem[] = [];
  const known = (what: string, name: string, all: Iterable<string>, path: (string | number)[]): void => {
    const names = [...all];
    if (names.includes(name)) return;
    problems.push({
      message: `there is no ${what} "${name}"`,
      at: document.positionOf(path),
      hint: didYouMean(name, names),
    });
  };
  scenario.probes.require?.forEach((name, i) => known('probe', name, probes, ['probes', 'require', i]));
  scenario.before.forEach((name, i) => known('evidence', name, COLLECTORS.keys(), ['before', i]));
  const ids = new Set<string>();
  scenario.segments.forEach((segment, i) => {
    const at = (...path: string[]): (string | number)[] => ['segments', i, ...path];
    if (ids.has(segment.id)) {
      problems.push({ message: `segment "${segment.id}" is given twice`, at: document.positionOf(at('id')) });
    }
    ids.add(segment.id);
    for (const end of ['from', 'to'] as const) {
      const { probe, role } = segment[end];
      if (probe !== undefined) known('probe', probe, probes, at(end, 'probe'));
      if ((probe === undefined) === (role === undefined)) {
        problems.push({
          message: `"${end}" of segment "${segment.id}" names ${probe === undefined ? 'neither a role nor a probe' : 'both a role and a probe'}`,
          at: document.positionOf(at(end)),
          expected: 'one of the two',
        });
      }
    }
    for (const label of ['label', 'labelZh'] as const) {
      try {
        for (const name of templateVariables(segment[label])) {
          known('variable', name, LABEL_VARIABLES, at(label));
        }
      } catch (error) {
        problems.push({ message: (error as Error).message, at: document.positionOf(at(label)) });
      }
    }
  });
  return problems;
}
