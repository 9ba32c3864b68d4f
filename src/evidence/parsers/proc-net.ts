/**
 * Parses /proc/net/snmp and /proc/net/netstat: pairs of lines, names then values. Names are joined as nstat does:
 * `TcpRetransSegs`, `TcpExtListenOverflows`.
 */
export function parseSnmp(text: string): Map<string, number> {
  const counters = new Map<string, number>();
  let names: string[] = [];
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    if (words.length < 2 || !words[0].endsWith(':')) continue;
    if (words[0] === names[0] && /^-?\d+$/.test(words[1])) {
      const group = words[0].slice(0, -1);
      for (let i = 1; i < words.length && i < names.length; i++) setCounter(counters, group + names[i], words[i]);
      names = [];
    } else names = words;
  }
  return counters;
}

/** Parses /proc/net/snmp6: a name and a value a line. */
export function parseSnmp6(text: string): Map<string, number> {
  const counters = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(\w+)\s+(\d+)\s*$/.exec(line);
    if (match) setCounter(counters, match[1], match[2]);
  }
  return counters;
}

function setCounter(counters: Map<string, number>, name: string, text: string): void {
  const value = Number(text);
  if (Number.isFinite(value)) counters.set(name, value);
}

/** What a CPU did with received packets (net/core/net-procfs.c, softnet_seq_show). */
export interface SoftnetCpu {
  cpu: number;
  processed: number;
  /** The CPU's backlog was full (netdev_max_backlog). */
  dropped: number;
  /** The softirq ran out of its budget (netdev_budget) or time with work left. */
  timeSqueeze: number;
}

/** Parses /proc/net/softnet_stat: hexadecimal columns, a line a CPU; since 5.10 the 13th is the CPU's number. */
export function parseSoftnet(text: string): SoftnetCpu[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words.length >= 9 && words.every((word) => /^[0-9a-f]{1,16}$/i.test(word)))
    .map((words, line) => {
      const [processed, dropped, timeSqueeze] = words.map((word) => Number.parseInt(word, 16));
      return { cpu: words.length > 12 ? Number.parseInt(words[12], 16) : line, processed, dropped, timeSqueeze };
    });
}

/**
 * Parses a table of /proc/net/stat (nf_conntrack, arp_cache): names, then a line of hexadecimal values a CPU. Sums over
 * CPUs, but `entries`, which every line repeats.
 */
export function parseNetStat(text: string): Map<string, number> {
  const [head = '', ...lines] = text.trim().split('\n');
  const names = head.trim().split(/\s+/);
  const sums = new Map<string, number>();
  for (const line of lines) {
    line
      .trim()
      .split(/\s+/)
      .forEach((word, i) => {
        const value = Number.parseInt(word, 16);
        if (names[i] === undefined || !Number.isFinite(value)) return;
        sums.set(names[i], names[i] === 'entries' ? value : (sums.get(names[i]) ?? 0) + value);
      });
  }
  return sums;
}

/** Parses `conntrack -S`: `cpu=0 found=0 invalid=0 …` a line; summed over CPUs. */
export function parseConntrackStats(text: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const match of text.matchAll(/(\w+)=(\d+)/g)) {
    if (match[1] !== 'cpu') sums.set(match[1], (sums.get(match[1]) ?? 0) + Number(match[2]));
  }
  return sums;
}
