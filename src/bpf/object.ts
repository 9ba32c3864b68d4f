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
  /** Relocated instructions of a template. */
  template(name: string): Uint8Array;
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
    if (flavour === 'modern') libbpf.setMapSize(object, MAPS.events, ringSize(ringBytes));
    libbpf.loadObject(object);
    return openedObject(libbpf, object, programs, options);
  } catch (error) {
    libbpf.closeObject(object);
    throw error instanceof BpfCallError ? loadError(error, file, libbpf.takeMessages()) : error;
  }
}

function openedObject(
  libbpf: Libbpf,
  object: Pointer,
  programs: ReadonlyMap<string, Pointer>,
  { flavour, ringBytes }: ObjectOptions,
): LoadedObject {
  const events = libbpf.mapFd(object, MAPS.events);
  const perf = flavour === 'legacy' ? new PerfEvents(events, ringBytes) : undefined;
  let open = true;
  return {
    records: perf?.source ?? { fd: events, size: libbpf.mapSize(object, MAPS.events) },
    perfLost: () => perf?.lost ?? 0,
    mapFd: (map) => libbpf.mapFd(object, MAPS[map]),
    template: (name) => libbpf.instructions(programs.get(name)!),
    close() {
      if (!open) return;
      open = false;
      perf?.close();
      libbpf.closeObject(object);
    },
  };
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
