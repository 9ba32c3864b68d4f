import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { readFileSync, readdirSync } from 'node:fs';
import { printable } from '../base/sanitize.js';

/** A thread of a process, with what the scheduler counted for it (Documentation/scheduler/sched-stats.rst). */
export interface ThreadState {
  tid: number;
  comm: string;
  /** `R`, `S`, `D`, `T` (stopped), `t` (traced), `Z`. */
  state: string;
  /** ns on a CPU, ns runnable but waiting for one, times it ran; absent without CONFIG_SCHED_INFO. */
  run?: number;
  wait?: number;
  slices?: number;
}

/** A process as the evidence needs it. Of its command line only the guest's name is kept: the rest may hold secrets. */
export interface ProcessState {
  pid: number;
  comm: string;
  state: string;
  /** CPUs it may use, as `0-3,8`. */
  cpus: string;
  /** Path of its control group for CPU time. */
  cgroup: string;
  /** Periods in which it, or a group above it, was throttled, and ns of it; absent without a quota. */
  throttled?: { periods: number; times: number; ns: number; quota: string; group: string };
  /** Name of the guest, if it is QEMU. */
  guest?: string;
  threads: ThreadState[];
}

const MAX_THREADS = 256;

/** Describes a process from /proc; undefined when it is gone. */
export function readProcess(pid: number): ProcessState | undefined {
  const status = textOf(`/proc/${pid}/status`);
  if (status === undefined) return undefined;
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const comm = printable(field('Name'));
  const cgroup = cpuGroupOf(textOf(`/proc/${pid}/cgroup`) ?? '');
  const guest = guestName(textOf(`/proc/${pid}/cmdline`) ?? '');
  const throttled = readThrottling(cgroup);
  return {
    pid,
    comm,
    state: field('State').charAt(0),
    cpus: field('Cpus_allowed_list'),
    cgroup: printable(cgroup.path),
    ...(throttled ? { throttled } : {}),
    ...(guest ? { guest } : {}),
    threads: readThreads(pid),
  };
}

function readThreads(pid: number): ThreadState[] {
  return namesIn(`/proc/${pid}/task`)
    .slice(0, MAX_THREADS)
    .flatMap((tid) => {
      const stat = textOf(`/proc/${pid}/task/${tid}/stat`);
      return stat === undefined ? [] : [parseThread(stat, textOf(`/proc/${pid}/task/${tid}/schedstat`))];
    });
}

/** From /proc/PID/task/TID/stat (the name stands in parentheses and may hold any character) and …/schedstat. */
export function parseThread(stat: string, schedstat: string | undefined): ThreadState {
  const open = stat.indexOf('(');
  const close = stat.lastIndexOf(')');
  const thread: ThreadState = {
    tid: Number.parseInt(stat, 10) || 0,
    comm: printable(stat.slice(open + 1, close)),
    state: stat.charAt(close + 2),
  };
  const [run, wait, slices] = (schedstat ?? '').trim().split(/\s+/).map(Number);
  return Number.isFinite(slices) ? { ...thread, run, wait, slices } : thread;
}

/** `-name guest=web-1,debug-threads=on` or `-name web-1` of a QEMU command line (arguments end with NUL). */
export function guestName(cmdline: string): string | undefined {
  const args = cmdline.split('\0');
  if (!/qemu|kvm/.test(args[0] ?? '')) return undefined;
  const value = args[args.indexOf('-name') + 1];
  if (!args.includes('-name') || !value) return undefined;
  // QEMU writes a comma inside a value as two.
  const first = value.replaceAll(',,', '\0').split(',');
  const guest = first.find((part) => part.startsWith('guest=')) ?? first[0];
  return printable(guest.replace(/^guest=/, '').replaceAll('\0', ','));
}

interface CpuGroup {
  path: string;
  /** Hierarchy of version 1 (`cpu,cpuacct`), or absent for the unified one. */
  controller?: string;
}

/** The group that limits CPU time, from /proc/PID/cgroup: version 1's `cpu` hierarchy first, else the unified one. */
export function cpuGroupOf(text: string): CpuGroup {
  let unified = '';
  for (const line of text.split('\n')) {
    const match = /^(\d+):([^:]*):(.*)$/.exec(line);
    if (!match) continue;
    if (match[2].split(',').includes('cpu')) return { path: match[3], controller: match[2] };
    if (match[2] === '') unified = match[3];
  }
  return { path: unified };
}

function readThrottling(group: CpuGroup): ProcessState['throttled'] {
  if (group.path.split('/').includes('..')) return undefined;
  const roots = group.controller
    ? [`/sys/fs/cgroup/${group.controller}`, '/sys/fs/cgroup/cpu']
    : ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];
  let worst: ProcessState['throttled'];
  for (let path = group.path; path.length > 1; path = path.slice(0, path.lastIndexOf('/'))) {
    for (const root of roots) {
      const stat = textOf(`${root}${path}/cpu.stat`);
      const quota = stat === undefined ? undefined : quotaOf(`${root}${path}`);
      if (stat === undefined || quota === undefined) continue;
      const count = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
      const ns = count('throttled_time') || count('throttled_usec') * 1000;
      const times = count('nr_throttled');
      if (!worst || times > worst.times) {
        worst = { periods: count('nr_periods'), times, ns, quota, group: printable(path) };
      }
    }
  }
  return worst;
}

/** `20000 100000`: µs of CPU time per period, µs; undefined without a limit. */
function quotaOf(folder: string): string | undefined {
  const max = textOf(`${folder}/cpu.max`)?.trim();
  if (max !== undefined) return max.startsWith('max') ? undefined : max;
  const quota = textOf(`${folder}/cpu.cfs_quota_us`)?.trim();
  const period = textOf(`${folder}/cpu.cfs_period_us`)?.trim();
  return quota === undefined || quota === '-1' ? undefined : `${quota} ${period ?? '100000'}`;
}

/** Content of a small file, or undefined: processes come and go while they are looked at. */
export function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Names in a folder, or none. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** How long the event loop is held at a stretch, ms. */
const STRETCH_MS = 15;

/**
 * Visits the processes of this host, one after the other, and lets others run in between.
 * @returns whether the time was enough for all
 */
export async function eachProcess(limitMs: number, visit: (pid: number) => void): Promise<boolean> {
  const end = Date.now() + limitMs;
  let stretch = Date.now();
  for (const name of namesIn('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    if (Date.now() > end) return false;
    if (Date.now() - stretch > STRETCH_MS) {
      await yieldToOthers();
      stretch = Date.now();
    }
    visit(Number(name));
  }
  return true;
}
