import type { CpuUsers, ProcessTime, ThreadTime } from '../cpu-users.js';
import { isObject, known, numberParam, parseObject, unknown, unnamed, whyNot } from '../facts.js';
import type { EvidenceCollector, EvidencePhase, EvidenceSource, RawEvidence } from '../types.js';

const QUESTION = ['vdiag:cpu-users'];
/** USER_HZ, which is what /proc counts in whatever the kernel's own ticks are. */
const TICK_MS = 10;
const POLICIES: Record<number, string> = { 1: 'FIFO', 2: 'RR', 3: 'batch', 5: 'idle', 6: 'deadline' };

/** Who had the CPU that a thread waited for (fs/proc/array.c: utime, stime, processor). */
export const cpuRival: EvidenceCollector = {
  name: 'cpu-rival',
  describe: 'The process that took most of the CPU on which a thread waits, during the run.',
  params: {
    pid: 'the process that waits',
    tid: 'its thread; absent or 0: the first',
    seconds: 'length of the run, s; with it shares are computed',
  },
  members: {
    cpu: 'the CPU that the thread ran on last',
    pid: 'process that took most of it; 0 when none took a tenth of what was used',
    comm: "the process's name; empty without one",
    who: 'name and pid: `stress (4711)`; empty without one',
    ms: 'CPU time it took there during the run, ms; 0 without one',
    share: 'the same as a share of the run, 0..1; null without `seconds`',
    threads: 'threads of it that ran there',
    nice: 'the lowest nice value of these threads',
    policy: 'FIFO, RR, batch, idle, deadline, or empty for the ordinary one',
    ownMs: 'CPU time that the waiting process itself took during the run, ms; null when not read before',
    ownNice: 'nice value of the waiting thread',
    others: 'further processes that took a tenth of it or more',
  },

  async before(source) {
    await source.run(QUESTION, { phase: 'before' });
  },

  async collect(source, params) {
    const pid = numberParam(params, 'pid');
    const tid = numberParam(params, 'tid') || pid;
    const command = 'ps -eLo psr,pid,tid,ni,cls,time,comm --sort=psr';
    if (pid === undefined || pid <= 0) return unnamed('no process was named', command);
    const [before, after] = await Promise.all([readUsers(source, 'before'), readUsers(source, 'after')]);
    if (!after.users) return unknown(whyNot(after.answer), command);
    if (!before.users) return unknown('CPU times were not read before the traffic', command);
    const own = after.users.processes.find((one) => one.tid === pid);
    if (!own) return unknown(`process ${pid} is gone`, command);
    const thread = own.threads?.find((one) => one.tid === tid) ?? own;
    const earlier = before.users;
    const rivals = after.users.processes
      .filter((one) => one.tid !== pid)
      .map((one) => usedOn(thread.cpu, one, earlier))
      .filter(({ ticks }) => ticks > 0)
      .sort((a, b) => weightOf(b) - weightOf(a));
    const all = rivals.reduce((sum, one) => sum + one.ticks, 0);
    const large = rivals.filter((one) => one.ticks * 10 >= all && one.ticks * TICK_MS >= 100);
    const first = large[0];
    const seconds = numberParam(params, 'seconds');
    const ms = (first?.ticks ?? 0) * TICK_MS;
    const value = {
      cpu: thread.cpu,
      pid: first?.process.tid ?? 0,
      comm: first?.process.comm ?? '',
      who: first ? `${first.process.comm} (${first.process.tid})` : '',
      ms,
      share: seconds ? +Math.min(1, ms / 1000 / seconds).toFixed(3) : null,
      threads: first?.threads.length ?? 0,
      nice: Math.min(...(first?.threads.map(({ nice }) => nice) ?? [0])),
      policy: first?.threads.map(({ policy }) => POLICIES[policy]).find((name) => name !== undefined) ?? '',
      ownMs: (own.ticks - (earlier.processes.find((one) => one.tid === pid)?.ticks ?? 0)) * TICK_MS,
      ownNice: thread.nice,
      others: Math.max(0, large.length - 1),
    };
    const text = first
      ? `CPU ${thread.cpu}: ${value.who} took ${ms} ms of it${value.policy ? ` (${value.policy})` : ` (nice ${value.nice})`}, the waiting process ${value.ownMs} ms (nice ${value.ownNice})`
      : `CPU ${thread.cpu}: no other process took much of it`;
    return known(value, command, text);
  },
};

interface Used {
  process: ProcessTime;
  threads: ThreadTime[];
  ticks: number;
}

/** vdiag's own threads are put on another CPU all the time while it analyses: where they ran last, they ran half of it at most. */
function weightOf({ process, ticks }: Used): number {
  return process.own ? ticks / 2 : ticks;
}

/**
 * What a process used during the run, as far as it ran on that CPU: each thread counts where it ran last. Threads that
 * were not read before count from their beginning, but together no more than the process itself.
 */
function usedOn(cpu: number, process: ProcessTime, before: CpuUsers): Used {
  const was = before.processes.find((one) => one.tid === process.tid);
  const grown = (one: ThreadTime): number =>
    Math.max(0, one.ticks - (was?.threads?.find(({ tid }) => tid === one.tid)?.ticks ?? 0));
  const busy = (process.threads ?? [process]).filter((one) => one.cpu === cpu && grown(one) > 0);
  const ticks = busy.reduce((sum, one) => sum + grown(one), 0);
  return { process, threads: busy, ticks: Math.min(ticks, Math.max(0, process.ticks - (was?.ticks ?? 0))) };
}

async function readUsers(
  source: EvidenceSource,
  phase: EvidencePhase,
): Promise<{ answer: RawEvidence; users?: CpuUsers }> {
  const answer = await source.run(QUESTION, { phase });
  const value = answer.status === 'ok' ? parseObject(answer.text) : {};
  if (!Array.isArray(value.processes)) return { answer };
  const processes = value.processes.filter(
    (one): one is ProcessTime => isObject(one) && typeof one.tid === 'number' && typeof one.ticks === 'number',
  );
  return { answer, users: { processes, incomplete: value.incomplete === true } };
}
