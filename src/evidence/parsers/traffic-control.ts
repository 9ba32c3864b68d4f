import { isObject, numberIn, objectIn, parseObjects, stringIn } from '../facts.js';
import { parseRate, parseSize, parseTime } from '../units.js';

/** Counters and gauges that every queueing discipline and class keeps (struct gnet_stats_basic, gnet_stats_queue). */
export interface QueueStats {
  bytes: number;
  packets: number;
  drops: number;
  overlimits: number;
  requeues: number;
  backlogBytes: number;
  backlogPackets: number;
}

/** What of a configuration matters to a packet: bits/s, bytes, packets, ms, percent. */
export interface QueueLimits {
  rate?: number;
  ceil?: number;
  burst?: number;
  ceilBurst?: number;
  limitBytes?: number;
  limitPackets?: number;
  latencyMs?: number;
  delayMs?: number;
  jitterMs?: number;
  lossPercent?: number;
}

/** A queueing discipline, a class of one, or a policer. */
export interface Queue extends QueueStats, QueueLimits {
  what: 'qdisc' | 'class';
  kind: string;
  /** `8001:`, or `1:10` for a class. */
  handle: string;
  /** `root`, `1:10`, `ffff:fff1`. */
  parent: string;
  /** Empty in the answer about one device. */
  device: string;
  /** Number of the default class (htb). */
  defaultClass?: number;
}

/** A rate limit on a filter: `tc filter … action police`. */
export interface Policer {
  rate?: number;
  burst?: number;
  /** The filter's priority, to name it again. */
  prio?: number;
  protocol?: string;
  packets: number;
  drops: number;
  overlimits: number;
}

/**
 * Parses `tc -j -s -d qdisc show`; undefined when it is no JSON: of hfsc and some others tc prints text amidst the JSON,
 * and old versions print nothing else. Then the text is to be asked for ({@link parseQueueText}).
 */
export function parseQdiscs(text: string): Queue[] | undefined {
  return parseObjects(text)?.flatMap(queueOfObject);
}

function queueOfObject(object: Record<string, unknown>): Queue[] {
  const kind = stringIn(object, 'kind');
  if (kind === undefined) return [];
  const options = objectIn(object, 'options');
  const count = (name: string): number => numberIn(object, name) ?? 0;
  return [
    {
      what: 'qdisc',
      kind,
      handle: stringIn(object, 'handle') ?? '',
      parent: object.root === true ? 'root' : (stringIn(object, 'parent') ?? ''),
      device: stringIn(object, 'dev') ?? '',
      bytes: count('bytes'),
      packets: count('packets'),
      drops: count('drops'),
      overlimits: count('overlimits'),
      requeues: count('requeues'),
      backlogBytes: count('backlog'),
      backlogPackets: count('qlen'),
      ...limitsOfOptions(kind, options),
    },
  ];
}

/** Options of `tc -j`: rates are bytes/s, `lat` µs, sizes text as in tc's own output, netem's times s and shares 0..1. */
function limitsOfOptions(kind: string, options: Record<string, unknown>): Partial<Queue> {
  const rateOf = (name: string): number | undefined => {
    const value = options[name];
    const bytes = isObject(value) ? numberIn(value, 'rate') : value;
    return typeof bytes === 'number' ? bytes * 8 : typeof bytes === 'string' ? parseRate(bytes) : undefined;
  };
  const sizeOf = (name: string): number | undefined => {
    const value = options[name];
    return typeof value === 'number' ? value : typeof value === 'string' ? parseSize(value) : undefined;
  };
  const limits: Partial<Queue> = {};
  const rate = rateOf('rate') ?? rateOf('maxrate') ?? rateOf('bandwidth');
  if (rate !== undefined && rate > 0) limits.rate = rate;
  if (sizeOf('burst') !== undefined) limits.burst = sizeOf('burst');
  if (kind === 'tbf') completeBucket(limits, sizeOf('limit'), milliseconds(options.lat, 1e-3));
  else if (sizeOf('limit') !== undefined) limits[kind === 'bfifo' ? 'limitBytes' : 'limitPackets'] = sizeOf('limit');
  if (kind === 'netem') {
    const delay = isObject(options.delay) ? options.delay : {};
    limits.delayMs = milliseconds(delay.delay, 1000);
    limits.jitterMs = milliseconds(delay.jitter, 1000);
    const loss = numberIn(objectIn(options, 'loss-random'), 'loss');
    if (loss !== undefined) limits.lossPercent = loss * 100;
  }
  const defaultClass = stringIn(options, 'default');
  if (defaultClass !== undefined) limits.defaultClass = Number(defaultClass);
  return limits;
}

function milliseconds(value: unknown, factor: number): number | undefined {
  return typeof value === 'number' ? value * factor : typeof value === 'string' ? parseTime(value) : undefined;
}

