import { printable } from '../base/sanitize.js';
import { eachProcess, namesIn, textOf } from './processes.js';

/** How much CPU time a thread has had. */
export interface ThreadTime {
  tid: number;
  comm: string;
  /** Clock ticks (USER_HZ: 100 a second), user and system. */
  ticks: number;
  /** CPU that it ran on last. */
  cpu: number;
  nice: number;
  /** 0 other, 1 FIFO, 2 RR, 3 batch, 5 idle, 6 deadline (include/uapi/linux/sched.h). */
  policy: number;
}

export interface ProcessTime extends ThreadTime {
  /** Those of a process that had much of it, busiest first; absent for the others. */
  threads?: ThreadTime[];
  /** It is vdiag itself. */
  own?: true;
}

export interface CpuUsers {
  processes: ProcessTime[];
  /** The host has more processes than could be looked at in the time allowed. */
  incomplete: boolean;
}

/** Of so many processes, those that have used most CPU, the threads are read too. */
const WITH_THREADS = 24;
const MOST_THREADS = 512;
/** What is kept of it: the busiest. */
const KEPT_PROCESSES = 200;
const KEPT_THREADS = 32;

/**
 * The CPU time of every process, from /proc/PID/stat, and that of the threads of the busiest: a thread tells on which
 * CPU it runs, a process only where its first thread did.
 */
export async function readCpuUsers(limitMs: number): Promise<CpuUsers> {
  const processes: ProcessTime[] = [];
  const complete = await eachProcess(limitMs, (pid) => {
    const one = parseTimes(textOf(`/proc/${pid}/stat`) ?? '');
    if (one && one.ticks > 0) processes.push(one.tid === process.pid ? { ...one, own: true } : one);
  });
  processes.sort((a, b) => b.ticks - a.ticks);
  for (const one of processes.slice(0, WITH_THREADS)) one.threads = threadsOf(one.tid).slice(0, KEPT_THREADS);
  return { processes: processes.slice(0, KEPT_PROCESSES), incomplete: !complete };
}

/** The threads of a process, busiest first. */
export function threadsOf(pid: number): ThreadTime[] {
  return namesIn(`/proc/${pid}/task`)
    .slice(0, MOST_THREADS)
    .flatMap((tid) => parseTimes(textOf(`/proc/${pid}/task/${tid}/stat`) ?? '') ?? [])
    .sort((a, b) => b.ticks - a.ticks);
}

/** From a line of /proc/PID/stat (fs/proc/array.c): fields 14 and 15, 19, 39 and 41; undefined when it is none. */
export function parseTimes(stat: string): ThreadTime | undefined {
  const close = stat.lastIndexOf(')');
  const fields = stat.slice(close + 2).split(' ');
  // The first of them is field 3, the state.
  const field = (number: number): number => Number(fields[number - 3]);
  const ticks = field(14) + field(15);
  if (close < 0 || !Number.isFinite(ticks)) return undefined;
  return {
    tid: Number.parseInt(stat, 10),
    comm: printable(stat.slice(stat.indexOf('(') + 1, close)),
    ticks,
    cpu: field(39) || 0,
    nice: field(19) || 0,
    policy: field(41) || 0,
  };
}
