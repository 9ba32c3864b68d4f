import { chooseClass, chooseQdisc, queueDelta, type ChosenClass } from '../queue-choice.js';
import { holdingQueue } from '../queue-leaf.js';
import { configuredText, queueCommands } from '../queue-commands.js';
import {
  commandPrefix,
  delta,
  deviceParam,
  isDeviceName,
  known,
  numberParam,
  textOfAnswer,
  textParam,
  unknown,
  unnamed,
  where,
  whyNot,
} from '../facts.js';
import { parsePolicers, parseQdiscs, parseQueueText, type Policer, type Queue } from '../parsers/traffic-control.js';
import type { EvidenceCollector, EvidenceParams, EvidencePhase, EvidenceSource, RawEvidence } from '../types.js';
import { rateText, sizeText, timeText } from '../units.js';

const ALL_QDISCS = ['tc', '-j', '-s', '-d', 'qdisc', 'show'];
const ALL_AS_TEXT = ['tc', '-s', '-d', 'qdisc', 'show'];
/** As text: with -j, iproute2 up to 6.1 prints classes of htb as text, and policers without their rate. */
const classesOf = (device: string): string[] => ['tc', '-s', '-d', 'class', 'show', 'dev', device];
const filtersOf = (device: string): string[] => ['tc', '-s', 'filter', 'show', 'dev', device, 'ingress'];
const hasClasses = (queue: Queue): boolean => queue.kind === 'htb' || queue.kind === 'hfsc';
const hasFilters = (queue: Queue): boolean => queue.kind === 'ingress' || queue.kind === 'clsact';

/** Queueing disciplines of a device: what they are set to, and what they did during the run (net/sched). */
export const qdisc: EvidenceCollector = {
  name: 'qdisc',
  describe: "A device's queueing discipline: its limits, its queue, and what it held back or dropped during the run.",
  params: {
    device: 'device',
    handle: 'only this one, e.g. `8001:`; absent: the one that shapes, else the root',
    seconds: 'length of the run, s; with it the offered rate is computed',
  },
  members: {
    device: 'device',
    kind: 'tbf, htb, fq, netem, fq_codel, noqueue …',
    handle: "the queueing discipline's handle",
    parent: '`root` or the class it hangs under',
    shaping: 'it limits a rate or delays packets on purpose',
    mechanism: '`rate`, `delay`, `loss` (netem), `police` or empty',
    rate: 'limit as tc takes it: 700kbit; empty without one',
    rateBits: 'limit, bits/s; null without one',
    burst: 'burst as tc takes it; empty without one',
    burstBytes: 'burst, bytes; null without one',
    limitBytes: 'longest queue, bytes; null when it is not counted in bytes',
    limitPackets: 'longest queue, packets; null when it is not counted in packets',
    latencyMs: 'wait behind a full queue, ms; null when it cannot be computed',
    delayMs: 'delay on purpose (netem), ms; null without',
    jitterMs: 'its variation, ms; null without',
    lossPercent: 'loss on purpose (netem), percent; null without',
    dropsDelta: 'packets it dropped during the run; null when not read before',
    overlimitsDelta: 'times it had to hold a packet back during the run; null when not read before',
    requeuesDelta: 'packets the driver gave back during the run; null when not read before',
    sentBytesDelta: 'bytes it let through during the run; null when not read before',
    sentPacketsDelta: 'packets it let through during the run; null when not read before',
    backlogBytes: 'bytes in the queue at the end',
    backlogPackets: 'packets in the queue at the end',
    backlogMs: 'wait behind that queue at the limit, ms; null without a limit',
    offeredBits: 'what the traffic offered, bits/s; null without `seconds` or counters from before',
    offered: 'the same as text; empty when unknown',
    overload: 'offered divided by the limit; null when either is unknown',
    class: 'the class that limits (htb, hfsc): `1:10`; empty without',
    holdingKind: 'kind of the queue in which packets wait: the one below a shaper, or itself',
    holdingHandle: 'its handle',
    holdingLimit: 'packets it takes; null when it counts bytes',
    holdingDropsDelta: 'packets it dropped during the run; null when not read before',
    tooShort: 'it dropped for want of room although half of the rate was not used',
    lengthenCommand: 'gives it room for more; empty when vdiag does not know how',
    shortenCommand: 'undoes lengthenCommand',
    policerDropsDelta: 'packets that policers on its ingress dropped during the run; null when not read before',
    configured: 'its configuration as tc takes it, to restore it',
    suggested: '`{ rate, burst }` that would let the offered traffic through',
    changeCommand: 'raises the limit to the suggestion; empty when there is none to raise',
    restoreCommand: 'undoes changeCommand and removeCommand',
    removeCommand: 'removes the limit; empty when there is nothing to remove',
  },

  async before(source, netns) {
    const at = { netns, phase: 'before' } as const;
    const { queues: all = [] } = await readQdiscs(source, { netns }, 'before');
    const queues = all.filter((queue) => isDeviceName(queue.device));
    await Promise.all([
      ...devicesOf(queues.filter(hasClasses)).map((device) => source.run(classesOf(device), at)),
      ...devicesOf(queues.filter(hasFilters)).map((device) => source.run(filtersOf(device), at)),
    ]);
  },

  async collect(source, params) {
    const device = deviceParam(params);
    const prefix = await commandPrefix(source, params.netns);
    const command = `${prefix}tc -s qdisc show dev ${device ?? '?'}`;
    if (device === undefined) return unnamed('no device was named', command);
    const { answer, queues } = await readQdiscs(source, params, 'after');
    if (!queues) return unknown(whyNot(answer), command);
    const after = queues.filter((queue) => queue.device === device);
    if (after.length === 0) return unknown(`${device} is not in this network namespace`, command);
    const before = (await readQdiscs(source, params, 'before')).queues;
    const queue = chooseQdisc(
      after,
      before?.filter((one) => one.device === device),
      textParam(params, 'handle'),
    );
    const classes = hasClasses(queue) ? await readClasses(source, params, device, queue) : undefined;
    const policers = after.some(hasFilters) ? await readPolicers(source, params, device) : undefined;
    return describeQueue(queue, before, params, { device, prefix, command, classes, policers, all: after });
  },
};

