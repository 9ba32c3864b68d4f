import {
  commandPrefix,
  delta,
  deviceParam,
  known,
  parseObjects,
  stringIn,
  textOfAnswer,
  textParam,
  unknown,
  where,
  whyNot,
} from '../facts.js';
import { parseAddress } from '../firewall/address-match.js';
import { parseNetStat } from '../parsers/proc-net.js';
import { shellWord } from '../shell-words.js';
import type { EvidenceCollector, EvidenceParams, EvidenceSource } from '../types.js';

const NEIGHBOURS = ['ip', '-j', '-s', 'neigh', 'show'];
const PROXIES = ['ip', '-j', 'neigh', 'show', 'proxy'];

/** An entry of the neighbour table (ARP, NDP) and the table itself (net/core/neighbour.c). */
export const neighbour: EvidenceCollector = {
  name: 'neighbour',
  describe: 'Whether the Ethernet address of a neighbour is known, and how full the neighbour table is.',
  params: {
    address: 'IP address; of a host beyond a gateway the gateway is looked at',
    device: 'device it is behind; absent: any',
  },
  members: {
    address: 'address of the neighbour that was looked at: the one asked for, or the gateway to it',
    exists: 'there is an entry',
    state: 'REACHABLE, STALE, DELAY, PROBE, INCOMPLETE, FAILED, PERMANENT, NOARP, or NONE without an entry',
    resolved: 'its Ethernet address is known',
    failed: 'it did not answer: FAILED or INCOMPLETE',
    permanent: 'set by hand',
    lladdr: 'its Ethernet address; empty when unknown',
    device: 'device of the entry',
    proxied: 'this host answers for the address (proxy ARP or NDP)',
    entries: 'entries of its family in this namespace',
    gcThresh3: 'most entries the kernel keeps (net.ipv4.neigh.default.gc_thresh3); null when unknown',
    gcSetting: "name of that setting; it is the host's, for all network namespaces",
    suggestedThresh3: 'four times that, at least the default of 1024; null when unknown',
    tableFullDelta: 'times an entry could not be made because the table was full, during the run; null when unknown',
    removeCommand: 'removes the entry, so that the kernel asks again; empty without an entry',
    restoreCommand: 'undoes it for a permanent entry; empty otherwise',
  },

  async before(source) {
    await Promise.all(
      ['arp_cache', 'ndisc_cache'].map((name) => source.read(`/proc/net/stat/${name}`, { phase: 'before' })),
    );
  },

  async collect(source, params) {
    const asked = textParam(params, 'address') ?? '';
    const device = deviceParam(params);
    const prefix = await commandPrefix(source, params.netns);
    if (!parseAddress(asked)) return unknown(`"${asked}" is not an IP address`, `${prefix}ip neigh show`);
    const address = await nextHop(source, params, asked);
    const command = `${prefix}ip neigh show ${shellWord(address)}${device ? ` dev ${shellWord(device)}` : ''}`;
    const [answer, proxies] = await Promise.all([
      source.run(NEIGHBOURS, where(params, 'after')),
      source.run(PROXIES, where(params, 'after')),
    ]);
    const entries = answer.status === 'ok' ? parseObjects(answer.text) : undefined;
    if (!entries) return unknown(whyNot(answer), command);
    const isIt = (entry: Record<string, unknown>): boolean =>
      sameAddress(stringIn(entry, 'dst'), address) && (device === undefined || stringIn(entry, 'dev') === device);
    const entry = entries.find(isIt);
    const state = entry && Array.isArray(entry.state) ? String(entry.state[0] ?? '') : 'NONE';
    const lladdr = (entry && stringIn(entry, 'lladdr')) ?? '';
    const behind = (entry && stringIn(entry, 'dev')) ?? device ?? '';
    const at = `${shellWord(address)} dev ${shellWord(behind)}`;
    const value = {
      address,
      exists: entry !== undefined,
      state,
      resolved: lladdr !== '' && state !== 'FAILED',
      failed: state === 'FAILED' || state === 'INCOMPLETE',
      permanent: state === 'PERMANENT',
      lladdr,
      device: behind,
      proxied: (parseObjects(textOfAnswer(proxies) ?? '') ?? []).some(isIt),
      entries: entries.filter((one) => (stringIn(one, 'dst') ?? '').includes(':') === address.includes(':')).length,
      ...(await tableState(source, address.includes(':'))),
      removeCommand: entry ? `${prefix}ip neigh del ${at}` : '',
      restoreCommand:
        entry && state === 'PERMANENT'
          ? `${prefix}ip neigh replace ${at} lladdr ${shellWord(lladdr)} nud permanent`
          : '',
    };
    return known(
      value,
      command,
      `${address}${behind ? ` on ${behind}` : ''}: ${entry ? `${state}${lladdr ? ` ${lladdr}` : ''}` : 'no neighbour entry'}`,
    );
  },
};

/** The gateway to an address that is not on a link of this host, else the address itself. */
async function nextHop(source: EvidenceSource, params: EvidenceParams, address: string): Promise<string> {
  const answer = await source.run(['ip', '-j', 'route', 'get', address], where(params, 'after'));
  const route = answer.status === 'ok' ? parseObjects(answer.text)?.[0] : undefined;
  return (route && stringIn(route, 'gateway')) ?? address;
}

/** net/ipv4/arp.c, net/ipv6/ndisc.c */
const DEFAULT_THRESH3 = 1024;

async function tableState(
  source: EvidenceSource,
  isIpv6: boolean,
): Promise<{
  gcThresh3: number | null;
  gcSetting: string;
  suggestedThresh3: number | null;
  tableFullDelta: number | null;
}> {
  const stat = `/proc/net/stat/${isIpv6 ? 'ndisc' : 'arp'}_cache`;
  const [limit, before, after] = await Promise.all([
    // The table is the host's: other namespaces do not have these files.
    source.read(`/proc/sys/net/${isIpv6 ? 'ipv6' : 'ipv4'}/neigh/default/gc_thresh3`, { phase: 'after' }),
    source.read(stat, { phase: 'before' }),
    source.read(stat, { phase: 'after' }),
  ]);
  const fulls = (answer: typeof before): number | undefined =>
    answer.status === 'ok' ? parseNetStat(answer.text).get('table_fulls') : undefined;
  const gcThresh3 = Number.parseInt(textOfAnswer(limit) ?? '', 10) || null;
  return {
    gcThresh3,
    gcSetting: `net.${isIpv6 ? 'ipv6' : 'ipv4'}.neigh.default.gc_thresh3`,
    suggestedThresh3: gcThresh3 && Math.max(DEFAULT_THRESH3, gcThresh3 * 4),
    tableFullDelta: delta(fulls(before), fulls(after)),
  };
}

function sameAddress(a: string | undefined, b: string): boolean {
  return a !== undefined && parseAddress(a)?.toString() === parseAddress(b)?.toString();
}
