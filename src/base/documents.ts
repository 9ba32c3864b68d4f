import { readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ErrorObject } from 'ajv';
import { madeAhead } from './ahead.js';
import { type Problem, VdiagError } from './errors.js';
import { validatorFor } from './schema-validators.js';
import { didYouMean } from './suggest.js';
import { type PositionOf, parseYaml } from './yaml.js';

/** The one version of every document that vdiag reads or writes. */
export const API_VERSION = 'vdiag/v1';

/** A YAML document with the place of each of its parts. */
export interface SourceDocument<T = unknown> {
  file: string;
  value: T;
  /** Where the value at a path (keys and indices) stands; its nearest known ancestor if it has no place of its own. */
  positionOf: PositionOf;
  /** The schema that it is known to obey: it is one of the package's own, and was validated when that was built. */
  obeys?: string;
}

const MAX_DOCUMENT_BYTES = 4 << 20;

/**
 * Parses one YAML document; the places of its parts are found out when the first one is asked for.
 * @throws VdiagError (status 2) for bad YAML, aliases by the hundred, or an empty document.
 */
export function parseDocument(text: string, file: string): SourceDocument {
  const known = madeAhead(text);
  if (!known) return { file, ...parseYaml(text, file) };
  let positions: PositionOf | undefined;
  const positionOf: PositionOf = (path) => {
    const place = known.places.get(path.join('.'));
    if (place) return { file, line: place[0], column: place[1] };
    return (positions ??= parseYaml(text, file).positionOf)(path);
  };
  return { file, value: known.value, positionOf, obeys: known.obeys };
}

/** Reads and parses a YAML file. @throws VdiagError (status 2) if it cannot be read, is over 4 MiB or is not YAML. */
export function readDocument(file: string): SourceDocument {
  let text: string;
  try {
    if (statSync(file).size > MAX_DOCUMENT_BYTES) {
      throw new VdiagError({ message: `${file} is larger than 4 MiB`, expected: 'a hand-written YAML file' }, 2);
    }
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof VdiagError) throw error;
    throw new VdiagError({ message: `cannot read ${file}: ${(error as Error).message}` }, 2, { cause: error });
  }
  return parseDocument(text, file);
}

/** The `.yaml`/`.yml` files below a folder, sorted, so that their order never depends on the file system. */
export function yamlFilesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/**
 * Validates a document against `docs/schema/<schema>.schema.json`.
 * @returns the problems found, each with its position; empty when the document is valid (then its value has type T).
 */
export function schemaProblems(document: SourceDocument, schema: string): Problem[] {
  if (document.obeys === schema) return [];
  const validate = validatorFor(schema);
  if (validate(document.value)) return [];
  const errors = validate.errors ?? [];
  // An anyOf/oneOf/if reports itself beside the errors of its branches: the deepest ones say most.
  const telling = errors.filter((error) => !['anyOf', 'oneOf', 'allOf', 'if', 'not'].includes(error.keyword));
  return dropRepeats((telling.length > 0 ? telling : errors).map((error) => schemaProblem(document, error)));
}

/** Reads, parses and validates. @throws VdiagError (status 2) with every problem of the file. */
export function readValidDocument<T>(file: string, schema: string): SourceDocument<T> {
  const document = readDocument(file);
  const problems = schemaProblems(document, schema);
  if (problems.length > 0) throw new VdiagError(problems, 2);
  return document as SourceDocument<T>;
}

function schemaProblem(document: SourceDocument, error: ErrorObject): Problem {
  const path = pointerToPath(error.instancePath, document.value);
  const name = path.length > 0 ? `"${path.join('.')}"` : basename(document.file);
  switch (error.keyword) {
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const key = String(error.params.additionalProperty ?? error.params.unevaluatedProperty);
      const known = Object.keys((error.parentSchema as { properties?: object } | undefined)?.properties ?? {});
      return {
        message: `unknown field "${key}"${path.length > 0 ? ` in ${name}` : ''}`,
        at: document.positionOf([...path, key]),
        expected: known.length > 0 ? `one of ${known.join(', ')}` : undefined,
        hint: didYouMean(key, known),
      };
    }
    case 'required':
      return {
        message: `${name} lacks the field "${String(error.params.missingProperty)}"`,
        at: document.positionOf(path),
      };
    case 'enum': {
      const allowed = (error.params.allowedValues as unknown[]).map(String);
      return {
        message: `${name} is ${JSON.stringify(error.data)}`,
        at: document.positionOf(path),
        expected: `one of ${allowed.join(', ')}`,
        hint: didYouMean(String(error.data), allowed),
      };
    }
    case 'const':
      return {
        message: `${name} is ${JSON.stringify(error.data)}`,
        at: document.positionOf(path),
        expected: JSON.stringify(error.params.allowedValue),
      };
    default:
      return { message: `${name} ${error.message ?? 'is not valid'}`, at: document.positionOf(path) };
  }
}

function dropRepeats(problems: Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter((problem) => {
    const key = `${problem.at?.line}:${problem.at?.column}:${problem.message}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** JSON pointer → path, with indices as numbers where the value there is an array. */
function pointerToPath(pointer: string, value: unknown): (string | number)[] {
  let current = value;
  return pointer
    .split('/')
    .slice(1)
    .map((part) => {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      const step = Array.isArray(current) ? Number(key) : key;
      current = current === null || typeof current !== 'object' ? undefined : (current as Record<string, unknown>)[key];
      return step;
    });
}
