import { commandPrefix, grewBy, known, numberParam, textParam, unknown } from '../facts.js';
import { firewallCommands, managedBy } from '../firewall/commands.js';
import { protocolNumber, type PacketFacts } from '../firewall/model.js';
import { firewallOf } from '../firewall/read.js';
import {
  findSuspects,
  isAskedFor,
  isCertain,
  type FirewallQuestion,
  type FirewallSuspect,
} from '../firewall/search.js';
import { bridgedBy } from '../firewall/bridged.js';
import type { EvidenceCollector, EvidenceParams } from '../types.js';

/** Which firewall rule or chain policy dropped a packet: iptables (both variants), nftables, ebtables. */
export const firewallRule: EvidenceCollector = {
  name: 'firewall-rule',
  describe:
    'The firewall rule (or chain policy) that drops or rejects a packet, with its counter and the commands for it.',
  params: {
    table: 'table, e.g. filter',
    chain: 'chain, e.g. FORWARD; jumps from it are followed',
    hook: 'PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING or INGRESS',
    family: 'ip, ip6, inet, bridge, arp or netdev',
    backend: 'iptables-legacy, iptables-nft, nft, ebtables-legacy or ebtables-nft; absent: all',
    flags: 'TCP flags as tcpdump writes them',
    icmpType: 'ICMP type',
    device: 'device that the packet was at when it was dropped',
    lastRole: 'role of the last point that saw the packet before; receive: it had come in',
    drops: 'how many packets of the flow were dropped: a rule that counted fewer did not drop them all',
    src: 'source address of the packet',
    dst: 'destination address',
    proto: 'TCP, UDP, ICMP … or its number',
    sport: 'source port',
    dport: 'destination port',
    iif: 'device it came in by',
    oif: 'device it was to leave by',
    seconds: 'length of the run, for the text',
  },
  members: {
    found: 'a rule that drops or rejects, fits the packet and counted during the run (or has no counter)',
    text: 'the rule as its tool prints it, e.g. `-A INPUT -p tcp -m tcp --dport 80 -j DROP`; empty if not found',
    certain:
      'true when no other rule can have dropped it: it fits surely or is the only one that may, and counted no fewer packets than were dropped; else null',
    backend: 'iptables-legacy, iptables-nft, iptables, nft, ebtables-legacy or ebtables-nft',
    family: 'ip, ip6, inet, bridge …',
    table: 'table',
    chain: 'chain that holds the rule (after jumps)',
    route: 'chains from the hook to it: `INPUT → LOGDROP`',
    hook: 'hook that the way there began at',
    number: 'line of the rule in its chain, from 1; 0 for the policy',
    handle: "nft's handle; 0 for iptables",
    policy: "it is the chain's policy, not a rule",
    place: '`rule 2 of filter/FORWARD (iptables-legacy)`, or `the policy of …`',
    placeZh: 'the same in Chinese',
    verdict: 'DROP or REJECT',
    fit: '`yes`: it fits the packet surely; `maybe`: it asks for something that is not known about it',
    counter: 'it counts packets',
    packets: 'packets it counted in all; null without a counter',
    counterDelta: 'packets it counted during the run; null without a counter or when not read before',
    set: 'named set of nft that the packet is in and the rule asks; empty without',
    map: 'named verdict map of nft that sent it to its end; empty without',
    element: 'the element of that set or map; empty when it cannot be written',
    sentBy: 'the rule that sent the packet to a chain whose rule drops all that comes; empty without',
    devices: 'netdev family: devices that the chain is at; empty otherwise',
    states: 'states of connection tracking that the rule asks for: `INVALID`; empty for none',
    bridged: 'the sysctl (and its value) by which a bridged packet came to a rule of IP; empty when it was not bridged',
    others: 'other rules that could have dropped it as well',
    managedBy: 'program that keeps this chain (docker, kube-proxy, firewalld …); empty if none is known',
    showCommand: 'lists the chain with counters',
    releaseCommand: 'takes the element out of its set or map; empty without',
    blockCommand: 'undoes releaseCommand',
    deleteCommand: 'removes the rule, or sets the policy to accept',
    restoreCommand: 'undoes deleteCommand; empty when it cannot be written',
    insertAcceptCommand: 'lets this flow through, in front of the rule; empty when the flow is not known, and for nft',
    removeAcceptCommand: 'undoes insertAcceptCommand',
    acceptCommand: 'lets this flow through, in front of a rule of nft; the new rule has a handle of its own',
    unread: 'parts of the firewall that could not be read, and why',
  },

  async before(source, netns) {
    await firewallOf(source, netns, 'before');
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const question = questionOf(params);
    const after = await firewallOf(source, params.netns, 'after');
    if (!after.read)
      return unknown(after.unread.join('; ') || 'no firewall could be read', `${prefix}nft list ruleset`);
    const before = await firewallOf(source, params.netns, 'before');
    const suspects = findSuspects(after.chains, before.read ? before.chains : undefined, question);
    const place = [question.table, question.chain ?? question.hook].filter(Boolean).join('/') || 'any hook';
    if (suspects.length === 0) {
      const asked = after.chains.filter((chain) => isAskedFor(chain, question));
      const text = asked.length > 0 ? `no rule of ${place} dropped this packet` : `no firewall rules for ${place} here`;
      // A rule of what could not be read may have dropped it.
      if (after.unread.length > 0)
        return unknown(`${text}; not read: ${after.unread.join('; ')}`, `${prefix}nft list ruleset`);
      return known({ ...NOT_FOUND, unread: [] }, `${prefix}nft list ruleset`, text);
    }
    const bridged = await bridgedBy(source, params.netns, textParam(params, 'device'), suspects[0].chain);
    return factOf({ suspects, question, params, prefix, unread: after.unread, bridged });
  },
};

