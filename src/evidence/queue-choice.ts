import { delta } from './facts.js';
import type { Queue } from './parsers/traffic-control.js';

/** How the counters of a queue grew; null when it was not read before. */
export interface QueueDelta {
  dropsDelta: number | null;
  overlimitsDelta: number | null;
  requeuesDelta: number | null;
  sentBytesDelta: number | null;
  sentPacketsDelta: number | null;
}

/** Compares a queue with the same one (device, handle, parent, kind) in an earlier answer. */
export function queueDelta(before: readonly Queue[] | undefined, after: Queue): QueueDelta {
  const was = before?.find(
    (one) =>
      one.device === after.device &&
      one.handle === after.handle &&
      one.parent === after.parent &&
      one.kind === after.kind,
  );
  // A queue that was set up during the run began at zero.
  const old = was ?? (before && { drops: 0, overlimits: 0, requeues: 0, bytes: 0, packets: 0 });
  return {
    dropsDelta: delta(old?.drops, after.drops),
    overlimitsDelta: delta(old?.overlimits, after.overlimits),
    requeuesDelta: delta(old?.requeues, after.requeues),
    sentBytesDelta: delta(old?.bytes, after.bytes),
    sentPacketsDelta: delta(old?.packets, after.packets),
  };
}

/** How much a queue held back: what tells the culprit from its neighbours. */
function trouble(before: readonly Queue[] | undefined, queue: Queue): number {
  const { dropsDelta, overlimitsDelta } = queueDelta(before, queue);
  return (dropsDelta ?? 0) * 1000 + (overlimitsDelta ?? 0) + queue.backlogPackets * 10;
}

/** Whether it limits or delays by its configuration, whatever the traffic. */
function shapes(queue: Queue): boolean {
  return (
    queue.rate !== undefined ||
    (queue.delayMs ?? 0) > 0 ||
    (queue.lossPercent ?? 0) > 0 ||
    ['htb', 'hfsc'].includes(queue.kind)
  );
}

/** The one asked for, else the shaping one with most trouble, else the root one. `queues` must not be empty. */
export function chooseQdisc(
  queues: readonly Queue[],
  before: readonly Queue[] | undefined,
  handle: string | undefined,
): Queue {
  const asked =
    handle === undefined
      ? undefined
      : queues.find((queue) => queue.handle.replace(/:$/, '') === handle.replace(/:$/, ''));
  if (asked) return asked;
  const shaping = queues.filter(shapes).sort((a, b) => trouble(before, b) - trouble(before, a));
  return shaping[0] ?? queues.find((queue) => queue.parent === 'root') ?? queues[0];
}

export interface ChosenClass {
  /** The leaf with most trouble. */
  leaf: Queue;
  /** The class between it and the root that lets least through: the one to change. */
  limiting: Queue;
}

/** Finds the class of an htb or hfsc that holds packets back; undefined when it has none with a limit. */
export function chooseClass(
  classes: readonly Queue[],
  before: readonly Queue[] | undefined,
  qdisc: Queue,
): ChosenClass | undefined {
  const major = qdisc.handle;
  const own = classes.filter((one) => one.handle.startsWith(major) && limitOf(one) !== undefined);
  const parents = new Set(own.map((one) => one.parent));
  const leaves = own.filter((one) => !parents.has(one.handle));
  const defaultHandle = qdisc.defaultClass === undefined ? '' : `${major}${qdisc.defaultClass.toString(16)}`;
  const score = (one: Queue): number => trouble(before, one) + (one.handle === defaultHandle ? 0.5 : 0);
  const leaf = leaves.sort((a, b) => score(b) - score(a))[0];
  if (!leaf) return undefined;
  let limiting = leaf;
  let current: Queue | undefined = leaf;
  for (let depth = 0; current && depth < 8; depth++) {
    if (limitOf(current)! < limitOf(limiting)!) limiting = current;
    const parent: string = current.parent;
    current = own.find((one) => one.handle === parent);
  }
  return { leaf, limiting };
}

function limitOf(queue: Queue): number | undefined {
  return queue.ceil ?? queue.rate;
}
