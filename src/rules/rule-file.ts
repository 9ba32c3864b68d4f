import { readDocument, schemaProblems, type SourceDocument } from '../base/documents.js';
import { VdiagError } from '../base/errors.js';
import { didYouMean } from '../base/suggest.js';
import { isMapping, Place, quote, type Mapping, type Problems } from './problems.js';

/** Kinds of rule files, and the schema that describes each. */
const SCHEMAS: Record<string, string> = { RuleSet: 'ruleset', MacroSet: 'ruleset', DiagnosisSet: 'diagnosis-set' };

/** A condition that every schema accepts. */
const ANY_CONDITION = { fact: 'any', operator: 'exists', value: true };

/** A rule file as read: a mapping of a known kind, whatever else is wrong with it. */
export interface RuleFile {
  kind: 'RuleSet' | 'MacroSet' | 'DiagnosisSet';
  root: Mapping;
  at: Place;
}

/** Reads a rule file and checks its form. What is wrong is added to the problems; undefined when nothing can be made of it. */
export function readRuleFile(file: string, problems: Problems): RuleFile | undefined {
  let document: SourceDocument;
  try {
    document = readDocument(file);
  } catch (error) {
    if (!(error instanceof VdiagError)) throw error;
    error.problems.forEach((problem) => problems.addProblem({ at: { file, line: 1, column: 1 }, ...problem }));
    return undefined;
  }
  const at = new Place(document);
  const root = document.value;
  if (!isMapping(root)) {
    problems.add(at, `the file holds ${quote(root)}`, { expected: 'apiVersion, kind and rules' });
    return undefined;
  }
  const { kind } = root;
  if (typeof kind !== 'string' || !Object.hasOwn(SCHEMAS, kind)) {
    const kinds = Object.keys(SCHEMAS);
    problems.add(at.to('kind'), 'kind' in root ? `kind is ${quote(kind)}` : 'the file lacks the field "kind"', {
      expected: `one of ${kinds.join(', ')}`,
      hint: typeof kind === 'string' ? didYouMean(kind, kinds) : undefined,
    });
    return undefined;
  }
  for (const problem of schemaProblems({ ...document, value: withoutConditions(root) }, SCHEMAS[kind])) {
    problems.addProblem(problem);
  }
  if (kind === 'MacroSet') {
    for (const key of ['layer', 'rules'].filter((name) => name in root)) {
      problems.add(at.to(key), `"${key}" stands in a MacroSet`, {
        expected: 'macros and lists only; rules need kind: RuleSet',
      });
    }
  }
  return { kind: kind as RuleFile['kind'], root, at };
}

/**
 * The file with its conditions replaced by one that is right: they are checked by ConditionChecker, which knows facts and
 * says more than a schema can. The published schema describes them all the same, for editors.
 */
function withoutConditions(root: Mapping): Mapping {
  const entry = (value: unknown): unknown =>
    isMapping(value) ? { ...value, ...replaced(value, ['when', 'proof']) } : value;
  const result = { ...root };
  for (const key of ['rules', 'diagnoses']) {
    const entries = root[key];
    if (Array.isArray(entries)) result[key] = entries.map(entry);
  }
  if (isMapping(root.macros)) result.macros = replaced(root.macros, Object.keys(root.macros));
  return result;
}

function replaced(value: Mapping, keys: readonly string[]): Mapping {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(value, key)).map((key) => [key, ANY_CONDITION]));
}
