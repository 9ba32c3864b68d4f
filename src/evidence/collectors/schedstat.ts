import { delta, known, numberParam, unknown, unnamed, whyNot } from '../facts.js';
import { readHolders, readProcessAt } from '../holders.js';
import type { ThreadState } from '../processes.js';
import type { EvidenceCollector } from '../types.js';

/** How long threads were ready to run but had no CPU (kernel/sched/stats.h, sched_info). */
export const schedstat: EvidenceCollector = {
  name: 'schedstat',
  describe: 'How long a thread, or all threads of a process, ran and waited for a CPU during the run.',
  params: { pid: 'process', tid: 'thread; absent or 0: the one that waited longest', seconds: 'length of the run' },
  members: {
    pid: 'process',
    tid: 'the thread',
    comm: 'its name',
    runDeltaMs: 'ms it ran; null when not read before',
    runDelayDeltaMs: 'ms it could have run but waited for a CPU; null when not read before',
    slicesDelta: 'times it got a CPU; null when not read before',
    waitShare: 'share of the time in which it wanted to run that it waited, 0..1; null when not read before',
    meanDelayMs: 'mean wait each time, ms; null when not read before',
    runDelayTotalMs: 'ms it waited since it was made; null when the kernel does not count',
    delayShare: 'share of the run that it waited, 0..1; null when unknown',
  },

  async before(source) {
    await readHolders(source, 'before');
  },

  async collect(source, params) {
    const pid = numberParam(params, 'pid');
    const tid = numberParam(params, 'tid') || undefined;
    const command = `cat /proc/${pid ?? '?'}/task/${tid ?? '*'}/schedstat`;
    if (pid === undefined || pid <= 0) return unnamed('no process was named', command);
    const [after, before] = await Promise.all([
      readProcessAt(source, pid, 'after'),
      readProcessAt(source, pid, 'before'),
    ]);
    if (!after.process) return unknown(whyNot(after.answer), command);
    const measured = after.process.threads
      .filter((thread) => tid === undefined || thread.tid === tid)
      .map((thread) =>
        grown(
          thread,
          before.process?.threads.find((one) => one.tid === thread.tid),
        ),
      );
    const chosen = measured.sort(
      (a, b) => (b.runDelayDeltaMs ?? b.runDelayTotalMs ?? 0) - (a.runDelayDeltaMs ?? a.runDelayTotalMs ?? 0),
    )[0];
    if (!chosen) return unknown(`process ${pid} has no thread ${tid}`, command);
    if (chosen.runDelayTotalMs === null) return unknown('this kernel does not count it (CONFIG_SCHED_INFO)', command);
    const seconds = numberParam(params, 'seconds');
    const wait = chosen.runDelayDeltaMs;
    const delayShare = wait === null || !seconds ? null : +(wait / 1000 / seconds).toFixed(4);
    const text = wait === null ? `${chosen.runDelayTotalMs} ms since it was made` : `${wait} ms during the run`;
    return known({ pid, ...chosen, delayShare }, command, `${chosen.comm} (${chosen.tid}) waited for a CPU ${text}`);
  },
};

function grown(after: ThreadState, before: ThreadState | undefined) {
  const ms = (ns: number | null | undefined): number | null =>
    ns === null || ns === undefined ? null : +(ns / 1e6).toFixed(3);
  const wait = delta(before?.wait, after.wait);
  const ran = delta(before?.run, after.run);
  const slices = delta(before?.slices, after.slices);
  return {
    tid: after.tid,
    comm: after.comm,
    runDeltaMs: ms(ran),
    runDelayDeltaMs: ms(wait),
    slicesDelta: slices,
    waitShare: wait === null || ran === null ? null : +(wait / Math.max(1, wait + ran)).toFixed(3),
    meanDelayMs: wait === null || !slices ? null : ms(wait / slices),
    runDelayTotalMs: ms(after.wait),
  };
}
