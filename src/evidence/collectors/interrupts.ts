import { known, textOfAnswer, textParam, unknown } from '../facts.js';
import { interruptDelta, parseInterrupts } from '../parsers/proc-cpu.js';
import type { EvidenceCollector, EvidenceSource } from '../types.js';

/** How often a file of per-CPU counts grew during the run, for the rows whose name or device holds a text. */
async function countPerCpu(
  source: EvidenceSource,
  path: string,
  pick: (name: string, device: string) => boolean,
  what: string,
) {
  const command = `cat ${path}`;
  const [answer, beforeAnswer] = await Promise.all([
    source.read(path, { phase: 'after' }),
    source.read(path, { phase: 'before' }),
  ]);
  if (answer.status !== 'ok') return unknown(answer.why, command);
  const earlier = textOfAnswer(beforeAnswer);
  if (earlier === undefined) return unknown(beforeAnswer.status === 'ok' ? '' : beforeAnswer.why, command);
  const before = parseInterrupts(earlier);
  const rows = parseInterrupts(answer.text).flatMap((row) => {
    const perCpu = interruptDelta(before, row);
    return perCpu && pick(row.name, row.device) ? [{ ...row, perCpu, total: sum(perCpu) }] : [];
  });
  const cpus = Math.max(0, ...rows.map((row) => row.perCpu.length));
  const perCpu = Array.from({ length: cpus }, (_, cpu) => sum(rows.map((row) => row.perCpu[cpu] ?? 0)));
  const total = sum(perCpu);
  const busiestCpu = perCpu.indexOf(Math.max(0, ...perCpu));
  const sources = rows
    .filter((row) => row.total > 0)
    .sort((a, b) => b.total - a.total)
    .slice(0, 10)
    .map((row) => ({ name: row.name, device: row.device, count: row.total }));
  const value = {
    total,
    perCpu,
    busiestCpu: Math.max(0, busiestCpu),
    busiestShare: total === 0 ? 0 : +((perCpu[busiestCpu] ?? 0) / total).toFixed(3),
    sources,
  };
  return known(
    value,
    command,
    `${total} ${what}, ${Math.round(value.busiestShare * 100)}% of them on CPU ${value.busiestCpu}`,
  );
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

const MEMBERS = {
  total: 'how many there were during the run',
  perCpu: 'how many on each CPU',
  busiestCpu: 'CPU with most of them',
  busiestShare: 'its share, 0..1',
  sources: 'the ten busiest: `{ name, device, count }`',
};

/** Hardware interrupts during the run (/proc/interrupts, kernel/irq/proc.c). */
export const interrupts: EvidenceCollector = {
  name: 'interrupts',
  describe: 'Hardware interrupts during the run, and whether one CPU takes them all.',
  params: { device: 'only those of drivers or queues whose name holds this text, e.g. `virtio2`; absent: all devices' },
  members: MEMBERS,
  async before(source) {
    await source.read('/proc/interrupts', { phase: 'before' });
  },
  collect(source, params) {
    const device = textParam(params, 'device');
    // Rows with a name instead of a number (LOC, RES …) are the CPUs' own.
    const pick = (name: string, of: string): boolean =>
      device === undefined ? /^\d+$/.test(name) : of.includes(device);
    return countPerCpu(source, '/proc/interrupts', pick, `interrupts${device === undefined ? '' : ` of ${device}`}`);
  },
};

/** Softirqs during the run (/proc/softirqs, kernel/softirq.c). */
export const softirqs: EvidenceCollector = {
  name: 'softirqs',
  describe: 'Softirqs of one kind during the run, and whether one CPU does them all.',
  params: { name: 'NET_RX (default), NET_TX, TIMER, SCHED …' },
  members: MEMBERS,
  async before(source) {
    await source.read('/proc/softirqs', { phase: 'before' });
  },
  collect(source, params) {
    const wanted = textParam(params, 'name') ?? 'NET_RX';
    return countPerCpu(source, '/proc/softirqs', (name) => name === wanted, `${wanted} softirqs`);
  },
};
