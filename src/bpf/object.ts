import { existsSync } from 'node:fs';
import { VdiagError } from '../base/errors.js';
import { objectFile } from './flavour.js';
import { BpfCallError, LIBBPF_ERRNO_START, Libbpf, type Pointer, errnoText } from './libbpf.js';
import { PerfEvents } from './perf-events.js';
import type { Flavour, RecordSource } from './types.js';

const EPERM = 1;
const EACCES = 13;
const ENOMEM = 12;
const LOG_LINES = 12;

/** The modern kernel-side object of this package. */
export const OBJECT_FILE = objectFile('modern');

export const MAPS = {
  config: 'config',
  events: 'events',
  hits: 'hits',
  losses: 'losses',
  misses: 'misses',
  watched: 'watched',
  entries: 'entries',
  paths: 'paths',
  tallies: 'tallies',
  devices: 'wanted_devices',
  namespaces: 'wanted_namespaces',
} as const;

/** The object, loaded: its maps live, the wanted templates relocated for this kernel. */
export interface LoadedObject {
  /** What its records come out of: there until `close`. */
  records: RecordSource;
  /** Records that a perf buffer had no room for, as far as a reader has come upon it. */
  perfLost(): number;
  mapFd(map: keyof typeof MAPS): number;
  /** Relocated instructions of a template that is loaded. */
  template(name: string): Uint8Array;
  /**
   * Loads more templates, with the same maps, all together or else each by itself.
   * @returns those that the kernel refuses, with its reason in one line
   */
  more(templates: readonly string[]): Map<string, string>;
  close(): void;
}

/** What is loaded, and how. */
export interface ObjectOptions {
  /** Templates that are wanted. */
  templates: ReadonlySet<string>;
  flavour: Flavour;
  /** Size of the ring, or of all perf buffers together; rounded up to powers of two, at least a page. */
  ringBytes: number;
  /** Another object than the package's own of that flavour. */
  file?: string;
  /** BTF of this kernel, where it does not come from the kernel itself. */
  btfFile?: string;
}

/**
 * Opens the compiled object, and loads it with only the wanted templates.
 * @throws VdiagError (status 3) when it is missing, this process may not, or the kernel refuses it: with the end of the
 *   verifier's log.
 */
export function loadObject(options: ObjectOptions): LoadedObject {
  const { templates, flavour, ringBytes, file = objectFile(flavour), btfFile } = options;
  const libbpf = Libbpf.get();
  if (!existsSync(file)) {
    throw new VdiagError(
      { message: `the compiled eBPF object ${file} is not there`, hint: 'build it: npm run build:bpf' },
      3,
    );
  }
  const first = openWith(file, templates, btfFile, (object) => {
    if (flavour === 'modern') libbpf.setMapSize(object, MAPS.events, ringSize(ringBytes));
  });
  return openedObject(libbpf, first, { ...options, file });
}

/** An object in the kernel, and those of its programs that were wanted. */
interface Loaded {
  object: Pointer;
  programs: ReadonlyMap<string, Pointer>;
}

function openWith(
  file: string,
  templates: ReadonlySet<string>,
  btfFile: string | undefined,
  prepare: (object: Pointer) => void,
): Loaded {
  const libbpf = Libbpf.get();
  libbpf.takeMessages();
  let object: Pointer;
  try {
    object = libbpf.openObject(file, btfFile);
  } catch (error) {
    throw loadError(error, file, libbpf.takeMessages());
  }
  try {
    const programs = new Map<string, Pointer>();
    for (const { name, program } of libbpf.programs(object)) {
      libbpf.setAutoload(program, templates.has(name));
      if (templates.has(name)) programs.set(name, program);
    }
    const missing = [...templates].filter((name) => !programs.has(name));
    if (missing.length > 0) {
      const message = `${file} has no program ${missing.join(', ')}: it was built from other sources than this vdiag`;
      throw new VdiagError({ message, hint: 'build it again: npm run build:bpf' }, 3);
    }
    prepare(object);
    libbpf.loadObject(object);
    return { object, programs };
  } catch (error) {
    libbpf.closeObject(object);
    throw error instanceof BpfCallError ? loadError(error, file, libbpf.takeMessages()) : error;
  }
}

