import { addressFits } from '../firewall/address-match.js';
import {
  allOf,
  fits,
  negate,
  protocolNumber,
  type FirewallBackend,
  type FirewallChain,
  type FirewallRule,
  type Fit,
  type Outcome,
  type PacketFacts,
  type Test,
} from '../firewall/model.js';
import { savedWords } from '../shell-words.js';

const HOOKS = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);
const VERDICTS = new Set(['DROP', 'REJECT', 'ACCEPT', 'RETURN']);

/** Parses `iptables-save -c` or `ip6tables-save -c` of either variant. Lines that are none of its are passed over. */
export function parseIptablesSave(
  text: string,
  origin: { backend: FirewallBackend; tool: string; family: string },
): FirewallChain[] {
  const chains: FirewallChain[] = [];
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim();
    const chain = /^:(\S+) (\S+) \[(\d+):\d+\]/.exec(line);
    if (chain) {
      const [, name, policy, packets] = chain;
      const base = HOOKS.has(name) && policy !== '-';
      chains.push({
        ...origin,
        table,
        name,
        ...(base ? { hook: name.toLowerCase(), priority: priorityOf(table, name) } : {}),
        ...(policy === 'DROP' || policy === 'ACCEPT' ? { policy, policyPackets: Number(packets) } : {}),
        rules: [],
      });
    }
    const rule = /^(?:\[(\d+):\d+\] )?-A (\S+) ?(.*)$/.exec(line);
    if (rule) {
      const [, packets, name, spec] = rule;
      const home = chains.find((one) => one.table === table && one.name === name);
      if (!home) continue;
      const words = savedWords(spec);
      home.rules.push({
        number: home.rules.length + 1,
        text: `-A ${name} ${spec}`.trimEnd(),
        words,
        ...(packets === undefined ? {} : { packets: Number(packets) }),
        ...readSpec(words),
      });
    }
  }
  return chains;
}

/** Order of the tables at a hook: enum nf_ip_hook_priorities of include/uapi/linux/netfilter_ipv4.h. */
const PRIORITIES: Record<string, number> = { raw: -300, mangle: -150, filter: 0, security: 50 };

function priorityOf(table: string, chain: string): number {
  if (table === 'nat') return chain === 'PREROUTING' || chain === 'OUTPUT' ? -100 : 100;
  return PRIORITIES[table] ?? 0;
}

/** Options whose argument changes nothing about which packets fit. */
const NEUTRAL = new Set(['-m', '--match', '--comment']);

function readSpec(words: string[]): Pick<FirewallRule, 'test' | 'outcomes' | 'conditions' | 'states' | 'nat'> {
  const tests: Test[] = [];
  const outcomes: Outcome[] = [];
  let states: string[] | undefined;
  let nat: FirewallRule['nat'];
  for (let i = 0; i < words.length; i++) {
    const not = words[i] === '!';
    if (not) i++;
    const option = words[i] ?? '';
    if (option === '-j' || option === '-g' || option === '--jump' || option === '--goto') {
      outcomes.push(outcomeOf(words[i + 1] ?? '', option));
      nat = natOf(words.slice(i + 1));
      break; // What follows are the target's own options.
    }
    if (NEUTRAL.has(option)) i++;
    else if (option === '--tcp-flags') {
      const test = flagsTest(words[i + 1] ?? '', words[i + 2] ?? '');
      tests.push(not ? (packet) => negate(test(packet)) : test);
      i += 2;
    } else if (option.startsWith('-')) {
      if ((option === '--ctstate' || option === '--state') && !not) states = (words[i + 1] ?? '').split(',');
      const test = testOf(option, words[i + 1] ?? '');
      if (test) i++;
      const checked = test ?? (() => 'maybe' as const);
      tests.push(not ? (packet) => negate(checked(packet)) : checked);
    }
  }
  return { test: allOf(tests), outcomes, conditions: tests.length, ...(states && { states }), ...(nat && { nat }) };
}

