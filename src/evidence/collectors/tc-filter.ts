import {
  commandPrefix,
  delta,
  deviceParam,
  isDeviceName,
  known,
  textParam,
  unknown,
  unnamed,
  where,
  whyNot,
} from '../facts.js';
import { parseQdiscs, parseQueueText } from '../parsers/traffic-control.js';
import {
  parseTcFilters,
  policeOf,
  redirectOf,
  verdictOf,
  type FilterAction,
  type TcFilter,
  type Verdict,
} from '../parsers/tc-filters.js';
import { shellWord } from '../shell-words.js';
import type { EvidenceCollector, EvidenceParams, EvidencePhase, EvidenceSource, RawEvidence } from '../types.js';
import { rateText } from '../units.js';

const HOOKS = ['ingress', 'egress'] as const;
type Hook = (typeof HOOKS)[number];

const ALL_QDISCS = ['tc', '-j', '-s', '-d', 'qdisc', 'show'];
const ALL_AS_TEXT = ['tc', '-s', '-d', 'qdisc', 'show'];
const filtersOf = (device: string, hook: Hook): string[] => ['tc', '-s', 'filter', 'show', 'dev', device, hook];
/** Steps of redirections that are followed to find a circle; the kernel itself gives up after four. */
const MOST_STEPS = 8;

/** Filters at a device's ingress and egress hooks (net/sched/cls_api.c): which of them dropped. */
export const tcFilter: EvidenceCollector = {
  name: 'tc-filter',
  describe: 'The traffic control filter of a device (clsact, ingress) that dropped packets during the run.',
  params: { device: 'device', hook: '`ingress` or `egress`; absent: both' },
  members: {
    found: 'a filter of the device dropped packets during the run',
    device: 'device',
    hook: '`ingress` (what the device receives) or `egress`',
    verdict: '`drop`, `police` (a rate limit), `redirect` (mirred) or `bpf`; empty when none dropped',
    pref: "the filter's priority",
    protocol: 'protocol that it looks at: `ip`, `ipv6`, `all` …',
    chain: 'its chain',
    handle: 'its handle: `0x1`',
    classifier: 'flower, matchall, u32, bpf …',
    match: 'what it matches, as tc takes it: `ip_proto udp dst_port 53`; empty for everything',
    droppedDelta: 'packets it dropped during the run; null when not read before',
    hitsDelta: 'packets its action saw during the run; null when not read before',
    rate: 'policer: its limit as tc takes it; empty for others',
    burst: 'policer: its burst; empty for others',
    to: 'mirred: device that it sends to; empty for others',
    toHook: 'mirred: `ingress` or `egress` of that device; empty for others',
    loop: 'its redirection leads back to itself',
    program: 'bpf: its program; empty for others',
    filters: 'number of filters at the hooks that were looked at',
    removeCommand: 'removes the filter; empty without one',
    restoreCommand: 'puts it back; empty when vdiag cannot write it down completely',
  },

  async before(source, netns) {
    const at = { netns, phase: 'before' } as const;
    const devices = await devicesWithFilters(source, { netns }, 'before');
    await Promise.all(devices.flatMap((device) => HOOKS.map((hook) => source.run(filtersOf(device, hook), at))));
  },

  async collect(source, params) {
    const device = deviceParam(params);
    const prefix = await commandPrefix(source, params.netns);
    const asked = HOOKS.find((hook) => hook === textParam(params, 'hook'));
    const command = `${prefix}tc -s filter show dev ${device ?? '?'} ${asked ?? 'ingress'}`;
    if (device === undefined) return unnamed('no device was named', command);
    const seen: Seen[] = [];
    for (const hook of asked ? [asked] : HOOKS) {
      const { answer, filters } = await readFilters(source, params, device, hook, 'after');
      if (!filters) return unknown(whyNot(answer), command);
      const before = await readFilters(source, params, device, hook, 'before');
      seen.push(...filters.map((filter) => grown(filter, hook, before.filters)));
    }
    const worst = seen.filter(({ drops }) => drops !== 0).sort((a, b) => (b.drops ?? 0) - (a.drops ?? 0))[0];
    if (!worst) {
      const text = seen.length > 0 ? `no filter of ${device} dropped anything` : `${device} has no filters`;
      return known({ ...NONE, device, filters: seen.length }, command, text);
    }
    const value = {
      ...valueOf(worst, device, prefix),
      loop: await leadsBack(source, params, device, worst),
      filters: seen.length,
    };
    return known(value, command.replace(/\S+$/, worst.hook), textOf(value));
  },
};

const NONE = {
  found: false,
  device: '',
  hook: '',
  verdict: '' as Verdict | '',
  pref: 0,
  protocol: '',
  chain: 0,
  handle: '',
  classifier: '',
  match: '',
  droppedDelta: null as number | null,
  hitsDelta: null as number | null,
  rate: '',
  burst: '',
  to: '',
  toHook: '',
  loop: false,
  program: '',
  filters: 0,
  removeCommand: '',
  restoreCommand: '',
};

interface Seen {
  filter: TcFilter;
  hook: Hook;
  verdict: Verdict;
  action?: FilterAction;
  /** null when not read before. */
  drops: number | null;
  hits: number | null;
}

