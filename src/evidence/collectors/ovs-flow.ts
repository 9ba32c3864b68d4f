import {
  commandPrefix,
  delta,
  deviceParam,
  known,
  numberParam,
  textOfAnswer,
  textParam,
  unknown,
  unnamed,
  where,
  whyNot,
} from '../facts.js';
import { endsThere, mayMatch, parseDatapaths, parseFlows, type DatapathFlow } from '../parsers/open-vswitch.js';
import { shellWord } from '../shell-words.js';
import type { EvidenceCollector, EvidenceParams, EvidencePhase, EvidenceSource } from '../types.js';
import { DATAPATHS, moduleIsThere } from './ovs.js';

const dumpOf = (datapath: string): string[] => ['ovs-dpctl', 'dump-flows', datapath];

/** The flow of Open vSwitch's kernel module that dropped a packet (net/openvswitch/actions.c, do_execute_actions). */
export const ovsFlow: EvidenceCollector = {
  name: 'ovs-flow',
  describe: 'The flow in the kernel module of Open vSwitch that drops packets like this one, by its counter.',
  params: {
    device: 'port that the packets came in by',
    src: 'their source address',
    dst: 'their destination',
    proto: 'TCP, UDP, ICMP, ICMPv6, ARP …',
    sport: 'their source port',
    dport: 'their destination port',
  },
  members: {
    found: 'there is such a flow, and it counted packets during the run',
    datapath: 'datapath whose port that is; empty if it is of none',
    port: 'number of that port; null if it is of none',
    match: 'what the flow matches, as ovs-dpctl writes it',
    actions: 'what it does with it: `drop`, or nothing that sends it on',
    packetsDelta: 'packets that it counted during the run; null without a flow',
    others: 'further such flows',
  },

  async before(source, netns) {
    if (await moduleIsThere(source)) await readFlows(source, { netns }, 'before');
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const device = deviceParam(params);
    if (device === undefined) return unnamed('no device was named', `${prefix}ovs-dpctl dump-flows`);
    const answer = await source.run(DATAPATHS, where(params, 'after'));
    if (answer.status !== 'ok') return unknown(whyNot(answer), `${prefix}${DATAPATHS.join(' ')}`);
    const datapath = parseDatapaths(answer.text).find(({ ports }) => ports.has(device));
    if (!datapath) return known(NONE, `${prefix}${DATAPATHS.join(' ')}`, `${device} is no port of Open vSwitch`);
    const command = `${prefix}ovs-dpctl dump-flows ${shellWord(datapath.name)}`;
    const port = datapath.ports.get(device)!;
    const flows = (await readFlows(source, params, 'after')).get(datapath.name);
    if (!flows) return unknown('its flows could not be read', command);
    const was = new Map(
      (await readFlows(source, params, 'before')).get(datapath.name)?.map((one) => [one.match, one.packets]),
    );
    const packet = {
      port,
      src: textParam(params, 'src'),
      dst: textParam(params, 'dst'),
      proto: textParam(params, 'proto'),
      sport: numberParam(params, 'sport'),
      dport: numberParam(params, 'dport'),
    };
    // One that was made during the run counted from nothing.
    const grown = (flow: DatapathFlow): number => delta(was.get(flow.match) ?? 0, flow.packets) ?? 0;
    const dropping = flows
      .filter((flow) => endsThere(flow) && grown(flow) > 0 && mayMatch(flow, packet))
      .sort((x, y) => grown(y) - grown(x));
    const here = { ...NONE, datapath: datapath.name, port };
    const [flow, ...others] = dropping;
    if (!flow) return known(here, command, `none of the ${flows.length} flows of ${datapath.name} dropped it`);
    const packetsDelta = grown(flow);
    const value = {
      ...here,
      found: true,
      match: flow.match,
      actions: flow.actions,
      packetsDelta,
      others: others.length,
    };
    return known(
      value,
      command,
      `${flow.match}, actions:${flow.actions} (port ${port} is ${device}), packets +${packetsDelta}`,
    );
  },
};

const NONE = {
  found: false,
  datapath: '',
  port: null as number | null,
  match: '',
  actions: '',
  packetsDelta: null as number | null,
  others: 0,
};

/** The flows of all datapaths of a namespace, by datapath. */
async function readFlows(
  source: EvidenceSource,
  params: EvidenceParams,
  phase: EvidencePhase,
): Promise<Map<string, DatapathFlow[]>> {
  const all = new Map<string, DatapathFlow[]>();
  const shown = textOfAnswer(await source.run(DATAPATHS, where(params, phase)));
  for (const { name } of shown === undefined ? [] : parseDatapaths(shown)) {
    const flows = textOfAnswer(await source.run(dumpOf(name), where(params, phase)));
    if (flows !== undefined) all.set(name, parseFlows(flows));
  }
  return all;
}