function openedObject(
  libbpf: Libbpf,
  { object, programs }: Loaded,
  { flavour, ringBytes, file = objectFile(flavour), btfFile }: ObjectOptions,
): LoadedObject {
  const events = libbpf.mapFd(object, MAPS.events);
  const perf = flavour === 'legacy' ? new PerfEvents(events, ringBytes) : undefined;
  const known = new Map(programs);
  const objects = [object];
  let open = true;
  const add = (templates: readonly string[]): void => {
    const added = openWith(file, new Set(templates), btfFile, (other) => {
      for (const map of libbpf.maps(other)) libbpf.reuseMap(other, map, libbpf.mapFd(object, map));
    });
    objects.push(added.object);
    for (const [name, program] of added.programs) known.set(name, program);
  };
  return {
    records: perf?.source ?? { fd: events, size: libbpf.mapSize(object, MAPS.events) },
    perfLost: () => perf?.lost ?? 0,
    mapFd: (map) => libbpf.mapFd(object, MAPS[map]),
    template: (name) => libbpf.instructions(known.get(name)!),
    more(templates) {
      const wanted = [...new Set(templates)].filter((name) => !known.has(name));
      return wanted.length === 0 ? new Map<string, string>() : refusedOf(wanted, add);
    },
    close() {
      if (!open) return;
      open = false;
      perf?.close();
      for (const one of objects.splice(0)) libbpf.closeObject(one);
    },
  };
}

/** One template that the kernel refuses makes it refuse the object: then each is tried by itself. */
function refusedOf(templates: readonly string[], add: (templates: readonly string[]) => void): Map<string, string> {
  const refused = new Map<string, string>();
  const attempt = (some: readonly string[], otherwise: (error: VdiagError) => void): void => {
    try {
      add(some);
    } catch (error) {
      if (!(error instanceof VdiagError)) throw error;
      otherwise(error);
    }
  };
  attempt(templates, () => {
    for (const name of templates) {
      attempt([name], ({ problems }) => {
        const [first = '', ...log] = problems[0]!.message.split('\n');
        refused.set(name, [first.replace(/^the kernel refuses \S+/, `the kernel refuses the program ${name}`), log.at(-1)].filter(Boolean).join(': '));
      });
    }
  });
  return refused;
}

/** The kernel takes powers of two, in whole pages. */
function ringSize(bytes: number): number {
  const LARGEST = 1 << 30;
  return Math.min(LARGEST, 2 ** Math.ceil(Math.log2(Math.max(bytes, 64 << 10))));
}

function loadError(error: unknown, file: string, messages: string): VdiagError {
  if (!(error instanceof BpfCallError)) throw error;
  const { errno } = error;
  // The verifier refuses a program with EACCES too; then it has left its log.
  if (errno === EPERM || (errno === EACCES && !messages.includes('PROG LOAD LOG'))) {
    return new VdiagError(
      {
        message: `the kernel does not let this process load eBPF programs: ${errnoText(errno)}`,
        expected: 'root, or the capabilities CAP_BPF, CAP_PERFMON and CAP_SYSLOG',
        hint: 'run it with sudo; in a container, with --privileged and --pid=host',
      },
      3,
      { cause: error },
    );
  }
  if (errno === ENOMEM) {
    return new VdiagError(
      { message: `no memory for the eBPF maps: ${errnoText(errno)}`, hint: 'ask for a smaller ring: --ring' },
      3,
      { cause: error },
    );
  }
  if (errno >= LIBBPF_ERRNO_START) {
    const why = lastLines(messages, 1);
    return new VdiagError(
      { message: `${file} cannot be used: ${why || errnoText(errno)}`, hint: 'build it again: npm run build:bpf' },
      3,
      { cause: error },
    );
  }
  const log = lastLines(error.log || messages, LOG_LINES);
  return new VdiagError(
    { message: `the kernel refuses ${file}: ${errnoText(errno)}${log ? `\n${log}` : ''}` },
    3,
    { cause: error },
  );
}

/** The end of a verifier's log, where it says what it did not like, without its statistics. */
export function lastLines(log: string, count: number): string {
  return log
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(processed \d+ insns|verification time|stack depth)/.test(line))
    .slice(-count)
    .map((line) => line.slice(0, 300))
    .join('\n');
}
