import { shellLine, shellWord } from '../shell-words.js';
import { parseAddress } from './address-match.js';
import type { FirewallChain, PacketFacts } from './model.js';
import type { FirewallSuspect } from './search.js';

/** What a user may type about a rule that drops; empty texts where there is no safe command. */
export interface FirewallCommands {
  showCommand: string;
  /** Takes the element that decided out of its set or map. */
  releaseCommand: string;
  /** Undoes releaseCommand. */
  blockCommand: string;
  deleteCommand: string;
  restoreCommand: string;
  /** Lets the flow through; empty for nft, whose new rule could not be taken back by one command. */
  insertAcceptCommand: string;
  removeAcceptCommand: string;
  /** The same for nft. */
  acceptCommand: string;
}

const PROTOCOL_NAMES: Record<number, string> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6', 132: 'sctp' };

type RuleCommands = Omit<FirewallCommands, 'releaseCommand' | 'blockCommand'>;

/**
 * Commands that show, remove and restore the rule, and that let this one flow through in front of it. A rule that takes
 * whatever comes to its chain (the end of a LOGDROP chain) is left alone: it is the rule that sent the packet there.
 */
export function firewallCommands(suspect: FirewallSuspect, packet: PacketFacts): FirewallCommands {
  const meant: FirewallSuspect = suspect.sentBy ? { ...suspect, ...suspect.sentBy } : suspect;
  return { ...ruleCommands(meant, packet), ...entryCommands(suspect) };
}

function ruleCommands(suspect: FirewallSuspect, packet: PacketFacts): RuleCommands {
  if (suspect.chain.backend === 'nft') return nftCommands(suspect, packet);
  if (suspect.chain.backend.startsWith('ebtables')) return ebtablesCommands(suspect, packet);
  return iptablesCommands(suspect, packet);
}

function entryCommands({ chain, entry }: FirewallSuspect): { releaseCommand: string; blockCommand: string } {
  if (entry?.text === undefined) return { releaseCommand: '', blockCommand: '' };
  const line = (action: string): string =>
    `nft ${shellWord(`${action} element ${chain.family} ${chain.table} ${entry.name} { ${entry.text} }`)}`;
  return { releaseCommand: line('delete'), blockCommand: line('add') };
}

function iptablesCommands({ chain, rule }: FirewallSuspect, packet: PacketFacts): RuleCommands {
  const { tool, table, name } = chain;
  const base = [tool, '-t', table];
  const accept = acceptWords(packet);
  const number = String(rule?.number ?? chain.rules.length + 1);
  return {
    showCommand: shellLine([...base, '-L', name, '-v', '-n', '-x', '--line-numbers']),
    ...(rule
      ? {
          // By its words, not its number: numbers shift when rules come and go.
          deleteCommand: shellLine([...base, '-D', name, ...(rule.words ?? [])]),
          restoreCommand: shellLine([...base, '-I', name, number, ...(rule.words ?? [])]),
        }
      : {
          deleteCommand: shellLine([...base, '-P', name, 'ACCEPT']),
          restoreCommand: shellLine([...base, '-P', name, 'DROP']),
        }),
    insertAcceptCommand: accept.length > 0 ? shellLine([...base, '-I', name, number, ...accept, '-j', 'ACCEPT']) : '',
    acceptCommand: '',
    removeAcceptCommand: accept.length > 0 ? shellLine([...base, '-D', name, ...accept, '-j', 'ACCEPT']) : '',
  };
}

function acceptWords(packet: PacketFacts): string[] {
  const words: string[] = [];
  if (isAddress(packet.src)) words.push('-s', packet.src!);
  if (isAddress(packet.dst)) words.push('-d', packet.dst!);
  const protocol = packet.proto === undefined ? undefined : PROTOCOL_NAMES[packet.proto];
  if (protocol) words.push('-p', protocol);
  if ((protocol === 'tcp' || protocol === 'udp') && packet.dport) words.push('--dport', String(packet.dport));
  return words;
}

function nftCommands({ chain, rule }: FirewallSuspect, packet: PacketFacts): RuleCommands {
  const place = [chain.family, chain.table, chain.name];
  const showCommand = shellLine(['nft', '-a', 'list', 'chain', ...place]);
  const accept = acceptExpression(packet);
  if (!rule) {
    const policy = (verdict: string): string => `nft ${shellWord(`chain ${place.join(' ')} { policy ${verdict} ; }`)}`;
    const last = chain.rules.at(-1);
    return {
      showCommand,
      deleteCommand: policy('accept'),
      restoreCommand: policy('drop'),
      insertAcceptCommand: '',
      acceptCommand: accept ? shellLine(['nft', last ? 'add' : 'insert', 'rule', ...place, ...accept, 'accept']) : '',
      removeAcceptCommand: '',
    };
  }
  const handle = String(rule.handle ?? '');
  const isLast = rule.number === chain.rules.length;
  const back = isLast ? ['add', 'rule', ...place] : ['insert', 'rule', ...place, 'index', String(rule.number - 1)];
  // A text that is not nft's own (JSON of a rule whose text could not be read) cannot be typed back.
  const typeable = !rule.text.startsWith('{');
  return {
    showCommand,
    deleteCommand: handle ? shellLine(['nft', 'delete', 'rule', ...place, 'handle', handle]) : '',
    restoreCommand: typeable ? `nft ${shellWord([...back, rule.text].join(' '))}` : '',
    insertAcceptCommand: '',
    acceptCommand:
      accept && handle ? shellLine(['nft', 'insert', 'rule', ...place, 'position', handle, ...accept, 'accept']) : '',
    removeAcceptCommand: '',
  };
}

