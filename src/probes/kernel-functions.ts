import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type SymbolCensus, censusOf, nearestSymbol } from './kallsyms.js';

/** What is known of a function on this kernel. */
export type FunctionStatus = 'attachable' | 'not-traceable' | 'ambiguous' | 'compiler-changed' | 'absent';

/** What is known of a module on this kernel. */
export type ModuleStatus = 'present' | 'not-loaded' | 'absent';

/** The kernel's functions, as far as a plan asks for them. */
export interface KernelFunctions {
  /** Of a function by name, or `module:name` where others may have the same; `tracer`: by ftrace (fentry, kprobe-multi), which allows less than a kprobe does. */
  status(name: string, tracer: boolean): FunctionStatus;
  /** `x.constprop.0` for a name whose status is `compiler-changed`. */
  variant(name: string): string | undefined;
  module(name: string): ModuleStatus;
  /** The function whose name is a slip of the pen away from one that is absent. */
  nearest?(name: string): string | undefined;
}

/** Where the kernel's lists are; others than the usual places in tests. */
export interface KernelFiles {
  kallsyms: string;
  /** Folders where tracefs may be mounted. */
  tracefs: readonly string[];
  modules: string;
  sysModule: string;
  /** `/lib/modules/<release>`. */
  libModules: string;
}

/** The usual places for a kernel release. */
export function kernelFiles(release: string): KernelFiles {
  return {
    kallsyms: '/proc/kallsyms',
    tracefs: TRACEFS_PLACES,
    modules: '/proc/modules',
    sysModule: '/sys/module',
    libModules: `/lib/modules/${release}`,
  };
}

/** Where tracefs is mounted by convention (Documentation/trace/ftrace.rst). */
export const TRACEFS_PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'] as const;

/** The folder where tracefs is mounted and readable, if it is. */
export function mountedTracefs(places: readonly string[] = TRACEFS_PLACES): string | undefined {
  return places.find(
    (place) => existsSync(join(place, 'available_filter_functions')) || existsSync(join(place, 'events')),
  );
}

/**
 * Looks up names in the kernel's symbols and in ftrace's list of functions (where tracefs is mounted). Reads some 10 MB
 * once; keeps only what was asked for.
 */
export function readKernelFunctions(names: Iterable<string>, files: KernelFiles): KernelFunctions {
  const wanted = new Set(names);
  const kallsyms = readBytes(files.kallsyms);
  const census: SymbolCensus | undefined = kallsyms && censusOf(kallsyms, wanted);
  const tracefs = mountedTracefs(files.tracefs);
  const traceable =
    tracefs === undefined ? undefined : traceableOf(readBytes(join(tracefs, 'available_filter_functions')), wanted);
  return {
    status(name, tracer) {
      const count = census?.count.get(name) ?? (traceable?.has(name) || !census ? 1 : 0);
      if (count === 0) return census?.variants.has(name) ? 'compiler-changed' : 'absent';
      if (count > 1) return 'ambiguous';
      return tracer && traceable && !traceable.has(name) ? 'not-traceable' : 'attachable';
    },
    variant: (name) => census?.variants.get(name),
    module: (name) => moduleStatus(name, files),
    nearest: (name) => kallsyms && nearestSymbol(kallsyms, name),
  };
}

/** Names of ftrace's list that are wanted: `name` or `name [module]` a line. */
function traceableOf(text: Buffer | undefined, wanted: ReadonlySet<string>): Set<string> | undefined {
  if (!text || text.length === 0) return undefined;
  const found = new Set<string>();
  let at = 0;
  while (at < text.length) {
    let end = text.indexOf(10, at);
    if (end < 0) end = text.length;
    const line = text.toString('latin1', at, end);
    const space = line.search(/[\t ]/);
    const name = space < 0 ? line : line.slice(0, space);
    if (wanted.has(name)) found.add(name);
    const module = space < 0 ? undefined : /\[([^\]]+)\]/.exec(line)?.[1];
    if (module !== undefined && wanted.has(`${module}:${name}`)) found.add(`${module}:${name}`);
    at = end + 1;
  }
  return found;
}

function moduleStatus(name: string, files: KernelFiles): ModuleStatus {
  const dashed = name.replaceAll('_', '[-_]');
  const inList = (file: string, pattern: RegExp): boolean => pattern.test(readText(file) ?? '');
  if (existsSync(join(files.sysModule, name))) return 'present';
  if (inList(files.modules, new RegExp(`^${name} `, 'm'))) return 'present';
  if (inList(join(files.libModules, 'modules.builtin'), new RegExp(`/${dashed}\\.ko$`, 'm'))) return 'present';
  if (inList(join(files.libModules, 'modules.dep'), new RegExp(`/${dashed}\\.ko[.a-z]*:`, 'm'))) return 'not-loaded';
  return 'absent';
}

function readBytes(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    // Not mounted, or not for this user: the caller goes by what it could read.
    return undefined;
  }
}

function readText(file: string): string | undefined {
  return readBytes(file)?.toString('latin1');
}
