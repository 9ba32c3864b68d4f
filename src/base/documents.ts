import { readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { EVENT_ID, YAMLException, getScalarValue, load, parseEvents, type Event } from 'js-yaml';
import { type Problem, type SourcePosition, VdiagError } from './errors.js';
import { expandedSize } from './expanded-size.js';
import { packagePath } from './package-root.js';
import { didYouMean } from './suggest.js';

/** The one version of every document that vdiag reads or writes. */
export const API_VERSION = 'vdiag/v1';

/** A YAML document with the place of each of its parts. */
export interface SourceDocument<T = unknown> {
  file: string;
  value: T;
  /** Where the value at a path (keys and indices) stands; its nearest known ancestor if it has no place of its own. */
  positionOf(path: readonly (string | number)[]): SourcePosition;
}

const MAX_DOCUMENT_BYTES = 4 << 20;
/** With aliases written out: a few lines of them can come to billions, on which any check would hang. */
const MAX_DOCUMENT_VALUES = 1_000_000;

/**
 * Parses one YAML document and remembers where everything in it stands.
 * @throws VdiagError (status 2) for bad YAML, aliases by the hundred, or an empty document.
 */
export function parseDocument(text: string, file: string): SourceDocument {
  let value: unknown;
  let events: Event[];
  try {
    value = load(text, { filename: file, maxDepth: 50, maxAliases: 100 });
    events = parseEvents(text, { filename: file, maxDepth: 50 });
  } catch (error) {
    throw new VdiagError(yamlProblem(error, text, file), 2);
  }
  if (expandedSize(value) > MAX_DOCUMENT_VALUES) {
    const message = `with its aliases written out, the file has more than ${MAX_DOCUMENT_VALUES} values`;
    throw new VdiagError({ message, at: { file, line: 1, column: 1 }, expected: 'a hand-written YAML file' }, 2);
  }
  const offsets = offsetsByPath(text, events);
  const lineStarts = startsOfLines(text);
  return {
    file,
    value,
    positionOf(path) {
      for (let depth = path.length; depth >= 0; depth--) {
        const offset = offsets.get(pathKey(path.slice(0, depth)));
        if (offset !== undefined) return { file, ...lineAndColumn(lineStarts, offset) };
      }
      return { file, line: 1, column: 1 };
    },
  };
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

const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, allowUnionTypes: true, verbose: true });
const validators = new Map<string, ValidateFunction>();

/**
 * Validates a document against `docs/schema/<schema>.schema.json`.
 * @returns the problems found, each with its position; empty when the document is valid (then its value has type T).
 */
export function schemaProblems(document: SourceDocument, schema: string): Problem[] {
  let validate = validators.get(schema);
  if (!validate) {
    validate = ajv.compile(JSON.parse(readFileSync(packagePath('docs', 'schema', `${schema}.schema.json`), 'utf8')));
    validators.set(schema, validate);
  }
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

function yamlProblem(error: unknown, text: string, file: string): Problem {
  if (error instanceof YAMLException) {
    const at = error.mark
      ? { file, line: error.mark.line + 1, column: error.mark.column + 1 }
      : { file, ...lineAndColumn(startsOfLines(text), 0) };
    return { message: text.trim() === '' ? 'the file is empty' : `not valid YAML: ${error.reason}`, at };
  }
  return { message: `not valid YAML: ${(error as Error).message}`, at: { file, line: 1, column: 1 } };
}

function pathKey(path: readonly (string | number)[]): string {
  return JSON.stringify(path.map(String));
}

/** Offset of each value by its path; a mapping's value is placed at its key, where the eye looks for it. */
function offsetsByPath(text: string, events: Event[]): Map<string, number> {
  const offsets = new Map<string, number>();
  interface Frame {
    path: string[];
    kind: 'document' | 'sequence' | 'mapping';
    next: number;
    key?: { text: string; offset: number };
  }
  const stack: Frame[] = [];
  const place = (offset: number): string[] | undefined => {
    const frame = stack.at(-1);
    if (!frame) return [];
    if (frame.kind === 'document') {
      offsets.set(pathKey(frame.path), offset);
      return frame.path;
    }
    if (frame.kind === 'sequence') {
      const path = [...frame.path, String(frame.next++)];
      offsets.set(pathKey(path), offset);
      return path;
    }
    if (!frame.key) return undefined;
    const path = [...frame.path, frame.key.text];
    offsets.set(pathKey(path), frame.key.offset);
    frame.key = undefined;
    return path;
  };
  for (const event of events) {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        stack.push({ path: [], kind: 'document', next: 0 });
        break;
      case EVENT_ID.SEQUENCE:
        stack.push({ path: place(event.start) ?? [], kind: 'sequence', next: 0 });
        break;
      case EVENT_ID.MAPPING:
        stack.push({ path: place(event.start) ?? [], kind: 'mapping', next: 0 });
        break;
      case EVENT_ID.SCALAR: {
        const frame = stack.at(-1);
        if (frame?.kind === 'mapping' && !frame.key) {
          frame.key = { text: getScalarValue(text, event), offset: event.valueStart };
        } else place(event.valueStart);
        break;
      }
      case EVENT_ID.ALIAS:
        place(event.anchorStart);
        break;
      case EVENT_ID.POP:
        stack.pop();
        break;
    }
  }
  return offsets;
}

function startsOfLines(text: string): number[] {
  const starts = [0];
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) starts.push(i + 1);
  return starts;
}

function lineAndColumn(starts: number[], offset: number): { line: number; column: number } {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - starts[low] + 1 };
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
