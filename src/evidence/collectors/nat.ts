import { commandPrefix, known, numberParam, textParam, unknown } from '../facts.js';
import { firewallCommands } from '../firewall/commands.js';
import {
  protocolNumber,
  type FirewallChain,
  type FirewallRule,
  type Fit,
  type PacketFacts,
} from '../firewall/model.js';
import { firewallOf } from '../firewall/read.js';
import { grownBy } from '../firewall/search.js';
import { isTo, translationsTo, type Translations } from '../firewall/translations.js';
import type { EvidenceCollector, EvidenceParams } from '../types.js';

/** Rules that translate addresses (net/netfilter/nf_nat_core.c), and what became of the connections they made. */
export const nat: EvidenceCollector = {
  name: 'nat',
  describe:
    'The rule that sends a packet to another destination or gives it another source, and how its connections fare.',
  params: {
    kind: '`dnat`: the rule whose new destination the packet has; `snat`: the rule that should give it a new source',
    src: 'source address of the packet',
    dst: 'destination address; of dnat the new one',
    proto: 'TCP, UDP, ICMP … or its number',
    sport: 'source port',
    dport: 'destination port; of dnat the new one',
    oif: 'device it leaves by',
  },
  members: {
    found: 'dnat: a rule sends packets there; snat: a rule gives this packet another source',
    text: 'the rule as its tool prints it; empty if not found',
    backend: 'iptables-legacy, iptables-nft or nft',
    table: 'table',
    chain: 'chain',
    number: 'line of the rule in its chain, from 1',
    counterDelta: 'connections it translated during the run; null without a counter',
    backendAddress: 'dnat: address that it sends to',
    backendPort: 'dnat: port that it sends to; 0 when it keeps the port',
    service: 'dnat: address and port that clients ask for; empty without a connection',
    connections: 'dnat: connections to that address (and port) that are known; null when they cannot be read',
    unanswered: 'dnat: of these, without any answer; null when they cannot be read',
    refused:
      'dnat: what it translated during the run is gone already, as only a reset for a first answer does; null when not known',
    dead: 'dnat: none of its connections has an answer, or all were refused; null when that is not known',
    rules: 'snat: rules that give packets another source here',
    missing: 'snat: there are such rules, and none is for this packet; null when one may be',
    nearest: 'snat: the first of these rules; empty without',
    nearestPlace: 'snat: where it stands: `rule 1 of nat/POSTROUTING (iptables-legacy)`',
    addCommand: 'snat: adds a rule that translates the packets of its source on this way; empty when not known',
    restoreCommand: 'undoes addCommand or deleteCommand',
    showCommand: 'lists the chain with counters',
    deleteCommand: 'dnat: removes the rule',
  },

  async before(source, netns) {
    await firewallOf(source, netns, 'before');
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const after = await firewallOf(source, params.netns, 'after');
    if (!after.read)
      return unknown(after.unread.join('; ') || 'no firewall could be read', `${prefix}nft list ruleset`);
    const before = await firewallOf(source, params.netns, 'before');
    const packet = packetOf(params);
    if (textParam(params, 'kind') === 'snat') return sourceNat(after.chains, packet, prefix);
    const found = destinationNat(after.chains, before.read ? before.chains : undefined, packet);
    if (!found)
      return known({ ...NOTHING }, `${prefix}nft list ruleset`, `no rule sends packets to ${packet.dst ?? '?'}`);
    const translations = await translationsTo(source, params, packet);
    return destinationFact(found, translations, packet, prefix);
  },
};

const NOTHING = {
  found: false,
  text: '',
  backend: '',
  table: '',
  chain: '',
  number: 0,
  counterDelta: null,
  backendAddress: '',
  backendPort: 0,
  service: '',
  connections: null,
  unanswered: null,
  refused: null,
  dead: null,
  rules: 0,
  missing: null,
  nearest: '',
  nearestPlace: '',
  addCommand: '',
  restoreCommand: '',
  showCommand: '',
  deleteCommand: '',
};

interface NatRule {
  chain: FirewallChain;
  rule: FirewallRule;
  counterDelta: number | null;
}

/** The rule that translates to this destination; the one that counted most when several do. */
function destinationNat(
  after: readonly FirewallChain[],
  before: readonly FirewallChain[] | undefined,
  packet: PacketFacts,
): NatRule | undefined {
  return rulesOf(after, 'dnat')
    .filter(({ rule }) => isTo(rule.nat!.to, packet.dst ?? '', packet.dport))
    .map(({ chain, rule }) => ({ chain, rule, counterDelta: grownBy(before, chain, rule) }))
    .sort((a, b) => (b.counterDelta ?? 0) - (a.counterDelta ?? 0))
    .find(({ counterDelta }) => counterDelta !== 0);
}

function rulesOf(
  chains: readonly FirewallChain[],
  kind: 'dnat' | 'snat',
): { chain: FirewallChain; rule: FirewallRule }[] {
  return chains.flatMap((chain) =>
    chain.rules.filter((rule) => rule.nat?.kind === kind).map((rule) => ({ chain, rule })),
  );
}

