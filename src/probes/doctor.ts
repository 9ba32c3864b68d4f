import { readFileSync } from 'node:fs';
import { dropReasonsOf } from './drop-reasons.js';
import { type HostTool, hostTools } from './host-tools.js';
import { TRACEFS_PLACES, mountedTracefs } from './kernel-functions.js';
import { HostKernelNames } from './kernel-names.js';
import type { KernelTypes } from './kernel-types.js';
import type { KernelCapabilities } from './types.js';

/** One thing that `vdiag doctor` looked at. */
export interface Check {
  /** Short, stable: `privileges`, `libbpf`, `kprobe`, `tool:tc` … */
  id: string;
  /** `fail`: vdiag cannot trace; `warn`: part of its function is missing; `ok`. */
  state: 'ok' | 'warn' | 'fail';
  /** What was found, or why it is missing. */
  found: string;
  /** What a lack hides, also where that is nothing that matters. */
  hides?: string;
  /** Command that cures it, where there is one. */
  cure?: string;
}

/** The data behind `vdiag doctor`. */
export interface DoctorReport {
  kernel: { release: string; arch: string };
  checks: Check[];
  /** False when any check failed. */
  canTrace: boolean;
}

/** What the doctor is told by the layers that know; everything else it reads from the host. */
export interface DoctorInput {
  capabilities: KernelCapabilities;
  types: KernelTypes | undefined;
  /** libbpf's own version string; an Error when the library cannot be loaded. */
  libbpf: string | Error;
}

/** Files that the doctor reads; others than the usual ones in tests. */
export interface DoctorFiles {
  status: string;
  kallsyms: string;
  tracefs: readonly string[];
  tools?: { folders: readonly string[]; osRelease: string };
}

const HOST: DoctorFiles = { status: '/proc/self/status', kallsyms: '/proc/kallsyms', tracefs: TRACEFS_PLACES };

/** Without these nothing can be traced. */
const ESSENTIAL = new Set(['btf', 'rawTracepoint']);

/** Lacks that cost nothing that a report shows. */
const CONVENIENCE = new Set(['ringBuffer', 'kprobeMulti', 'kprobeSession', 'fentry', 'tracepoint']);

const CAPABILITY_WORDS: readonly (readonly [keyof KernelCapabilities, string])[] = [
  ['btf', 'types of this kernel are known (BTF)'],
  ['ringBuffer', 'ring buffer'],
  ['rawTracepoint', 'raw tracepoints'],
  ['kprobe', 'kprobes'],
  ['kretprobe', 'kretprobes'],
  ['kprobeMulti', 'kprobe-multi'],
  ['kprobeSession', 'kprobe sessions'],
  ['fentry', 'fentry and fexit'],
  ['tracepoint', 'classic tracepoints'],
  ['dropReasons', 'drop reasons'],
];

/** Looks at what tracing and diagnosing on this host need. Reads files, runs nothing, changes nothing. */
export function examineHost(input: DoctorInput, files: DoctorFiles = HOST): DoctorReport {
  const { capabilities } = input;
  const tools = files.tools ? hostTools(files.tools.folders, files.tools.osRelease) : hostTools();
  const checks = [
    privileges(files.status),
    libbpf(input.libbpf),
    ...CAPABILITY_WORDS.map(([name, words]) => capability(capabilities, name, words)),
    dropReasonNames(input.types),
    symbols(input.types, files.kallsyms),
    tracefs(files.tracefs),
    ...tools.map(tool),
  ];
  return {
    kernel: { release: capabilities.release, arch: capabilities.arch },
    checks,
    canTrace: checks.every((check) => check.state !== 'fail'),
  };
}

/** Bits of capability(7) that loading and attaching need: CAP_SYS_ADMIN, or CAP_BPF with CAP_PERFMON (5.8+). */
const CAP_SYS_ADMIN = 21n;
const CAP_PERFMON = 38n;
const CAP_BPF = 39n;

