import type { SourceDocument } from '../base/documents.js';
import type { Problem, SourcePosition } from '../base/errors.js';

/** A place in a rule file: the document, and the way of keys and indices to the value. */
export class Place {
  constructor(
    readonly document: SourceDocument,
    readonly path: readonly (string | number)[] = [],
  ) {}

  to(...keys: (string | number)[]): Place {
    return new Place(this.document, [...this.path, ...keys]);
  }

  get position(): SourcePosition {
    return this.document.positionOf(this.path);
  }
}

/** Every problem of every file, so that the user can mend them in one go. */
export class Problems {
  private readonly byText = new Map<string, Problem>();

  /** Adds a problem; the same one at the same place (a macro that several rules use) is kept once. */
  add(at: Place | SourcePosition, message: string, more: { expected?: string; hint?: string } = {}): void {
    this.addProblem({ message, at: at instanceof Place ? at.position : at, ...more });
  }

  addProblem(problem: Problem): void {
    const { file, line, column } = problem.at ?? { file: '', line: 0, column: 0 };
    this.byText.set(`${file}:${line}:${column}:${problem.message}`, problem);
  }

  get count(): number {
    return this.byText.size;
  }

  /** By file in the order in which they were read, then by line and column. */
  sorted(files: readonly string[]): Problem[] {
    const order = new Map(files.map((file, i) => [file, i]));
    const rank = (problem: Problem): number => order.get(problem.at?.file ?? '') ?? -1;
    return [...this.byText.values()].sort(
      (x, y) => rank(x) - rank(y) || (x.at?.line ?? 0) - (y.at?.line ?? 0) || (x.at?.column ?? 0) - (y.at?.column ?? 0),
    );
  }
}

export type Mapping = Record<string, unknown>;

export function isMapping(value: unknown): value is Mapping {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** The texts of a list with their indices; nothing for anything else (the schema has reported that). */
export function textsOf(value: unknown): [number, string][] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item, i): [number, string][] => (typeof item === 'string' ? [[i, item]] : []));
}

/** A value as the user wrote it, for a message; cut short, also where aliases make it huge or endless. */
export function quote(value: unknown): string {
  const text = json(value, 4);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function json(value: unknown, depth: number): string {
  if (typeof value === 'number') return String(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'nothing';
  if (depth === 0) return '...';
  const few = (list: string[], all: number): string => (all > list.length ? [...list, '...'] : list).join(', ');
  if (Array.isArray(value))
    return `[${few(
      value.slice(0, 8).map((item) => json(item, depth - 1)),
      value.length,
    )}]`;
  const entries = Object.entries(value);
  return `{ ${few(
    entries.slice(0, 8).map(([key, item]) => `${key}: ${json(item, depth - 1)}`),
    entries.length,
  )} }`;
}