/** tbf prints either its limit or the longest wait it means: the other is computed as tc does (tc/q_tbf.c). */
function completeBucket(limits: Partial<Queue>, limit: number | undefined, latency: number | undefined): void {
  const { rate, burst = 0 } = limits;
  limits.limitBytes = limit;
  limits.latencyMs = latency;
  if (rate === undefined || rate <= 0) return;
  if (limit === undefined && latency !== undefined)
    limits.limitBytes = Math.round((rate / 8) * (latency / 1000) + burst);
  if (latency === undefined && limit !== undefined) limits.latencyMs = Math.max(0, ((limit - burst) * 8000) / rate);
}

/**
 * Parses what `tc -s -d class show dev X` prints (with -j, iproute2 up to 6.1 prints classes as text all the same),
 * and `tc -s -d qdisc show` of versions without JSON.
 */
export function parseQueueText(text: string): Queue[] {
  const queues: Queue[] = [];
  for (const line of text.split('\n')) {
    const head = /^(qdisc|class) (\S+) (\S+)(?: dev (\S+))?(?: (root)| parent (\S+))?(.*)$/.exec(line);
    if (head) {
      const [, what, kind, handle, device = '', root, parent = '', rest] = head;
      queues.push({
        what: what as Queue['what'],
        kind,
        handle,
        parent: root ?? parent,
        device,
        ...emptyStats(),
        ...limitsOfWords(kind, rest.trim().split(/\s+/)),
      });
      continue;
    }
    const queue = queues.at(-1);
    if (queue) readStats(queue, line);
  }
  return queues;
}

function limitsOfWords(kind: string, words: string[]): Partial<Queue> {
  const after = (name: string, from = 0): string => words[words.indexOf(name, from) + 1] ?? '';
  const has = (name: string): boolean => words.includes(name);
  const limits: Partial<Queue> = {};
  const rateName = ['rate', 'maxrate', 'bandwidth'].find(has);
  if (rateName) limits.rate = parseRate(after(rateName));
  if (has('ceil')) limits.ceil = parseRate(after('ceil'));
  // hfsc: the upper limit `ul m1 0bit d 0us m2 2Mbit` is what holds packets back.
  if (kind === 'hfsc' && has('ul')) limits.ceil = parseRate(after('m2', words.indexOf('ul')));
  if (has('burst')) limits.burst = parseSize(after('burst'));
  if (has('cburst')) limits.ceilBurst = parseSize(after('cburst'));
  if (kind === 'tbf') {
    completeBucket(limits, has('limit') ? parseSize(after('limit')) : undefined, parseTime(after('lat')));
  } else if (has('limit')) {
    const limit = Number.parseInt(after('limit'), 10);
    if (Number.isFinite(limit)) limits[kind === 'bfifo' ? 'limitBytes' : 'limitPackets'] = limit;
  }
  if (kind === 'netem') {
    if (has('delay')) {
      limits.delayMs = parseTime(after('delay'));
      limits.jitterMs = parseTime(words[words.indexOf('delay') + 2] ?? '');
    }
    if (has('loss')) limits.lossPercent = Number.parseFloat(after('loss')) || undefined;
  }
  if (has('default')) limits.defaultClass = Number(after('default')) || undefined;
  return limits;
}

const emptyStats = (): QueueStats => ({
  bytes: 0,
  packets: 0,
  drops: 0,
  overlimits: 0,
  requeues: 0,
  backlogBytes: 0,
  backlogPackets: 0,
});

function readStats(queue: QueueStats, line: string): void {
  const sent = /^ ?\s*Sent (\d+) bytes (\d+) pkts? \(dropped (\d+), overlimits (\d+)(?: requeues (\d+))?/.exec(line);
  if (sent) {
    [queue.bytes, queue.packets, queue.drops, queue.overlimits, queue.requeues] = sent
      .slice(1, 6)
      .map((number) => Number(number ?? 0));
  }
  const backlog = /backlog (\d+(?:\.\d+)?[KMG]?)b (\d+)p(?: requeues (\d+))?/.exec(line);
  if (backlog) {
    queue.backlogBytes = parseSize(backlog[1]) ?? 0;
    queue.backlogPackets = Number(backlog[2]);
  }
}

/** Parses the policers in `tc -s filter show dev X ingress`. */
export function parsePolicers(text: string): Policer[] {
  const policers: Policer[] = [];
  let prio: number | undefined;
  let protocol: string | undefined;
  let open = false;
  for (const line of text.split('\n')) {
    const filter = /^filter .*?protocol (\S+) pref (\d+)/.exec(line);
    if (filter) [protocol, prio] = [filter[1], Number(filter[2])];
    const police = /police \S+ rate (\S+) burst (\S+)/.exec(line);
    if (police) {
      const rate = parseRate(police[1]);
      const burst = parseSize(police[2]);
      policers.push({ rate, burst, prio, protocol, packets: 0, drops: 0, overlimits: 0 });
      open = true;
    } else if (/action order \d+:/.test(line)) open = false;
    const sent = /Sent \d+ bytes (\d+) pkts? \(dropped (\d+), overlimits (\d+)/.exec(line);
    const policer = policers.at(-1);
    if (sent && open && policer) [policer.packets, policer.drops, policer.overlimits] = sent.slice(1, 4).map(Number);
  }
  return policers;
}
