import { commandPrefix, delta, known, numberParam, textOfAnswer, textParam, unknown, where, whyNot } from '../facts.js';
import { parseSnmp, parseSnmp6 } from '../parsers/proc-net.js';
import type { EvidenceCollector, EvidenceParams, EvidencePhase } from '../types.js';

const FILES = ['/proc/net/snmp', '/proc/net/netstat', '/proc/net/snmp6'];

/** Counters that a damaged packet may be counted in, by what is wrong with it; the first that grew speaks. */
const COUNTERS: Record<string, { 4: string[]; 6: string[] }> = {
  TCP_CSUM: { 4: ['TcpInCsumErrors'], 6: ['TcpInCsumErrors'] },
  UDP_CSUM: { 4: ['UdpInCsumErrors'], 6: ['Udp6InCsumErrors'] },
  ICMP_CSUM: { 4: ['IcmpInCsumErrors'], 6: ['Icmp6InCsumErrors'] },
  IP_CSUM: { 4: ['IpExtInCsumErrors'], 6: [] },
  truncated: {
    4: ['IpExtInTruncatedPkts', 'TcpInErrs', 'UdpInErrors'],
    6: ['Ip6InTruncatedPkts', 'TcpInErrs', 'Udp6InErrors'],
  },
  'ip-truncated': { 4: ['IpExtInTruncatedPkts'], 6: ['Ip6InTruncatedPkts'] },
  'tcp-header': { 4: ['TcpInErrs'], 6: ['TcpInErrs'] },
  header: { 4: ['IpInHdrErrors'], 6: ['Ip6InHdrErrors'] },
};
/** Wrong checksums are counted as this damage as well, by the version whose counters do so. */
const CHECKSUMS_AMONG: Record<string, { 4: string; 6?: string }> = {
  header: { 4: 'IpExtInCsumErrors' },
  'tcp-header': { 4: 'TcpInCsumErrors', 6: 'TcpInCsumErrors' },
};
const BY_PROTOCOL: Record<string, string> = {
  TCP: 'TCP_CSUM',
  UDP: 'UDP_CSUM',
  ICMP: 'ICMP_CSUM',
  ICMPv6: 'ICMP_CSUM',
};

/** Whose checksum: as the drop reason says, else by the function that checks IP headers, else the protocol's. */
function checksumOf(params: EvidenceParams): string | undefined {
  const reason = textParam(params, 'reason') ?? '';
  if (reason.endsWith('_CSUM') && Object.hasOwn(COUNTERS, reason)) return reason;
  // A bridge that checks headers for netfilter says no more than that (br_validate_ipv4, net/bridge/br_netfilter_hooks.c).
  if (reason === 'IP_INHDR') return 'IP_CSUM';
  if (reason !== '' && reason !== 'NOT_SPECIFIED') return undefined;
  if ((textParam(params, 'function') ?? '').startsWith('ip_rcv')) return 'IP_CSUM';
  return BY_PROTOCOL[textParam(params, 'protocol') ?? ''];
}

/** What the protocols counted of packets that arrived damaged (net/ipv4/proc.c, net/ipv6/proc.c). */
export const receiveErrors: EvidenceCollector = {
  name: 'receive-errors',
  describe: 'How many packets with this kind of damage the protocols of a namespace counted during the run.',
  params: {
    damage: '`checksum`, `truncated`, `ip-truncated` (by IP alone), `header` or `tcp-header`',
    reason: 'drop reason that tells whose checksum: TCP_CSUM, UDP_CSUM, IP_CSUM, ICMP_CSUM',
    protocol: 'TCP, UDP, ICMP: whose checksum, without such a reason',
    function: 'kernel function that dropped it, which tells that it was the IP header, without such a reason',
    count: 'how many packets were seen to be dropped for it',
    address: 'an address of the packet, which tells the IP version',
  },
  members: {
    counter: 'the counter that grew, as nstat names it; the first that may, when none did',
    delta: 'how much it grew (InHdrErrors, InErrs: without wrong checksums); null when not read before',
    checksum: 'whose checksum was wrong: TCP, UDP, ICMP or IP; empty for other damage',
    covers: 'it grew, and by no less than the packets that were seen to be dropped; null when not read before',
  },

  async before(source, netns) {
    await Promise.all(FILES.map((path) => source.read(path, { netns, phase: 'before' })));
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const damage = textParam(params, 'damage') ?? 'checksum';
    const which = damage !== 'checksum' ? damage : checksumOf(params);
    const version = (textParam(params, 'address') ?? '').includes(':') ? 6 : 4;
    const counters = which === undefined ? [] : (COUNTERS[which]?.[version] ?? []);
    const command = `${prefix}nstat -asz ${counters.join(' ')}`.trimEnd();
    // Nothing that could be damaged so (ARP, an IPv6 header's checksum): it is not this.
    if (counters.length === 0)
      return known({ counter: '', delta: 0, covers: false, checksum: '' }, command, 'no packet can be damaged so');
    const read = async (phase: EvidencePhase): Promise<Map<string, number> | undefined> => {
      const answers = await Promise.all(FILES.map((path) => source.read(path, where(params, phase))));
      if (answers[0].status !== 'ok') return undefined;
      const [snmp, netstat, snmp6] = answers.map((answer) => textOfAnswer(answer) ?? '');
      return new Map([...parseSnmp(snmp), ...parseSnmp(netstat), ...parseSnmp6(snmp6)]);
    };
    const [before, after] = [await read('before'), await read('after')];
    if (!after) return unknown(whyNot(await source.read(FILES[0], where(params, 'after'))), command);
    const growth = (counter: string): number | null =>
      delta(before && (before.get(counter) ?? 0), after.get(counter) ?? 0);
    const among = CHECKSUMS_AMONG[damage]?.[version];
    const others = among === undefined ? 0 : (growth(among) ?? 0);
    const grown = counters.map((counter) => {
      const all = growth(counter);
      return { counter, delta: all === null ? null : Math.max(0, all - others) };
    });
    const best = grown.find((one) => (one.delta ?? 0) > 0) ?? grown[0];
    const covers = best.delta === null ? null : best.delta >= Math.max(1, numberParam(params, 'count') ?? 1);
    const value = { ...best, covers, checksum: damage === 'checksum' ? which!.replace(/_CSUM$/, '') : '' };
    return known(value, command, `${best.counter} ${best.delta === null ? 'was not read before' : `+${best.delta}`}`);
  },
};
