import { type SourceDocument, readDocument, schemaProblems, yamlFilesBelow } from '../base/documents.js';
import { type Problem, type SourcePosition, VdiagError } from '../base/errors.js';
import { packagePath } from '../base/package-root.js';
import { didYouMean } from '../base/suggest.js';
import { PROGRAM_ARGS } from '../bpf/types.js';
import type { Backend, ProbeGroup, ProbePoint, ProbeSet } from './types.js';

export const PROBE_GROUPS = [
  ...(['l2', 'l3', 'l4', 'netfilter', 'lifecycle', 'socket', 'sched', 'virt'] as const),
] as const satisfies readonly ProbeGroup[];

/** From least to most; each holds the one before. */
export const PROBE_SETS = ['basic', 'standard', 'full'] as const satisfies readonly ProbeSet[];

/** Every probe point that vdiag knows. */
export interface Catalogue {
  /** In the order of the groups, then of the files. */
  points: readonly ProbePoint[];
  get(name: string): ProbePoint | undefined;
}

/** Which points a run watches. */
export interface ProbeSelection {
  set: ProbeSet;
  /** Only these groups of the set; absent: all. */
  groups?: readonly ProbeGroup[];
  /** Exactly these points, whatever their set and group. */
  only?: readonly string[];
  /** These as well. */
  require?: readonly string[];
  /** And these, if they are of the groups asked for: their lack is no error. */
  also?: readonly string[];
  /** Points beside the catalogue's: what was discovered. */
  extra?: readonly ProbePoint[];
  /** Only these ways of attaching, tried in this order; `kprobe` and `fentry` include their return forms. */
  backends?: readonly Backend[];
}

interface CatalogueFile {
  group: ProbeGroup;
  probes: Omit<ProbePoint, 'group'>[];
}

/**
 * Loads the catalogue: the shipped one, or the files below another folder.
 * @throws VdiagError (status 2) with every problem of every file, each with its position.
 */
export function loadCatalogue(folder = packagePath('bpf', 'probes')): Catalogue {
  const problems: Problem[] = [];
  const places = new Map<string, () => SourcePosition>();
  const points: ProbePoint[] = [];
  for (const file of yamlFilesBelow(folder)) {
    const document = readDocument(file);
    const wrong = schemaProblems(document, 'probes');
    problems.push(...wrong);
    if (wrong.length > 0) continue;
    const { group, probes } = (document as SourceDocument<CatalogueFile>).value;
    probes.forEach((probe, i) => {
      const point: ProbePoint = { ...probe, group };
      // Asked for only where something is wrong: finding places in a file takes longer than reading it.
      const at = (): SourcePosition => document.positionOf(['probes', i, 'name']);
      const earlier = places.get(point.name)?.();
      if (earlier) {
        problems.push({
          message: `probe "${point.name}" is there twice`,
          at: at(),
          hint: `the first is at ${earlier.file}:${earlier.line}`,
        });
      } else places.set(point.name, at);
      problems.push(...pointProblems(point, (path) => document.positionOf(['probes', i, ...path])));
      points.push(point);
    });
  }
  if (problems.length > 0) throw new VdiagError(problems, 2);
  if (points.length === 0) throw new VdiagError({ message: `no probe catalogue (*.yaml) below ${folder}` }, 2);
  const byName = new Map(points.map((point) => [point.name, point]));
  points.sort((a, b) => PROBE_GROUPS.indexOf(a.group) - PROBE_GROUPS.indexOf(b.group));
  return { points, get: (name) => byName.get(name) };
}

/** What the schema cannot say. */
function pointProblems(point: ProbePoint, at: (path: string[]) => SourcePosition): Problem[] {
  const problems: Problem[] = [];
  const names: readonly string[] = PROGRAM_ARGS[point.program as keyof typeof PROGRAM_ARGS];
  const known = names.map((name) => name.replace('?', ''));
  for (const kind of ['tracepoint', 'function'] as const) {
    for (const name of Object.keys(point.args?.[kind] ?? {})) {
      if (known.includes(name)) continue;
      problems.push({
        message: `"${point.name}" names the argument "${name}", which program ${point.program} does not take`,
        at: at(['args', kind, name]),
        expected: `one of ${known.join(', ')}`,
        hint: didYouMean(name, known),
      });
    }
    if (point.args?.[kind] && !point[kind]) {
      problems.push({ message: `"${point.name}" has args.${kind} but no ${kind}`, at: at(['args', kind]) });
    }
  }
  if (point.aliases && !point.function) {
    problems.push({ message: `"${point.name}" has aliases but no function`, at: at(['aliases']) });
  }
  if (point.wantReturn && !point.function) {
    problems.push({ message: `"${point.name}" wants a return value but has no function`, at: at(['wantReturn']) });
  }
  if (needsReturn(point) && !point.wantReturn) {
    problems.push({
      message: `"${point.name}" uses program ${point.program}, which tells nothing without the return value`,
      at: at(['program']),
      expected: 'wantReturn: true',
    });
  }
  return problems;
}

const NEED_RETURN: ReadonlySet<string> = new Set(['clone', 'replace', 'segments', 'merge', 'verdict', 'failure']);

/** Whether the point's program is of no use without the function's return value. */
export function needsReturn(point: ProbePoint): boolean {
  return NEED_RETURN.has(point.program);
}

/**
 * The points of a selection, in the catalogue's order.
 * @throws VdiagError (status 2) for a name, group or set that does not exist, with the nearest that does.
 */
export function selectPoints(catalogue: Catalogue, selection: ProbeSelection): ProbePoint[] {
  const problems: Problem[] = [];
  const check = (word: string, known: readonly string[], what: string): void => {
    if (known.includes(word)) return;
    problems.push({
      message: `unknown ${what} "${word}"`,
      expected: known.length <= 10 ? `one of ${known.join(', ')}` : 'a name that `vdiag probes list` shows',
      hint: didYouMean(word, known),
    });
  };
  check(selection.set, PROBE_SETS, 'probe set');
  for (const group of selection.groups ?? []) check(group, PROBE_GROUPS, 'probe group');
  const names = catalogue.points.map((point) => point.name);
  for (const name of [...(selection.only ?? []), ...(selection.require ?? []), ...(selection.also ?? [])])
    check(name, names, 'probe');
  if (problems.length > 0) throw new VdiagError(problems, 2);

  const size = PROBE_SETS.indexOf(selection.set);
  return catalogue.points.filter((point) => {
    if (selection.require?.includes(point.name)) return true;
    if (selection.only) return selection.only.includes(point.name);
    const wanted = PROBE_SETS.indexOf(point.set) <= size || selection.also?.includes(point.name);
    return wanted && (selection.groups?.includes(point.group) ?? true);
  });
}