function privileges(statusFile: string): Check {
  let effective: bigint;
  try {
    effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync(statusFile, 'utf8'))?.[1] ?? '0'}`);
  } catch (error) {
    return {
      id: 'privileges',
      state: 'fail',
      found: `cannot read ${statusFile}: ${(error as Error).message}`,
      hides: 'everything: it is not known what this user may do',
    };
  }
  const has = (bit: bigint): boolean => ((effective >> bit) & 1n) === 1n;
  if (has(CAP_SYS_ADMIN)) return { id: 'privileges', state: 'ok', found: 'CAP_SYS_ADMIN' };
  if (has(CAP_BPF) && has(CAP_PERFMON)) {
    return {
      id: 'privileges',
      state: 'warn',
      found: 'CAP_BPF and CAP_PERFMON, but not CAP_SYS_ADMIN',
      hides: 'evidence in other network namespaces',
      cure: 'run vdiag with sudo',
    };
  }
  return {
    id: 'privileges',
    state: 'fail',
    found: 'neither CAP_SYS_ADMIN nor CAP_BPF with CAP_PERFMON',
    hides: 'everything: live tracing needs root (a replay does not)',
    cure: 'run vdiag with sudo',
  };
}

function libbpf(version: string | Error): Check {
  if (typeof version === 'string') return { id: 'libbpf', state: 'ok', found: `libbpf ${version.replace(/^v/, '')}` };
  return {
    id: 'libbpf',
    state: 'fail',
    found: version.message,
    hides: 'everything: programs are loaded through libbpf.so.1',
    cure: 'apt-get install libbpf1',
  };
}

function capability(capabilities: KernelCapabilities, name: keyof KernelCapabilities, words: string): Check {
  if (capabilities[name] === true) return { id: name, state: 'ok', found: words };
  const lack = capabilities.lacks.find((entry) => entry.capability === name);
  return {
    id: name,
    state: ESSENTIAL.has(name) ? 'fail' : CONVENIENCE.has(name) ? 'ok' : 'warn',
    found: `no ${words}: ${lack?.why ?? 'the kernel refused'}`,
    ...(lack && { hides: lack.hides }),
    ...(lack?.cure !== undefined && { cure: lack.cure }),
  };
}

function dropReasonNames(types: KernelTypes | undefined): Check {
  const reasons = dropReasonsOf(types);
  if (reasons.why === undefined) {
    return { id: 'drop-reason-names', state: 'ok', found: `${reasons.names.size} drop reasons are known by name` };
  }
  return { id: 'drop-reason-names', state: 'warn', found: reasons.why, hides: 'why packets are dropped: only where' };
}

function symbols(types: KernelTypes | undefined, file: string): Check {
  const why = new HostKernelNames(types, file).symbolsWhy;
  if (why === undefined) return { id: 'symbols', state: 'ok', found: `${file} tells function addresses` };
  return {
    id: 'symbols',
    state: 'warn',
    found: why,
    hides: 'in which function a packet was dropped',
    // 1 is the kernel's middle way: addresses for those with CAP_SYSLOG only.
    ...(why.includes('kptr_restrict') && { cure: 'sysctl -w kernel.kptr_restrict=1' }),
  };
}

function tracefs(places: readonly string[]): Check {
  const place = mountedTracefs(places);
  if (place !== undefined) return { id: 'tracefs', state: 'ok', found: `tracefs at ${place}` };
  // Nothing is lost: the plan goes by the kernel's symbols and finds out by attaching.
  return {
    id: 'tracefs',
    state: 'ok',
    found: 'tracefs is not mounted; which functions may be traced is found out by trying',
  };
}

function tool({ name, path, hides, install }: HostTool): Check {
  if (path !== undefined) return { id: `tool:${name}`, state: 'ok', found: path };
  return {
    id: `tool:${name}`,
    state: 'warn',
    found: `${name} is not installed`,
    hides,
    ...(install !== undefined && { cure: install }),
  };
}
