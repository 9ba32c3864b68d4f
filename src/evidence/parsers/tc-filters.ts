import { parseRate } from '../units.js';

/** One action of a filter, with its counters. */
export interface FilterAction {
  /** `gact`, `police`, `mirred`, `pedit` … */
  kind: string;
  /** What stands after the kind: `action drop`, `(Egress Redirect to device eth0) stolen`. */
  text: string;
  packets: number;
  drops: number;
  overlimits: number;
}

/** A filter as `tc -s filter show dev X ingress` prints it. */
export interface TcFilter {
  protocol: string;
  pref: number;
  /** `flower`, `matchall`, `u32`, `bpf` … */
  classifier: string;
  chain: number;
  /** `0x1`, of u32 `800::800`; empty when it is not printed. */
  handle: string;
  /** What it matches, in tc's own words: `ip_proto udp`, `dst_port 53`. */
  keys: string[];
  /** bpf: its program; empty for others. */
  program: string;
  actions: FilterAction[];
}

const NO_KEYS =
  /^(not_in_hw|in_hw|skip_hw|skip_sw|used_hw_stats|hw_stats|eth_type|installed|index|random|Action|backlog)/;

/**
 * Parses the text: with -j, iproute2 up to 6.1 leaves out what policers and u32 are set to. A filter's first line without a
 * handle is that of its priority, and no filter.
 */
export function parseTcFilters(text: string): TcFilter[] {
  const filters: TcFilter[] = [];
  for (const line of text.split('\n')) {
    const head = /^filter (?:parent \S+ )?(?:block \d+ )?protocol (\S+) pref (\d+) (\S+)(.*)$/.exec(line);
    if (head) {
      const filter = headOf(head.slice(1));
      const known = filters.at(-1);
      // Without a handle: the head of a priority, whose filters follow.
      if (known?.handle === '' && known.pref === filter.pref) filters.pop();
      filters.push(filter);
      continue;
    }
    const filter = filters.at(-1);
    if (filter) readLine(filter, line);
  }
  return filters.filter(({ handle, actions, program }) => handle !== '' || actions.length > 0 || program !== '');
}

function headOf([protocol, pref, classifier, rest]: string[]): TcFilter {
  const word = (name: string): string => new RegExp(`(?:^| )${name} (\\S+)`).exec(rest)?.[1] ?? '';
  const program = classifier === 'bpf' ? (/ (\S+:\[[^\]]*\]|\S+) direct-action/.exec(rest)?.[1] ?? word('name')) : '';
  return {
    protocol,
    pref: Number(pref),
    classifier,
    chain: Number(word('chain')) || 0,
    handle: word('handle') || word('fh').replace(/^(\w+):$/, ''),
    keys: [],
    program,
    actions: [],
  };
}

function readLine(filter: TcFilter, line: string): void {
  const action = /^\s*action order \d+:\s+(\S+)\s*(.*)$/.exec(line);
  if (action) {
    filter.actions.push({ kind: action[1], text: action[2].trim(), packets: 0, drops: 0, overlimits: 0 });
    return;
  }
  const last = filter.actions.at(-1);
  const sent = /Sent \d+ bytes (\d+) pkts? \(dropped (\d+), overlimits (\d+)/.exec(line);
  if (sent && last) [last.packets, last.drops, last.overlimits] = sent.slice(1, 4).map(Number);
  // A policer's index stands before its rate: `police 0x1 rate …`; old versions print it without "action order".
  const police = /^\s*police (0x\w+ .*)$/.exec(line);
  if (police && !last) {
    filter.actions.push({ kind: 'police', text: police[1].trim(), packets: 0, drops: 0, overlimits: 0 });
  }
  const key = line.trim();
  if (!last && /^ {2}\S/.test(line) && !NO_KEYS.test(key)) filter.keys.push(key.replace(/ \(success \d+ \)$/, ''));
}

/** What a filter does in the end. `pass`: it lets packets go on. */
export type Verdict = 'drop' | 'police' | 'redirect' | 'bpf' | 'pass';

export function verdictOf(filter: TcFilter): { verdict: Verdict; action?: FilterAction } {
  for (const action of filter.actions) {
    if (action.kind === 'gact' && /action drop/.test(action.text)) return { verdict: 'drop', action };
    if (action.kind === 'police') return { verdict: 'police', action };
    if (action.kind === 'mirred') return { verdict: 'redirect', action };
  }
  return { verdict: filter.program === '' ? 'pass' : 'bpf' };
}

/** Where a mirred action sends packets: `(Egress Redirect to device eth0)`. */
export function redirectOf({ text }: FilterAction): { hook: string; redirect: boolean; device: string } | undefined {
  const match = /\((Ingress|Egress) (Redirect|Mirror) to device (\S+)\)/i.exec(text);
  return match
    ? { hook: match[1].toLowerCase(), redirect: match[2].toLowerCase() === 'redirect', device: match[3] }
    : undefined;
}

/** Limits of a policer: `0x1 rate 200Kbit burst 5Kb mtu 2Kb action drop`. Rate in bits/s. */
export function policeOf({ text }: FilterAction): { rate?: number; burst: string } {
  return { rate: parseRate(/rate (\S+)/.exec(text)?.[1] ?? ''), burst: /burst (\S+)/.exec(text)?.[1] ?? '' };
}
