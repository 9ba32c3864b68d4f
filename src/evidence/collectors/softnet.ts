import { delta, known, textOfAnswer, unknown } from '../facts.js';
import { parseSoftnet, type SoftnetCpu } from '../parsers/proc-net.js';
import type { EvidenceCollector } from '../types.js';

const STAT = '/proc/net/softnet_stat';
/** The kernel's default (net/core/hotdata.c). */
const USUAL_BACKLOG = 1000;
const BACKLOG = '/proc/sys/net/core/netdev_max_backlog';

/** What each CPU did with received packets (net/core/dev.c). It belongs to the host, not to a namespace. */
export const softnet: EvidenceCollector = {
  name: 'softnet',
  describe:
    "The CPUs' receive backlogs: packets dropped there and softirq runs that ended with work left, during the run.",
  params: { seconds: 'length of the run, for the text' },
  members: {
    processedDelta: 'packets that all CPUs took in during the run; null when not read before',
    droppedDelta: 'packets dropped because a backlog was full, during the run; null when not read before',
    timeSqueezeDelta: 'softirq runs that ended with work left, during the run; null when not read before',
    busiestCpu: 'CPU that dropped most, else took in most',
    busiestShare: 'its share of the packets, 0..1; null when not read before',
    perCpu: '`{ cpu, processed, dropped, timeSqueeze }` of the run; empty when not read before',
    maxBacklog: 'net.core.netdev_max_backlog, packets; null when it could not be read',
    suggestedBacklog: 'four times that, and no less than the usual 1000; null without',
  },

  async before(source) {
    await source.read(STAT, { phase: 'before' });
  },

  async collect(source) {
    const command = `cat ${STAT}`;
    const answer = await source.read(STAT, { phase: 'after' });
    if (answer.status !== 'ok') return unknown(answer.why, command);
    const [beforeText, backlogText] = await Promise.all([
      source.read(STAT, { phase: 'before' }),
      source.read(BACKLOG, { phase: 'after' }),
    ]);
    const before = textOfAnswer(beforeText);
    const perCpu = before === undefined ? [] : grownPerCpu(parseSoftnet(before), parseSoftnet(answer.text));
    const sum = (name: 'processed' | 'dropped' | 'timeSqueeze'): number | null =>
      before === undefined ? null : perCpu.reduce((total, cpu) => total + cpu[name], 0);
    const processed = sum('processed');
    const busiest = [...perCpu].sort((a, b) => b.dropped - a.dropped || b.processed - a.processed)[0];
    const maxBacklog = Number.parseInt(textOfAnswer(backlogText) ?? '', 10) || null;
    const value = {
      processedDelta: processed,
      droppedDelta: sum('dropped'),
      timeSqueezeDelta: sum('timeSqueeze'),
      busiestCpu: busiest?.cpu ?? 0,
      busiestShare: busiest && processed ? +(busiest.processed / processed).toFixed(3) : null,
      perCpu: perCpu.map((cpu) => ({ ...cpu })),
      maxBacklog,
      suggestedBacklog: maxBacklog === null ? null : Math.max(USUAL_BACKLOG, maxBacklog * 4),
    };
    const text =
      value.droppedDelta === null
        ? 'receive backlogs were not read before the traffic'
        : `receive backlogs: ${value.droppedDelta} dropped, ${value.timeSqueezeDelta} times out of budget`;
    return known(value, command, text);
  },
};

function grownPerCpu(before: SoftnetCpu[], after: SoftnetCpu[]): SoftnetCpu[] {
  return after.map((cpu) => {
    const was = before.find((one) => one.cpu === cpu.cpu);
    const grown = (name: 'processed' | 'dropped' | 'timeSqueeze'): number => delta(was?.[name] ?? 0, cpu[name]) ?? 0;
    return {
      cpu: cpu.cpu,
      processed: grown('processed'),
      dropped: grown('dropped'),
      timeSqueeze: grown('timeSqueeze'),
    };
  });
}