const NOT_FOUND = {
  found: false,
  certain: null,
  text: '',
  backend: '',
  family: '',
  table: '',
  chain: '',
  route: '',
  hook: '',
  number: 0,
  handle: 0,
  policy: false,
  place: '',
  placeZh: '',
  verdict: '',
  fit: 'no',
  counter: false,
  packets: null,
  counterDelta: null,
  set: '',
  map: '',
  element: '',
  sentBy: '',
  devices: '',
  states: '',
  bridged: '',
  others: 0,
  managedBy: '',
  releaseCommand: '',
  blockCommand: '',
  showCommand: '',
  deleteCommand: '',
  restoreCommand: '',
  insertAcceptCommand: '',
  removeAcceptCommand: '',
  acceptCommand: '',
};

interface Found {
  suspects: FirewallSuspect[];
  question: FirewallQuestion;
  params: EvidenceParams;
  prefix: string;
  unread: string[];
  bridged: string;
}

function factOf({ suspects, question, params, prefix, unread, bridged }: Found): ReturnType<typeof known> {
  const suspect = suspects[0];
  const { chain, rule, route, entry, sentBy } = suspect;
  const commands = firewallCommands(suspect, question.packet, prefix);
  const text = rule ? rule.text : policyText(suspect);
  // What could not be read may hold another rule: then only a counter speaks for this one.
  const certain =
    isCertain(suspects, numberParam(params, 'drops') ?? 1, question.chain !== undefined) &&
    (unread.length === 0 || (suspect.counterDelta ?? 0) > 0);
  const value = {
    ...NOT_FOUND,
    found: true,
    certain: certain || null,
    text,
    backend: chain.backend,
    family: chain.family,
    table: chain.table,
    chain: chain.name,
    route: route.join(' → '),
    hook: chain.hook ?? '',
    number: rule?.number ?? 0,
    handle: rule?.handle ?? 0,
    policy: rule === undefined,
    place: `${rule ? `rule ${rule.number}` : 'the policy'} of ${chain.table}/${chain.name} (${chain.backend})`,
    placeZh: `${chain.table}/${chain.name} ${rule ? `第 ${rule.number} 条规则` : '的默认策略'}（${chain.backend}）`,
    verdict: suspect.verdict,
    fit: suspect.fit,
    counter: suspect.packets !== undefined,
    packets: suspect.packets ?? null,
    counterDelta: suspect.counterDelta,
    set: entry?.kind === 'set' ? entry.name : '',
    map: entry?.kind === 'map' ? entry.name : '',
    element: entry?.text ?? '',
    sentBy: sentBy ? placed(sentBy.chain.name, sentBy.rule.number, sentBy.rule.text) : '',
    devices: chain.devices?.join(', ') ?? '',
    states: (rule?.states ?? sentBy?.rule.states ?? []).join(','),
    bridged,
    others: suspects.length - 1,
    managedBy: managedBy(chain, route),
    ...commands,
    unread,
  };
  return known(
    value,
    commands.showCommand,
    [
      `${chain.table}/${chain.name} (${chain.backend}): ${text}${counted(suspect, params)}`,
      entry?.text === undefined ? '' : `the packet is ${entry.text} of the ${entry.kind} ${entry.name}`,
      sentBy ? `sent there by ${placed(sentBy.chain.name, sentBy.rule.number, sentBy.rule.text)}` : '',
      bridged && `a bridged packet comes here by ${bridged}`,
      managedBy(chain, route) && `kept by ${managedBy(chain, route)}`,
    ]
      .filter(Boolean)
      .join('; '),
  );
}

