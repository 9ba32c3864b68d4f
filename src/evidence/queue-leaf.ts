import { queueDelta } from './queue-choice.js';
import type { Queue } from './parsers/traffic-control.js';
import { rateText, sizeText } from './units.js';
import { shellWord } from './shell-words.js';

/** The queue below a shaper in which its packets really wait, and whether that is too short. */
export interface HoldingQueue {
  holdingKind: string;
  holdingHandle: string;
  /** Packets that it takes; null when it counts bytes. */
  holdingLimit: number | null;
  holdingDropsDelta: number | null;
  tooShort: boolean;
  lengthenCommand: string;
  shortenCommand: string;
}

/** A queue of fewer packets, or bytes, than this holds no more than one burst of an ordinary sender. */
const SHORT_PACKETS = 64;
const SHORT_BYTES = 32 << 10;
/** Below this share of the rate, a longer queue would have emptied again. */
const UNUSED_RATE = 0.5;
/** What is set instead: the kernel's own defaults (pfifo: txqueuelen, fq_codel: 10240). */
const USUAL_LIMIT: Record<string, number> = { fq_codel: 10_240, fq: 10_000, sfq: 127 };

/**
 * Looks for the queue that hangs below a shaping one: its own, or that of its class.
 * @param overload what was offered, divided by the rate; null when either is unknown
 * @param place words before and after the device: the namespace's prefix
 */
export function holdingQueue(
  queues: readonly Queue[],
  before: readonly Queue[] | undefined,
  queue: Queue,
  options: { leafClass?: string; overload: number | null; prefix: string; device: string },
): HoldingQueue {
  const below = (one: Queue): boolean =>
    options.leafClass === undefined
      ? one !== queue && one.parent.split(':')[0] === queue.handle.split(':')[0] && one.parent !== 'root'
      : one.parent === options.leafClass;
  const holding = queues.find(below) ?? queue;
  const drops = queueDelta(before, holding).dropsDelta;
  const room = holding.limitBytes === undefined ? undefined : holding.limitBytes - (holding.burst ?? 0);
  const small =
    holding.limitPackets === undefined
      ? room !== undefined && room < SHORT_BYTES
      : holding.limitPackets < SHORT_PACKETS;
  const unused = options.overload !== null && options.overload < UNUSED_RATE;
  return {
    holdingKind: holding.kind,
    holdingHandle: holding.handle,
    holdingLimit: holding.limitPackets ?? null,
    holdingDropsDelta: drops,
    tooShort: small && unused && (drops ?? 0) > 0,
    ...lengthCommands(holding, options),
  };
}

function lengthCommands(
  queue: Queue,
  { prefix, device }: { prefix: string; device: string },
): Pick<HoldingQueue, 'lengthenCommand' | 'shortenCommand'> {
  const place = queue.parent === 'root' ? 'root' : `parent ${queue.parent}`;
  const at = `${prefix}tc qdisc change dev ${shellWord(device)} ${place} handle ${queue.handle} ${queue.kind}`;
  if (queue.limitPackets !== undefined) {
    return {
      lengthenCommand: `${at} limit ${USUAL_LIMIT[queue.kind] ?? 1000}`,
      shortenCommand: `${at} limit ${queue.limitPackets}`,
    };
  }
  if (queue.kind !== 'tbf' || queue.rate === undefined || queue.limitBytes === undefined) {
    return { lengthenCommand: '', shortenCommand: '' };
  }
  const bucket = `${at} rate ${rateText(queue.rate)} burst ${sizeText(queue.burst ?? 0)}`;
  return {
    lengthenCommand: `${bucket} latency 100ms`,
    shortenCommand: `${bucket} limit ${sizeText(queue.limitBytes)}`,
  };
}
