import { existsSync } from 'node:fs';
import { VdiagError } from '../base/errors.js';
import { packagePath } from '../base/package-root.js';
import { BpfCallError, LIBBPF_ERRNO_START, Libbpf, type Pointer, errnoText } from './libbpf.js';

const EPERM = 1;
const EACCES = 13;
const ENOMEM = 12;
const LOG_LINES = 12;

/** The kernel-side object of this package. */
export const OBJECT_FILE = packagePath('bpf', 'build', 'vdiag.bpf.o');

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
  /** Size of the ring, bytes, as the kernel rounded it. */
  ringBytes: number;
  mapFd(map: keyof typeof MAPS): number;
  /** Relocated instructions of a template. */
  template(name: string): Uint8Array;
  close(): void;
}

/**
 * Opens the compiled object, and loads it with only the wanted templates.
 * @param ringBytes size of the ring; rounded up to a power of two, at least a page
 * @param btfFile BTF of this kernel, where it does not come from the kernel itself
 * @throws VdiagError (status 3) when it is missing, this process may not, or the kernel refuses it: with the end of the
 *   verifier's log.
 */
export function loadObject(
  templates: ReadonlySet<string>,
  ringBytes: number,
  file = OBJECT_FILE,
  btfFile?: string,
): LoadedObject {
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
    libbpf.setMapSize(object, MAPS.events, ringSize(ringBytes));
    libbpf.loadObject(object);
    return openedObject(libbpf, object, programs);
  } catch (error) {
    libbpf.closeObject(object);
    throw error instanceof BpfCallError ? loadError(error, file, libbpf.takeMessages()) : error;
  }
}

function openedObject(libbpf: Libbpf, object: Pointer, programs: ReadonlyMap<string, Pointer>): LoadedObject {
  let open = true;
  return {
    ringBytes: libbpf.mapSize(object, MAPS.events),
    mapFd: (map) => libbpf.mapFd(object, MAPS[map]),
    template: (name) => libbpf.instructions(programs.get(name)!),
    close() {
      if (open) libbpf.closeObject(object);
      open = false;
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
