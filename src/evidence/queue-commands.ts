import type { Policer, Queue } from './parsers/traffic-control.js';
import { shellWord } from './shell-words.js';
import { rateText, sizeText, timeText } from './units.js';

/** The configuration of a queue (or of its limiting class) as tc takes it: `tbf rate 700kbit burst 4kb limit 100kb`. */
export function configuredText(queue: Queue, limiting?: Queue): string {
  if (limiting) return [limiting.kind, ...classWords(limiting)].join(' ');
  const words = [queue.kind];
  if (queue.kind === 'htb' && queue.defaultClass !== undefined) words.push('default', queue.defaultClass.toString(16));
  if (queue.limitPackets !== undefined && (queue.kind === 'netem' || /fifo$/.test(queue.kind)))
    words.push('limit', String(queue.limitPackets));
  if (queue.kind === 'bfifo' && queue.limitBytes !== undefined) words.push('limit', sizeText(queue.limitBytes));
  if (queue.delayMs)
    words.push('delay', timeText(queue.delayMs), ...(queue.jitterMs ? [timeText(queue.jitterMs)] : []));
  if (queue.lossPercent) words.push('loss', `${+queue.lossPercent.toFixed(3)}%`);
  if (queue.rate !== undefined) words.push(rateWord(queue.kind), rateText(queue.rate));
  if (queue.kind === 'tbf') {
    if (queue.burst !== undefined) words.push('burst', sizeText(queue.burst));
    if (queue.limitBytes !== undefined) words.push('limit', sizeText(queue.limitBytes));
  }
  return words.join(' ');
}

function rateWord(kind: string): string {
  return { fq: 'maxrate', cake: 'bandwidth' }[kind] ?? 'rate';
}

function classWords(one: Queue): string[] {
  if (one.kind === 'hfsc') return ['ul', 'rate', rateText(one.ceil ?? 0)];
  return [
    ...(one.rate === undefined ? [] : ['rate', rateText(one.rate)]),
    ...(one.ceil === undefined ? [] : ['ceil', rateText(one.ceil)]),
    ...(one.burst === undefined ? [] : ['burst', sizeText(one.burst)]),
    ...(one.ceilBurst === undefined ? [] : ['cburst', sizeText(one.ceilBurst)]),
  ];
}

interface CommandContext {
  device: string;
  limiting?: Queue;
  policer?: Policer;
  suggested: { rate: string; burst: string };
}

/** Commands that raise, restore and remove what limits; empty texts where there is nothing to do. */
export function queueCommands(
  queue: Queue,
  { device, limiting, policer, suggested }: CommandContext,
): { changeCommand: string; restoreCommand: string; removeCommand: string } {
  const dev = shellWord(device);
  if (limiting) {
    const at = `tc class change dev ${dev} parent ${limiting.parent === 'root' ? queue.handle : limiting.parent} classid ${limiting.handle} ${limiting.kind}`;
    const raised =
      limiting.kind === 'hfsc'
        ? `ul rate ${suggested.rate}`
        : `rate ${rateText(limiting.rate ?? 0)} ceil ${suggested.rate}`;
    return {
      changeCommand: `${at} ${raised}`,
      restoreCommand: `${at} ${classWords(limiting).join(' ')}`,
      removeCommand: '',
    };
  }
  if (policer && queue.rate === undefined) {
    const remove = policer.prio === undefined ? '' : `tc filter del dev ${dev} ingress prio ${policer.prio}`;
    return { changeCommand: '', restoreCommand: '', removeCommand: remove };
  }
  const limits = queue.rate !== undefined || Boolean(queue.delayMs) || Boolean(queue.lossPercent);
  if (!limits) return { changeCommand: '', restoreCommand: '', removeCommand: '' };
  const place = queue.parent === 'root' ? 'root' : `parent ${queue.parent}`;
  const keepHandle = queue.handle && queue.handle !== '0:' ? ` handle ${queue.handle}` : '';
  const raised: Record<string, string> = {
    tbf: `tbf rate ${suggested.rate} burst ${suggested.burst} latency 50ms`,
    fq: `fq maxrate ${suggested.rate}`,
    cake: `cake bandwidth ${suggested.rate}`,
  };
  const change = queue.rate !== undefined ? raised[queue.kind] : undefined;
  return {
    changeCommand: change ? `tc qdisc change dev ${dev} ${place} ${change}` : '',
    restoreCommand: `tc qdisc replace dev ${dev} ${place}${queue.parent === 'root' ? '' : keepHandle} ${configuredText(queue)}`,
    removeCommand: `tc qdisc del dev ${dev} ${place}`,
  };
}