interface Context {
  device: string;
  /** Words before a command that run it in the device's namespace. */
  prefix: string;
  command: string;
  classes?: ChosenClass;
  /** All of the device. */
  all: readonly Queue[];
  policers?: { after: Policer[]; dropsDelta: number | null };
}

function describeQueue(
  queue: Queue,
  before: Queue[] | undefined,
  params: EvidenceParams,
  context: Context,
): ReturnType<typeof known> {
  const { device, classes, policers } = context;
  const grown = queueDelta(before, queue);
  const limiting = classes?.limiting;
  const policer = policers?.after.find((one) => one.rate !== undefined);
  const policing = policer !== undefined && (policers?.dropsDelta ?? policer.drops) > 0;
  const rate = limiting ? (limiting.ceil ?? limiting.rate) : (queue.rate ?? (policing ? policer.rate : undefined));
  const burst = limiting
    ? (limiting.ceilBurst ?? limiting.burst)
    : (queue.burst ?? (policing ? policer.burst : undefined));
  const mechanism = mechanismOf(queue, rate, policing);
  const offeredBits = offered(queue, grown, numberParam(params, 'seconds'));
  const suggested = suggest(rate, offeredBits);
  const backlogBytes = limiting ? Math.max(limiting.backlogBytes, queue.backlogBytes) : queue.backlogBytes;
  const commands = queueCommands(queue, { device, limiting, policer: policing ? policer : undefined, suggested });
  const configured = configuredText(queue, limiting);
  const overload = offeredBits !== null && rate ? round(offeredBits / rate) : null;
  const value = {
    device,
    kind: queue.kind,
    handle: queue.handle,
    parent: queue.parent,
    shaping: mechanism !== '',
    mechanism,
    rate: rate === undefined ? '' : rateText(rate),
    rateBits: rate ?? null,
    burst: burst === undefined ? '' : sizeText(burst),
    burstBytes: burst ?? null,
    limitBytes: queue.limitBytes ?? null,
    limitPackets: queue.limitPackets ?? null,
    latencyMs: round(queue.latencyMs),
    delayMs: round(queue.delayMs),
    jitterMs: round(queue.jitterMs),
    lossPercent: round(queue.lossPercent),
    ...grown,
    backlogBytes,
    backlogPackets: queue.backlogPackets,
    backlogMs: rate ? round((backlogBytes * 8000) / rate) : null,
    offeredBits,
    offered: offeredBits === null ? '' : `${+(offeredBits / 1e6).toPrecision(2)} Mbit/s`,
    overload,
    class: limiting?.handle ?? '',
    ...holdingQueue(context.all, before, queue, {
      leafClass: classes?.leaf.handle,
      overload,
      prefix: context.prefix,
      device,
    }),
    policerDropsDelta: policers?.dropsDelta ?? null,
    configured,
    suggested,
    ...withPrefix(context.prefix, commands),
  };
  const command = limiting ? context.command.replace('qdisc show', 'class show') : context.command;
  return known(
    value,
    command,
    `${queue.kind} on ${device}: ${textOf(queue, limiting, policing ? policer : undefined)}`,
  );
}

