import { delta, grewBy, known, numberParam, textOfAnswer, unknown } from '../facts.js';
import type { EvidenceCollector } from '../types.js';

const SHOW = ['ovs-dpctl', 'show', '-s'];

/** Open vSwitch's kernel datapath (net/openvswitch/datapath.c). */
export const ovs: EvidenceCollector = {
  name: 'ovs',
  describe:
    "Open vSwitch's datapath: packets whose flow was not in the kernel, and those lost on the way to user space.",
  params: { seconds: 'length of the run, for the text' },
  members: {
    present: 'there is a datapath',
    flows: 'flows in the kernel',
    hitDelta: 'packets whose flow was in the kernel, during the run; null when not read before',
    missedDelta: 'packets sent to ovs-vswitchd because it was not; null when not read before',
    lostDelta: 'of these, dropped because the way there was full; null when not read before',
    missesPerSecond: 'missedDelta / seconds; null when either is unknown',
  },

  async before(source) {
    await source.run(SHOW, { phase: 'before' });
  },

  async collect(source, params) {
    const command = 'ovs-dpctl show -s';
    const answer = await source.run(SHOW, { phase: 'after' });
    if (answer.status !== 'ok') return unknown(answer.why, command);
    const before = textOfAnswer(await source.run(SHOW, { phase: 'before' }));
    const was = before === undefined ? undefined : parseDatapaths(before);
    const now = parseDatapaths(answer.text);
    const missedDelta = delta(was?.missed, now.missed);
    const lostDelta = delta(was?.lost, now.lost);
    const seconds = numberParam(params, 'seconds');
    const value = {
      present: now.datapaths > 0,
      flows: now.flows,
      hitDelta: delta(was?.hit, now.hit),
      missedDelta,
      lostDelta,
      missesPerSecond: missedDelta === null || !seconds ? null : +(missedDelta / seconds).toFixed(2),
    };
    const told = lostDelta === null ? `${now.lost} lost since it was made` : `lost ${grewBy(lostDelta, params)}`;
    return known(
      value,
      command,
      now.datapaths === 0 ? 'Open vSwitch has no kernel datapath' : `Open vSwitch: ${now.flows} flows, ${told}`,
    );
  },
};

/** Sums of `lookups: hit:N missed:N lost:N` and `flows: N` over all datapaths. */
export function parseDatapaths(text: string): {
  datapaths: number;
  hit: number;
  missed: number;
  lost: number;
  flows: number;
} {
  const sums = { datapaths: 0, hit: 0, missed: 0, lost: 0, flows: 0 };
  for (const match of text.matchAll(/lookups: hit:(\d+) missed:(\d+) lost:(\d+)/g)) {
    sums.datapaths++;
    sums.hit += Number(match[1]);
    sums.missed += Number(match[2]);
    sums.lost += Number(match[3]);
  }
  for (const match of text.matchAll(/^\s*flows: (\d+)/gm)) sums.flows += Number(match[1]);
  return sums;
}