/** A target of the nat table with its options. */
function natOf([target, ...options]: string[]): FirewallRule['nat'] {
  const option = (name: string): string => options[options.indexOf(name) + 1] ?? '';
  switch (target) {
    case 'DNAT':
      return { kind: 'dnat', to: option('--to-destination') };
    case 'REDIRECT':
      return { kind: 'dnat', to: `:${option('--to-ports')}` };
    case 'SNAT':
      return { kind: 'snat', to: option('--to-source') };
    case 'MASQUERADE':
      return { kind: 'snat', to: '' };
    default:
      return undefined;
  }
}

const FLAG_LETTERS: Record<string, string> = { FIN: 'F', SYN: 'S', RST: 'R', PSH: 'P', ACK: '.', URG: 'U' };

/** `--tcp-flags FIN,SYN,RST,ACK SYN`: of the first, exactly the second are set. */
function flagsTest(mask: string, set: string): Test {
  const [asked, wanted] = [mask, set].map((list) =>
    list === 'ALL' ? Object.values(FLAG_LETTERS) : list.split(',').map((name) => FLAG_LETTERS[name] ?? name),
  );
  return ({ proto, flags }) => {
    if (proto !== undefined && proto !== 6) return 'no';
    if (flags === undefined) return 'maybe';
    return fits(asked.every((letter) => flags.includes(letter) === wanted.includes(letter)));
  };
}

function outcomeOf(target: string, option: string): Outcome {
  if (VERDICTS.has(target)) return { verdict: target as Outcome['verdict'] };
  if (natOf([target]) !== undefined) return { verdict: 'ACCEPT' };
  if (target === 'NFQUEUE' || target === 'QUEUE') return { verdict: 'QUEUE' };
  return option === '-g' || option === '--goto' ? { target, goto: true } : { target };
}

function testOf(option: string, value: string): Test | undefined {
  switch (option) {
    case '-s':
    case '--source':
      return (packet) => addressFits(packet.src, value);
    case '-d':
    case '--destination':
      return (packet) => addressFits(packet.dst, value);
    case '-i':
    case '--in-interface':
      return (packet) => deviceFits(packet.iif, value);
    case '-o':
    case '--out-interface':
      return (packet) => deviceFits(packet.oif, value);
    case '-p':
    case '--protocol':
      return (packet) => protocolFits(packet, value);
    case '--sport':
    case '--source-port':
    case '--sports':
    case '--source-ports':
      return (packet) => portFits(packet.sport, value);
    case '--dport':
    case '--destination-port':
    case '--dports':
    case '--destination-ports':
      return (packet) => portFits(packet.dport, value);
    case '--icmp-type':
    case '--icmpv6-type':
      return (packet) => icmpFits(packet, value, option === '--icmp-type' ? 1 : 58);
    case '--ports':
      return (packet) => {
        const [source, destination] = [portFits(packet.sport, value), portFits(packet.dport, value)];
        if (source === 'yes' || destination === 'yes') return 'yes';
        return source === 'no' && destination === 'no' ? 'no' : 'maybe';
      };
    default:
      return undefined;
  }
}

/** `8`, or `3/4` with a code, which is not known of a packet. */
function icmpFits({ proto, icmpType }: PacketFacts, value: string, wanted: number): Fit {
  if (proto !== undefined && proto !== wanted) return 'no';
  const [type, code] = value.split('/');
  if (icmpType === undefined || !/^\d+$/.test(type)) return 'maybe';
  if (Number(type) !== icmpType) return 'no';
  return code === undefined ? 'yes' : 'maybe';
}

function protocolFits(packet: PacketFacts, value: string): Fit {
  if (value === 'all' || value === '0') return 'yes';
  const wanted = protocolNumber(value);
  if (packet.proto === undefined || wanted === undefined) return 'maybe';
  return fits(packet.proto === wanted);
}

/** `eth0`, or `veth+` for all that begin so. */
export function deviceFits(device: string | undefined, value: string): Fit {
  if (device === undefined) return 'maybe';
  return fits(value.endsWith('+') ? device.startsWith(value.slice(0, -1)) : device === value);
}

/** `80`, `7003:7005`, `:1024`, `7001,7003:7005`. */
export function portFits(port: number | undefined, value: string): Fit {
  if (port === undefined) return 'maybe';
  return fits(
    value.split(',').some((part) => {
      const [low, high = low] = part.split(':');
      return port >= Number(low || 0) && port <= Number(high || 65535);
    }),
  );
}