function placed(chain: string, number: number, text: string): string {
  return `rule ${number} of ${chain} (${text})`;
}

function policyText({ chain }: FirewallSuspect): string {
  return chain.backend === 'nft'
    ? `policy drop of ${chain.family} ${chain.table} ${chain.name}`
    : `-P ${chain.name} DROP`;
}

function counted(suspect: FirewallSuspect, params: EvidenceParams): string {
  if (suspect.packets === undefined) return ', which does not count its packets';
  if (suspect.counterDelta === null) return `, ${suspect.packets} packets since it was made`;
  return `, ${grewBy(suspect.counterDelta, params)} packets`.replace(/^(, \+\d+)( in \d+ s)? packets$/, '$1 packets$2');
}

function questionOf(params: EvidenceParams): FirewallQuestion {
  const [src, dst] = [textParam(params, 'src'), textParam(params, 'dst')];
  const address = src ?? dst;
  const proto = protocolNumber(textParam(params, 'proto'));
  const packet: PacketFacts = {
    ...(src === undefined ? {} : { src }),
    ...(dst === undefined ? {} : { dst }),
    ...(address === undefined ? {} : { version: address.includes(':') ? 6 : 4 }),
    ...(proto === undefined ? {} : { proto }),
    ...positive('sport', numberParam(params, 'sport')),
    ...positive('dport', numberParam(params, 'dport')),
    ...optional('iif', textParam(params, 'iif')),
    ...optional('oif', textParam(params, 'oif')),
    ...optional('flags', textParam(params, 'flags')),
    ...icmpTypeOf(params, proto),
  };
  const lastRole = textParam(params, 'lastRole');
  return {
    packet,
    ...optional('table', textParam(params, 'table')),
    ...optional('chain', textParam(params, 'chain')),
    ...optional('hook', textParam(params, 'hook')?.toLowerCase()),
    ...optional('family', textParam(params, 'family')),
    ...optional('backend', textParam(params, 'backend')),
    ...(lastRole === undefined ? {} : { origin: lastRole === 'receive' ? ('received' as const) : undefined }),
  };
}

function icmpTypeOf(params: EvidenceParams, proto: number | undefined): { icmpType?: number } {
  const icmpType = numberParam(params, 'icmpType');
  return icmpType === undefined || (proto !== 1 && proto !== 58) ? {} : { icmpType };
}

function optional<K extends string>(name: K, value: string | undefined): Partial<Record<K, string>> {
  return value === undefined ? {} : ({ [name]: value } as Record<K, string>);
}

/** Port 0 in an event means that the packet has none (ICMP, a fragment): it is not known then. */
function positive<K extends string>(name: K, value: number | undefined): Partial<Record<K, number>> {
  return value === undefined || value <= 0 ? {} : ({ [name]: value } as Record<K, number>);
}
