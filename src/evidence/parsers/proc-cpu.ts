/** A row of /proc/interrupts or /proc/softirqs: how often it happened on each CPU. */
export interface InterruptRow {
  /** `38`, `LOC`, `NET_RX`. */
  name: string;
  /** Chip, trigger and devices: `PCI-MSIX-0000:00:03.0 1-edge virtio2-input.0`; empty for softirqs. */
  device: string;
  perCpu: number[];
}

/** Parses /proc/interrupts and /proc/softirqs: a head of CPUs, then a row a source. */
export function parseInterrupts(text: string): InterruptRow[] {
  const [head = '', ...lines] = text.split('\n');
  const cpus = (head.match(/CPU\d+/g) ?? []).length;
  return lines.flatMap((line) => {
    const match = /^\s*([\w-]+):\s*(.*)$/.exec(line);
    if (!match) return [];
    const words = match[2].split(/\s+/);
    const perCpu: number[] = [];
    while (perCpu.length < cpus && /^\d+$/.test(words[perCpu.length] ?? '')) perCpu.push(Number(words[perCpu.length]));
    return perCpu.length === 0 ? [] : [{ name: match[1], device: words.slice(perCpu.length).join(' ').trim(), perCpu }];
  });
}

/** How a row's counts grew per CPU; undefined when it was not there before. */
export function interruptDelta(before: readonly InterruptRow[], after: InterruptRow): number[] | undefined {
  const was = before.find((row) => row.name === after.name && row.device === after.device);
  return was && after.perCpu.map((count, cpu) => Math.max(0, count - (was.perCpu[cpu] ?? 0)));
}

/** Times of a CPU since the start, in ticks of 10 ms (USER_HZ), of /proc/stat. */
export interface CpuTimes {
  /** `cpu` for all of them, `cpu0` … */
  name: string;
  user: number;
  system: number;
  idle: number;
  iowait: number;
  irq: number;
  softirq: number;
  steal: number;
  total: number;
}

/** Parses the `cpu` lines of /proc/stat. Guest time is already in user time (kernel/sched/cputime.c). */
export function parseCpuTimes(text: string): CpuTimes[] {
  return text.split('\n').flatMap((line) => {
    const match = /^(cpu\d*)\s+([\d\s]+)$/.exec(line);
    if (!match) return [];
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = match[2]
      .trim()
      .split(/\s+/)
      .map(Number);
    const total = user + nice + system + idle + iowait + irq + softirq + steal;
    return [{ name: match[1], user: user + nice, system, idle, iowait, irq, softirq, steal, total }];
  });
}

/** One line of a pressure file: percent of time over windows, and µs in all (Documentation/accounting/psi.rst). */
export interface Pressure {
  avg10: number;
  avg60: number;
  total: number;
}

/** Parses /proc/pressure/{cpu,memory,io}: `some` tasks waited, `full`: all did. */
export function parsePressure(text: string): { some?: Pressure; full?: Pressure } {
  const result: { some?: Pressure; full?: Pressure } = {};
  for (const match of text.matchAll(/^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=[\d.]+ total=(\d+)/gm)) {
    result[match[1] as 'some' | 'full'] = { avg10: Number(match[2]), avg60: Number(match[3]), total: Number(match[4]) };
  }
  return result;
}