function acceptExpression(packet: PacketFacts): string[] | undefined {
  const words: string[] = [];
  const family = (address: string): string => (address.includes(':') ? 'ip6' : 'ip');
  if (isAddress(packet.src)) words.push(family(packet.src!), 'saddr', packet.src!);
  if (isAddress(packet.dst)) words.push(family(packet.dst!), 'daddr', packet.dst!);
  const protocol = packet.proto === undefined ? undefined : PROTOCOL_NAMES[packet.proto];
  if ((protocol === 'tcp' || protocol === 'udp') && packet.dport) words.push(protocol, 'dport', String(packet.dport));
  else if (protocol) words.push('meta', 'l4proto', protocol === 'icmpv6' ? 'ipv6-icmp' : protocol);
  return words.length > 0 ? words : undefined;
}

function ebtablesCommands({ chain, rule }: FirewallSuspect, packet: PacketFacts): RuleCommands {
  const base = [chain.tool, '-t', chain.table];
  const number = String(rule?.number ?? chain.rules.length + 1);
  const accept = bridgeAcceptWords(packet);
  return {
    showCommand: shellLine([...base, '-L', chain.name, '--Lc', '--Ln']),
    deleteCommand: rule
      ? shellLine([...base, '-D', chain.name, ...(rule.words ?? [])])
      : shellLine([...base, '-P', chain.name, 'ACCEPT']),
    restoreCommand: rule
      ? shellLine([...base, '-I', chain.name, number, ...(rule.words ?? [])])
      : shellLine([...base, '-P', chain.name, 'DROP']),
    insertAcceptCommand: accept ? shellLine([...base, '-I', chain.name, number, ...accept, '-j', 'ACCEPT']) : '',
    acceptCommand: '',
    removeAcceptCommand: accept ? shellLine([...base, '-D', chain.name, ...accept, '-j', 'ACCEPT']) : '',
  };
}

/** The flow in the words of ebtables, both addresses known. */
function bridgeAcceptWords({ src, dst, proto, dport }: PacketFacts): string[] | undefined {
  if (!isAddress(src) || !isAddress(dst)) return undefined;
  const ip = src!.includes(':') ? 'ip6' : 'ip';
  const words = ['-p', ip === 'ip6' ? 'IPv6' : 'IPv4', `--${ip}-src`, src!, `--${ip}-dst`, dst!];
  const protocol = proto === undefined ? undefined : PROTOCOL_NAMES[proto];
  if (!protocol) return words;
  words.push(`--${ip}-proto`, protocol === 'icmpv6' ? 'ipv6-icmp' : protocol);
  if ((protocol === 'tcp' || protocol === 'udp') && dport) words.push(`--${ip}-dport`, String(dport));
  return words;
}

function isAddress(text: string | undefined): boolean {
  return text !== undefined && parseAddress(text) !== undefined;
}

/** Programs that keep a firewall of their own: a rule of theirs comes back unless it is changed there. */
const MANAGERS: [RegExp, string][] = [
  [/^(DOCKER|docker)/, 'docker'],
  [/^KUBE-/, 'kube-proxy'],
  [/^(cali-|CALICO)/, 'calico'],
  [/^CILIUM/, 'cilium'],
  [/^LIBVIRT_|^libvirt/, 'libvirt'],
  [/^ufw6?-/, 'ufw'],
  [/^firewalld$|^(IN|FWD|PRE|POST|INPUT|FORWARD)_(public|ZONES|direct)|^filter_(INPUT|FORWARD)/, 'firewalld'],
  [/^f2b-|^fail2ban/, 'fail2ban'],
  [/^CNI-|^NETAVARK/, 'podman or a CNI plugin'],
  [/^neutron-/, 'neutron'],
];

/** Who keeps this chain, by its name and its table's; empty when it is nobody's we know. */
export function managedBy(chain: FirewallChain, route: readonly string[]): string {
  const names = [chain.name, chain.table, ...route];
  return MANAGERS.find(([pattern]) => names.some((name) => pattern.test(name)))?.[1] ?? '';
}
