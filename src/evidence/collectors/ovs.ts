import { commandPrefix, delta, grewBy, known, numberParam, textOfAnswer, unknown, where } from '../facts.js';
import { parseDatapaths, type Datapath } from '../parsers/open-vswitch.js';
import type { EvidenceCollector, EvidenceSource } from '../types.js';

/** Names, counters and ports of all datapaths of a namespace. */
export const DATAPATHS = ['ovs-dpctl', 'show', '-s'];

/** Where ovs-vswitchd leaves its process id; packages of all distributions set it so (`--pidfile`). */
const PIDFILE = '/run/openvswitch/ovs-vswitchd.pid';

/** Whether the kernel has it now: asked first, for the tools would load it, and connection tracking with it. */
export async function moduleIsThere(source: EvidenceSource): Promise<boolean> {
  return (await source.list('/sys/module/openvswitch', { phase: 'before' })).status === 'ok';
}

/** Open vSwitch's kernel datapath (net/openvswitch/datapath.c), and the daemon that it asks. */
export const ovs: EvidenceCollector = {
  name: 'ovs',
  describe:
    "Open vSwitch's datapath: packets whose flow was not in the kernel, those lost on the way to user space, and the daemon there.",
  params: { seconds: 'length of the run, for the text' },
  members: {
    present: 'there is a datapath',
    flows: 'flows in the kernel',
    hitDelta: 'packets whose flow was in the kernel, during the run; null when not read before',
    missedDelta: 'packets sent to ovs-vswitchd because it was not; null when not read before',
    lostDelta: 'of these, dropped: the way there was full, or nobody was there; null when not read before',
    missesPerSecond: 'missedDelta / seconds; null when either is unknown',
    daemonPid: 'process of ovs-vswitchd; 0 when it does not run',
    daemonStopped: 'it is stopped or traced',
    daemonText: 'all that as words: `ovs-vswitchd does not run`',
    daemonTextZh: 'the same in Chinese',
    daemonCommand: 'lets it run again, or shows what it does',
  },

  async before(source, netns) {
    if (await moduleIsThere(source)) await source.run(DATAPATHS, { netns, phase: 'before' });
  },

  async collect(source, params) {
    const command = `${await commandPrefix(source, params.netns)}${DATAPATHS.join(' ')}`;
    const answer = await source.run(DATAPATHS, where(params, 'after'));
    if (answer.status !== 'ok') return unknown(answer.why, command);
    const before = textOfAnswer(await source.run(DATAPATHS, where(params, 'before')));
    const was = before === undefined ? undefined : sumOf(parseDatapaths(before));
    const datapaths = parseDatapaths(answer.text);
    const now = sumOf(datapaths);
    const missedDelta = delta(was?.missed, now.missed);
    const lostDelta = delta(was?.lost, now.lost);
    const seconds = numberParam(params, 'seconds');
    const daemon = await daemonOf(source);
    const value = {
      present: datapaths.length > 0,
      flows: now.flows,
      hitDelta: delta(was?.hit, now.hit),
      missedDelta,
      lostDelta,
      missesPerSecond: missedDelta === null || !seconds ? null : +(missedDelta / seconds).toFixed(2),
      ...daemon,
    };
    const told = lostDelta === null ? `${now.lost} lost since it was made` : `lost ${grewBy(lostDelta, params)}`;
    return known(
      value,
      command,
      datapaths.length === 0
        ? 'Open vSwitch has no kernel datapath'
        : `Open vSwitch: ${now.flows} flows, ${told}; ${daemon.daemonText}`,
    );
  },
};

function sumOf(datapaths: readonly Datapath[]): { hit: number; missed: number; lost: number; flows: number } {
  const sum = (name: 'hit' | 'missed' | 'lost' | 'flows'): number => datapaths.reduce((all, one) => all + one[name], 0);
  return { hit: sum('hit'), missed: sum('missed'), lost: sum('lost'), flows: sum('flows') };
}

async function daemonOf(source: EvidenceSource) {
  const pid = Number(textOfAnswer(await source.read(PIDFILE, { phase: 'after' }))?.trim() ?? 0);
  const status = pid > 0 ? textOfAnswer(await source.read(`/proc/${pid}/status`, { phase: 'after' })) : undefined;
  if (status === undefined || !/^Name:\s+ovs-vswitchd$/m.test(status)) {
    return {
      daemonPid: 0,
      daemonStopped: false,
      daemonText: 'ovs-vswitchd does not run',
      daemonTextZh: 'ovs-vswitchd 未运行',
      daemonCommand: 'systemctl restart openvswitch-switch',
    };
  }
  const stopped = /^State:\s+[Tt]/m.test(status);
  return {
    daemonPid: pid,
    daemonStopped: stopped,
    daemonText: stopped ? `ovs-vswitchd (${pid}) is stopped` : `ovs-vswitchd (${pid}) runs`,
    daemonTextZh: stopped ? `ovs-vswitchd（${pid}）已被暂停` : `ovs-vswitchd（${pid}）在运行`,
    daemonCommand: stopped ? `kill -CONT ${pid}` : `top -b -n 1 -H -p ${pid}`,
  };
}
