import { known, textOfAnswer, unknown } from '../facts.js';
import { parseCpuTimes, type CpuTimes } from '../parsers/proc-cpu.js';
import type { EvidenceCollector } from '../types.js';

const STAT = '/proc/stat';

/** How busy the CPUs were during the run (fs/proc/stat.c). */
export const cpu: EvidenceCollector = {
  name: 'cpu',
  describe: 'How busy the CPUs were during the run, and how much of their time a hypervisor below took.',
  params: {},
  members: {
    cpus: 'number of CPUs',
    busy: 'share of the time that all CPUs worked, 0..1; null when not read before',
    softirq: 'share in softirqs, where packets are received, 0..1; null when not read before',
    steal: 'share that a hypervisor below gave to others, 0..1; null when not read before',
    busiestCpu: 'number of the busiest CPU',
    busiestBusy: 'its share of work, 0..1; null when not read before',
    busiestSoftirq: 'largest share of a CPU in softirqs, 0..1; null when not read before',
    perCpu: '`{ cpu, busy, softirq, steal }`; empty when not read before',
    load1: 'load average of the last minute',
    running: 'tasks that run or want to, at the end',
  },

  async before(source) {
    await source.read(STAT, { phase: 'before' });
  },

  async collect(source) {
    const command = `cat ${STAT} /proc/loadavg`;
    const [answer, beforeAnswer, load] = await Promise.all([
      source.read(STAT, { phase: 'after' }),
      source.read(STAT, { phase: 'before' }),
      source.read('/proc/loadavg', { phase: 'after' }),
    ]);
    if (answer.status !== 'ok') return unknown(answer.why, command);
    const after = parseCpuTimes(answer.text);
    const earlier = textOfAnswer(beforeAnswer);
    const before = earlier === undefined ? [] : parseCpuTimes(earlier);
    const shares = after.flatMap((times) => {
      const was = before.find((one) => one.name === times.name);
      return was ? [sharesOf(was, times)] : [];
    });
    const all = shares.find((one) => one.name === 'cpu');
    const single = shares.filter((one) => one.name !== 'cpu');
    const busiest = [...single].sort((a, b) => b.busy - a.busy)[0];
    const [, load1, running] = /^([\d.]+) \S+ \S+ (\d+)\//.exec(textOfAnswer(load) ?? '') ?? [];
    const value = {
      cpus: after.filter((times) => times.name !== 'cpu').length,
      busy: all?.busy ?? null,
      softirq: all?.softirq ?? null,
      steal: all?.steal ?? null,
      busiestCpu: busiest ? Number(busiest.name.slice(3)) : 0,
      busiestBusy: busiest?.busy ?? null,
      busiestSoftirq: single.length > 0 ? Math.max(...single.map((one) => one.softirq)) : null,
      perCpu: single.map(({ name, busy, softirq, steal }) => ({ cpu: Number(name.slice(3)), busy, softirq, steal })),
      load1: Number(load1 ?? 0),
      running: Number(running ?? 0),
    };
    const percent = (share: number): string => `${Math.round(share * 100)}%`;
    const text =
      all && busiest
        ? `CPUs ${percent(all.busy)} busy, CPU ${value.busiestCpu} ${percent(busiest.busy)}`
        : `load ${value.load1}`;
    return known(value, command, text);
  },
};

function sharesOf(before: CpuTimes, after: CpuTimes): { name: string; busy: number; softirq: number; steal: number } {
  const total = after.total - before.total;
  const share = (ticks: number): number => (total > 0 ? +Math.min(1, Math.max(0, ticks / total)).toFixed(4) : 0);
  const idle = after.idle + after.iowait - before.idle - before.iowait;
  const steal = after.steal - before.steal;
  return {
    name: after.name,
    busy: share(total - idle - steal),
    softirq: share(after.softirq - before.softirq),
    steal: share(steal),
  };
}
