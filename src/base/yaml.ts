import { createRequire } from 'node:module';
import type * as Yaml from 'js-yaml';
import type { Event } from 'js-yaml';
import { type Problem, type SourcePosition, VdiagError } from './errors.js';
import { expandedSize } from './expanded-size.js';

/** Loaded when there is something to parse: the package's own documents are parsed when it is built (ahead.ts). */
const yaml = (): typeof Yaml => (yamlLibrary ??= createRequire(import.meta.url)('js-yaml') as typeof Yaml);
let yamlLibrary: typeof Yaml | undefined;

/** With aliases written out: a few lines of them can come to billions, on which any check would hang. */
const MAX_DOCUMENT_VALUES = 1_000_000;

/** Where the value at a path (keys and indices) stands; its nearest known ancestor if it has no place of its own. */
export type PositionOf = (path: readonly (string | number)[]) => SourcePosition;

/** What a YAML text says. @throws VdiagError (status 2) for bad YAML, aliases by the hundred, or an empty document. */
export function parseYaml(text: string, file: string): { value: unknown; positionOf: PositionOf } {
  const { value, events } = parsed(text, file);
  let positions: PositionOf | undefined;
  return { value, positionOf: (path) => (positions ??= positionsIn(text, file, events))(path) };
}

function parsed(text: string, file: string): { value: unknown; events: Event[] } {
  const { YAMLException, constructFromEvents, parseEvents } = yaml();
  let value: unknown;
  let events: Event[];
  try {
    events = parseEvents(text, { filename: file, maxDepth: 50 });
    const documents = constructFromEvents(events, { source: text, maxAliases: 100 });
    if (documents.length !== 1) {
      throw new YAMLException('expected a single document in the stream, but found more');
    }
    [value] = documents;
  } catch (error) {
    throw new VdiagError(yamlProblem(error, text, file), 2);
  }
  if (expandedSize(value) > MAX_DOCUMENT_VALUES) {
    const message = `with its aliases written out, the file has more than ${MAX_DOCUMENT_VALUES} values`;
    throw new VdiagError({ message, at: { file, line: 1, column: 1 }, expected: 'a hand-written YAML file' }, 2);
  }
  return { value, events };
}

function positionsIn(text: string, file: string, events: Event[]): PositionOf {
  const offsets = offsetsByPath(text, events);
  const lineStarts = startsOfLines(text);
  return (path) => {
    for (let depth = path.length; depth >= 0; depth--) {
      const offset = offsets.get(pathKey(path.slice(0, depth)));
      if (offset !== undefined) return { file, ...lineAndColumn(lineStarts, offset) };
    }
    return { file, line: 1, column: 1 };
  };
}

function yamlProblem(error: unknown, text: string, file: string): Problem {
  if (error instanceof yaml().YAMLException) {
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
  const { EVENT_ID, getScalarValue } = yaml();
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