/** What a filter did during the run; one that is new since began at zero. */
function grown(filter: TcFilter, hook: Hook, before: TcFilter[] | undefined): Seen {
  const { verdict, action } = verdictOf(filter);
  const old = before?.find(
    (one) => one.pref === filter.pref && one.handle === filter.handle && one.chain === filter.chain,
  );
  const was = old ? verdictOf(old).action : before && { drops: 0, overlimits: 0, packets: 0 };
  // A redirection that the kernel breaks off counts as overlimit, and in some versions as drop too (act_mirred.c).
  const lost = (one: { drops: number; overlimits: number } | undefined): number | undefined =>
    one && (verdict === 'redirect' ? Math.max(one.drops, one.overlimits) : one.drops);
  return {
    filter,
    hook,
    verdict,
    action,
    drops: action ? delta(lost(was), lost(action)) : 0,
    hits: action ? delta(was?.packets, action.packets) : 0,
  };
}

function valueOf({ filter, hook, verdict, action, drops, hits }: Seen, device: string, prefix: string): typeof NONE {
  const police = verdict === 'police' && action ? policeOf(action) : undefined;
  const sent = verdict === 'redirect' && action ? redirectOf(action) : undefined;
  const at = `dev ${shellWord(device)} ${hook} protocol ${shellWord(filter.protocol)} pref ${filter.pref}`;
  const chain = filter.chain === 0 ? '' : ` chain ${filter.chain}`;
  const which = filter.handle === '' ? '' : ` handle ${shellWord(filter.handle)} ${filter.classifier}`;
  const restored = restoredWords(filter);
  return {
    ...NONE,
    found: true,
    device,
    hook,
    verdict,
    pref: filter.pref,
    protocol: filter.protocol,
    chain: filter.chain,
    handle: filter.handle,
    classifier: filter.classifier,
    match: filter.keys.join(' '),
    droppedDelta: drops,
    hitsDelta: hits,
    rate: police?.rate === undefined ? '' : rateText(police.rate),
    burst: police?.burst ?? '',
    to: sent?.device ?? '',
    toHook: sent?.hook ?? '',
    program: filter.program,
    removeCommand: `${prefix}tc filter del ${at}${chain}${which}`,
    restoreCommand: restored ? `${prefix}tc filter add ${at}${chain}${which} ${restored}` : '',
  };
}

/** Match and action as tc takes them; undefined where they cannot be told from what tc prints. */
function restoredWords(filter: TcFilter): string | undefined {
  const [action, ...more] = filter.actions;
  if (!action || more.length > 0 || filter.handle === '') return undefined;
  if (filter.classifier !== 'matchall' && filter.classifier !== 'flower') return undefined;
  const keys = filter.keys.flatMap((key) => key.split(/\s+/).map(shellWord));
  const words = actionWords(action);
  return words && [...keys, 'action', words].join(' ');
}

function actionWords(action: FilterAction): string | undefined {
  if (action.kind === 'gact') return /^action drop\b/.test(action.text) ? 'drop' : undefined;
  if (action.kind === 'police') {
    const { rate, burst } = policeOf(action);
    return rate === undefined
      ? undefined
      : `police rate ${rateText(rate)} burst ${shellWord(burst)} conform-exceed drop`;
  }
  const sent = redirectOf(action);
  return sent && `mirred ${sent.hook} ${sent.redirect ? 'redirect' : 'mirror'} dev ${shellWord(sent.device)}`;
}

/** Whether what this filter redirects comes by it again, as far as filters of this namespace can be read. */
async function leadsBack(source: EvidenceSource, params: EvidenceParams, device: string, from: Seen): Promise<boolean> {
  let at = from.action && redirectOf(from.action);
  for (let step = 0; at && step < MOST_STEPS; step++) {
    if (at.device === device && at.hook === from.hook) return true;
    if (!isDeviceName(at.device)) return false;
    const { filters = [] } = await readFilters(source, params, at.device, at.hook as Hook, 'after');
    const next = filters.map(verdictOf).find(({ verdict }) => verdict === 'redirect');
    at = next?.action && redirectOf(next.action);
  }
  return false;
}

function textOf(value: typeof NONE): string {
  const what = {
    drop: 'drop',
    police: `police rate ${value.rate} burst ${value.burst}`,
    redirect: `redirect to ${value.toHook} of ${value.to}${value.loop ? ', in a circle' : ''}`,
    bpf: `program ${value.program}`,
    pass: 'pass',
    '': '',
  }[value.verdict];
  const match = value.match === '' ? '' : ` ${value.match}`;
  const count = value.droppedDelta === null ? '' : `: ${value.droppedDelta} packets dropped`;
  return `filter at ${value.hook} of ${value.device}, pref ${value.pref}: ${value.classifier}${match} → ${what}${count}`;
}

async function readFilters(
  source: EvidenceSource,
  params: EvidenceParams,
  device: string,
  hook: Hook,
  phase: EvidencePhase,
): Promise<{ answer: RawEvidence; filters?: TcFilter[] }> {
  const answer = await source.run(filtersOf(device, hook), where(params, phase));
  return answer.status === 'ok' ? { answer, filters: parseTcFilters(answer.text) } : { answer };
}

/** Only a device with one of these queueing disciplines has hooks with filters. */
async function devicesWithFilters(
  source: EvidenceSource,
  params: EvidenceParams,
  phase: EvidencePhase,
): Promise<string[]> {
  const answer = await source.run(ALL_QDISCS, where(params, phase));
  if (answer.status !== 'ok') return [];
  let queues = parseQdiscs(answer.text);
  if (!queues) {
    const text = await source.run(ALL_AS_TEXT, where(params, phase));
    queues = text.status === 'ok' ? parseQueueText(text.text) : [];
  }
  const hooked = queues.filter(({ kind, device }) => ['clsact', 'ingress'].includes(kind) && isDeviceName(device));
  return [...new Set(hooked.map(({ device }) => device))];
}