function withPrefix(prefix: string, commands: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(commands).map(([name, line]) => [name, line && `${prefix}${line}`]));
}

function mechanismOf(queue: Queue, rate: number | undefined, policing: boolean): string {
  if (policing && queue.rate === undefined) return 'police';
  if ((queue.delayMs ?? 0) > 0) return 'delay';
  if (rate !== undefined) return 'rate';
  return (queue.lossPercent ?? 0) > 0 ? 'loss' : '';
}

/** `rate 700kbit burst 4kb limit 100kb`, `class 1:10 rate 300kbit ceil 500kbit`, `delay 50ms`. */
function textOf(queue: Queue, limiting: Queue | undefined, policer: Policer | undefined): string {
  if (limiting) return `class ${limiting.handle} ${configuredText(queue, limiting).replace(/^\S+ /, '')}`;
  if (policer)
    return `ingress policer rate ${rateText(policer.rate ?? 0)}${policer.burst ? ` burst ${sizeText(policer.burst)}` : ''}`;
  const words = configuredText(queue).replace(/^\S+ ?/, '');
  if (words !== '') return words;
  const backlog = `${queue.backlogPackets} packets queued`;
  return queue.latencyMs ? `${backlog}, up to ${timeText(queue.latencyMs)}` : `no limit, ${backlog}`;
}

/** What came in: sent, dropped (at the mean size of what was sent) and queued, bits/s. */
function offered(queue: Queue, grown: ReturnType<typeof queueDelta>, seconds: number | undefined): number | null {
  const { sentBytesDelta, sentPacketsDelta, dropsDelta } = grown;
  if (sentBytesDelta === null || dropsDelta === null || !seconds || seconds <= 0) return null;
  const packets = sentPacketsDelta || queue.backlogPackets;
  const meanSize = packets ? (sentPacketsDelta ? sentBytesDelta : queue.backlogBytes) / packets : 0;
  return Math.round(((sentBytesDelta + dropsDelta * meanSize + queue.backlogBytes) * 8) / seconds);
}

/** Twice what is offered, and well above the present limit (TCP adapts to it), rounded up to 1, 2 or 5. */
function suggest(rate: number | undefined, offeredBits: number | null): { rate: string; burst: string } {
  if (rate === undefined) return { rate: '', burst: '' };
  const wanted = Math.min(Math.max(2 * (offeredBits ?? 0), 10 * rate), 1e11);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const nice = (([1, 2, 5, 10].find((step) => step * power >= wanted) ?? 10) as number) * power;
  // A bucket must hold what comes in one timer tick (4 ms at HZ=250).
  let burst = 32 << 10;
  while (burst < nice / 8 / 250 && burst < 1 << 24) burst *= 2;
  return { rate: rateText(nice), burst: sizeText(burst) };
}

async function readQdiscs(
  source: EvidenceSource,
  params: EvidenceParams,
  phase: EvidencePhase,
): Promise<{ answer: RawEvidence; queues?: Queue[] }> {
  const answer = await source.run(ALL_QDISCS, where(params, phase));
  if (answer.status !== 'ok') return { answer };
  const queues = parseQdiscs(answer.text);
  if (queues) return { answer, queues };
  const text = await source.run(ALL_AS_TEXT, where(params, phase));
  return text.status === 'ok' ? { answer: text, queues: parseQueueText(text.text) } : { answer: text };
}

async function readClasses(
  source: EvidenceSource,
  params: EvidenceParams,
  device: string,
  queue: Queue,
): Promise<ChosenClass | undefined> {
  const after = await textAt(source, classesOf(device), params, 'after', parseQueueText);
  const before = await textAt(source, classesOf(device), params, 'before', parseQueueText);
  return after && chooseClass(after, before, queue);
}

async function readPolicers(
  source: EvidenceSource,
  params: EvidenceParams,
  device: string,
): Promise<Context['policers']> {
  const after = await textAt(source, filtersOf(device), params, 'after', parsePolicers);
  const before = await textAt(source, filtersOf(device), params, 'before', parsePolicers);
  const sum = (list: Policer[] | undefined): number | undefined => list?.reduce((drops, one) => drops + one.drops, 0);
  return after && { after, dropsDelta: delta(sum(before), sum(after)) };
}

async function textAt<T>(
  source: EvidenceSource,
  argv: string[],
  params: EvidenceParams,
  phase: EvidencePhase,
  parse: (text: string) => T,
): Promise<T | undefined> {
  const text = textOfAnswer(await source.run(argv, where(params, phase)));
  return text === undefined ? undefined : parse(text);
}

function devicesOf(queues: Queue[]): string[] {
  return [...new Set(queues.map((queue) => queue.device))];
}

function round(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : +value.toFixed(3);
}
