import { commandPrefix, delta, grewBy, known, textOfAnswer, unknown, where, whyNot } from '../facts.js';
import { parseConntrackStats, parseNetStat } from '../parsers/proc-net.js';
import type { EvidenceCollector, EvidenceParams, EvidencePhase, EvidenceSource } from '../types.js';

const COUNT = '/proc/sys/net/netfilter/nf_conntrack_count';
const MAX = '/proc/sys/net/netfilter/nf_conntrack_max';

/** The connection tracking table of a namespace (net/netfilter/nf_conntrack_core.c, nf_conntrack_standalone.c). */
export const conntrack: EvidenceCollector = {
  name: 'conntrack',
  describe: 'The connection tracking table: how full it is, and what it refused during the run.',
  params: { seconds: 'length of the run, for the text' },
  members: {
    count: 'entries at the end',
    countBefore: 'entries at the start; null when not read before',
    max: 'most entries (net.netfilter.nf_conntrack_max)',
    usage: 'count / max, at the start or the end, whichever is higher',
    full: 'it is at its limit, or refused an entry for lack of room during the run',
    dropDelta: 'packets dropped because no entry could be had; null when unknown',
    earlyDropDelta: 'entries given up early to make room; null when unknown',
    insertFailedDelta: 'entries that lost a race against another for the same flow; null when unknown',
    invalidDelta: 'packets that fit no connection; null when unknown',
    suggestedMax: 'four times the present limit',
    raiseCommand: 'raises the limit to that',
    restoreCommand: 'undoes raiseCommand',
  },

  async before(source, netns) {
    await Promise.all([readStats(source, { netns }, 'before'), source.read(COUNT, { netns, phase: 'before' })]);
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const command = `${prefix}conntrack -S`;
    const [countAnswer, maxAnswer, countBefore, hostMaxAnswer] = await Promise.all([
      source.read(COUNT, where(params, 'after')),
      source.read(MAX, where(params, 'after')),
      source.read(COUNT, where(params, 'before')),
      source.read(MAX, { phase: 'after' }),
    ]);
    const count = numberOf(textOfAnswer(countAnswer));
    const max = numberOf(textOfAnswer(maxAnswer));
    if (count === undefined || max === undefined) {
      const why =
        countAnswer.status === 'missing' ? 'connection tracking is not loaded on this host' : whyNot(countAnswer);
      return unknown(why, command);
    }
    const [after, before] = await Promise.all([
      readStats(source, params, 'after'),
      readStats(source, params, 'before'),
    ]);
    const grown = (name: string): number | null => delta(before?.get(name), after?.get(name));
    // The limit is the host's, and set there; newer kernels may hold a namespace to a lower one of its own.
    const own = max < (numberOf(textOfAnswer(hostMaxAnswer)) ?? 0);
    const set = `${own ? prefix : ''}sysctl -w net.netfilter.nf_conntrack_max=`;
    const was = numberOf(textOfAnswer(countBefore));
    const dropDelta = grown('drop');
    const earlyDropDelta = grown('early_drop');
    const usage = max > 0 ? +(Math.max(count, was ?? 0) / max).toFixed(4) : 0;
    const value = {
      count,
      countBefore: was ?? null,
      max,
      usage,
      full: usage >= 1 || (dropDelta ?? 0) > 0 || (earlyDropDelta ?? 0) > 0,
      dropDelta,
      earlyDropDelta,
      insertFailedDelta: grown('insert_failed'),
      invalidDelta: grown('invalid'),
      suggestedMax: max * 4,
      raiseCommand: `${set}${max * 4}`,
      restoreCommand: `${set}${max}`,
    };
    const drops = !dropDelta ? '' : `, dropped ${grewBy(dropDelta, params)}`;
    return known(value, command, `connection tracking: ${count} of ${max} entries${drops}`);
  },
};

/** From /proc where it is there (needs no tool), else from conntrack; undefined when neither answers. */
async function readStats(
  source: EvidenceSource,
  params: EvidenceParams,
  phase: EvidencePhase,
): Promise<Map<string, number> | undefined> {
  const proc = await source.read('/proc/net/stat/nf_conntrack', where(params, phase));
  if (proc.status === 'ok') return parseNetStat(proc.text);
  // The tool would load the modules on a host that does without them, and they hold back fragments from then on.
  if ((await source.read(COUNT, where(params, phase))).status !== 'ok') return undefined;
  const tool = await source.run(['conntrack', '-S'], where(params, phase));
  return tool.status === 'ok' ? parseConntrackStats(tool.text) : undefined;
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}