function destinationFact(
  { chain, rule, counterDelta }: NatRule,
  translations: Translations | undefined,
  packet: PacketFacts,
  prefix: string,
): ReturnType<typeof known> {
  const { deleteCommand, restoreCommand, showCommand } = firewallCommands(
    { chain, rule, verdict: 'DROP', fit: 'yes', counterDelta, route: [chain.name] },
    packet,
  );
  // The entry of a connection whose first answer is a reset is removed at once (nf_conntrack_tcp_packet); one that was
  // answered otherwise stays for minutes after its end.
  const refused = !translations || counterDelta === null ? null : translations.connections === 0 && counterDelta > 0;
  const value = {
    ...NOTHING,
    ...placeOf(chain, rule),
    found: true,
    counterDelta,
    backendAddress: packet.dst ?? '',
    backendPort: packet.dport ?? 0,
    ...(translations ?? {}),
    service: translations?.service || serviceOf(rule),
    refused,
    dead: refused === true ? true : (translations?.dead ?? null),
    showCommand: `${prefix}${showCommand}`,
    deleteCommand: deleteCommand && `${prefix}${deleteCommand}`,
    restoreCommand: restoreCommand && `${prefix}${restoreCommand}`,
  };
  const fared = !translations
    ? ''
    : refused
      ? '; none of these connections is left: a reset was the answer to each'
      : `; ${translations.unanswered} of ${translations.connections} connections have no answer`;
  const counted = counterDelta === null ? '' : `, +${counterDelta}`;
  return known(
    value,
    value.showCommand,
    `${chain.table}/${chain.name} (${chain.backend}): ${rule.text}${counted}${fared}`,
  );
}

/** What clients ask for, as far as the rule says: `10.0.0.1:80`. */
function serviceOf({ words = [] }: FirewallRule): string {
  const option = (name: string): string => words[words.indexOf(name) + 1] ?? '';
  const address = words.includes('-d') ? option('-d').replace(/\/(32|128)$/, '') : '';
  const port = words.includes('--dport') ? option('--dport') : '';
  return port === '' ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whether a packet gets another source where it leaves; rules after one that surely fits do not matter. */
function sourceNat(chains: readonly FirewallChain[], packet: PacketFacts, prefix: string): ReturnType<typeof known> {
  const version = (family: string): boolean => family === 'inet' || family === (packet.version === 6 ? 'ip6' : 'ip');
  const rules = rulesOf(chains, 'snat').filter(({ chain }) => version(chain.family));
  const fits = rules.map(({ rule }): Fit => rule.test(packet));
  const [first] = rules;
  if (!first)
    return known(
      { ...NOTHING, missing: false },
      `${prefix}nft list ruleset`,
      'no rule gives packets another source here',
    );
  const missing = fits.every((fit) => fit === 'no') ? true : fits.includes('yes') ? false : null;
  const { showCommand } = firewallCommands(
    { ...first, verdict: 'DROP', fit: 'yes', counterDelta: null, route: [first.chain.name] },
    packet,
  );
  const value = {
    ...NOTHING,
    ...(missing === false ? placeOf(first.chain, first.rule) : {}),
    found: missing === false,
    rules: rules.length,
    missing,
    nearest: first.rule.text,
    nearestPlace: `rule ${first.rule.number} of ${first.chain.table}/${first.chain.name} (${first.chain.backend})`,
    ...masqueradeCommands(first.chain, packet, prefix),
    showCommand: `${prefix}${showCommand}`,
  };
  const text = `${rules.length} rules give packets another source here, ${missing ? `none those of ${packet.src}` : 'one may be for this'}: ${first.rule.text}`;
  return known(value, value.showCommand, text);
}

/** A rule for this source and way out, in the words of the tool that keeps the others; nft's cannot be taken back by one command. */
function masqueradeCommands(
  { backend, tool, table, name }: FirewallChain,
  { src, oif }: PacketFacts,
  prefix: string,
): { addCommand: string; restoreCommand: string } {
  if (!backend.startsWith('iptables') || src === undefined || oif === undefined || !/^[\w.@-]+$/.test(oif))
    return { addCommand: '', restoreCommand: '' };
  const words = `${name} -s ${src} -o ${oif} -j MASQUERADE`;
  return {
    addCommand: `${prefix}${tool} -t ${table} -A ${words}`,
    restoreCommand: `${prefix}${tool} -t ${table} -D ${words}`,
  };
}

function placeOf(chain: FirewallChain, rule: FirewallRule): Record<string, string | number> {
  return { text: rule.text, backend: chain.backend, table: chain.table, chain: chain.name, number: rule.number };
}

function packetOf(params: EvidenceParams): PacketFacts {
  const text = (name: string): string | undefined => textParam(params, name);
  const proto = protocolNumber(text('proto'));
  const address = text('src') ?? text('dst');
  const port = (name: string): number | undefined => numberParam(params, name) || undefined;
  return {
    ...(text('src') && { src: text('src') }),
    ...(text('dst') && { dst: text('dst') }),
    ...(address && { version: address.includes(':') ? 6 : 4 }),
    ...(proto !== undefined && { proto }),
    ...(port('sport') && { sport: port('sport') }),
    ...(port('dport') && { dport: port('dport') }),
    ...(text('oif') && { oif: text('oif') }),
  };
}
