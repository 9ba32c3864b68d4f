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

/** Before they are put into a namespace; where one command is not enough, several. */
type Lines = { [name in keyof FirewallCommands]: string | readonly string[] };
type RuleCommands = Omit<Lines, 'releaseCommand' | 'blockCommand'>;

/**
 * Commands that show, remove and restore the rule, and that let this one flow through in front of it. A rule that takes
 * whatever comes to its chain (the end of a LOGDROP chain) is left alone: it is the rule that sent the packet there.
 * @param prefix what puts a command into the firewall's namespace: before each
 */
export function firewallCommands(suspect: FirewallSuspect, packet: PacketFacts, prefix = ''): FirewallCommands {
  const meant: FirewallSuspect = suspect.sentBy ? { ...suspect, ...suspect.sentBy } : suspect;
  const all: Lines = { ...ruleCommands(meant, packet), ...entryCommands(suspect) };
  const inPlace = (lines: string | readonly string[]): string =>
    [lines]
      .flat()
      .filter((line) => line !== '')
      .map((line) => `${prefix}${line}`)
      .join(' && ');
  return Object.fromEntries(
    Object.entries(all).map(([name, lines]) => [name, inPlace(lines)]),
  ) as unknown as FirewallCommands;
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
  const number = rule?.number ?? chain.rules.length + 1;
  // A policy takes the answers as well, which come through the same chain where the host forwards.
  const flows = rule === undefined && name === 'FORWARD' ? [packet, answersTo(packet)] : [packet];
  const accepts = flows.map(acceptWords).filter((words) => words.length > 0);
  const lines = (command: (accept: string[], i: number) => string[]): string[] =>
    accepts.map((accept, i) => shellLine([...base, ...command(accept, i), '-j', 'ACCEPT']));
  return {
    showCommand: shellLine([...base, '-L', name, '-v', '-n', '-x', '--line-numbers']),
    ...(rule
      ? {
          // By its words, not its number: numbers shift when rules come and go.
          deleteCommand: shellLine([...base, '-D', name, ...(rule.words ?? [])]),
          restoreCommand: shellLine([...base, '-I', name, String(number), ...(rule.words ?? [])]),
        }
      : {
          deleteCommand: shellLine([...base, '-P', name, 'ACCEPT']),
          restoreCommand: shellLine([...base, '-P', name, 'DROP']),
        }),
    insertAcceptCommand: lines((accept, i) => ['-I', name, String(number + i), ...accept]),
    acceptCommand: '',
    removeAcceptCommand: lines((accept) => ['-D', name, ...accept]),
  };
}

function answersTo({ src, dst, sport, dport, ...rest }: PacketFacts): PacketFacts {
  return { ...rest, src: dst, dst: src, sport: dport, dport: sport };
}

/** Linux gives such ports to who asks (net.ipv4.ip_local_port_range): the next connection has another one. */
const FIRST_PASSING_PORT = 32768;

/** The port that tells the service, of the two of a packet: that of the destination, or of the source of an answer. */
function servicePort({ sport, dport }: PacketFacts): { side: 'sport' | 'dport'; port: number } | undefined {
  if (dport && (dport < FIRST_PASSING_PORT || !sport || sport >= FIRST_PASSING_PORT))
    return { side: 'dport', port: dport };
  return sport && dport ? { side: 'sport', port: sport } : undefined;
}

function acceptWords(packet: PacketFacts): string[] {
  const words: string[] = [];
  if (isAddress(packet.src)) words.push('-s', packet.src!);
  if (isAddress(packet.dst)) words.push('-d', packet.dst!);
  const protocol = packet.proto === undefined ? undefined : PROTOCOL_NAMES[packet.proto];
  if (protocol) words.push('-p', protocol);
  const service = servicePort(packet);
  if ((protocol === 'tcp' || protocol === 'udp') && service) words.push(`--${service.side}`, String(service.port));
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
  const service = servicePort(packet);
  if ((protocol === 'tcp' || protocol === 'udp') && service) words.push(protocol, service.side, String(service.port));
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
function bridgeAcceptWords(packet: PacketFacts): string[] | undefined {
  const { src, dst, proto } = packet;
  if (!isAddress(src) || !isAddress(dst)) return undefined;
  const ip = src!.includes(':') ? 'ip6' : 'ip';
  const words = ['-p', ip === 'ip6' ? 'IPv6' : 'IPv4', `--${ip}-src`, src!, `--${ip}-dst`, dst!];
  const protocol = proto === undefined ? undefined : PROTOCOL_NAMES[proto];
  if (!protocol) return words;
  words.push(`--${ip}-proto`, protocol === 'icmpv6' ? 'ipv6-icmp' : protocol);
  const service = servicePort(packet);
  if ((protocol === 'tcp' || protocol === 'udp') && service)
    words.push(`--${ip}-${service.side}`, String(service.port));
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
