import { addressFits } from '../firewall/address-match.js';
import {
  allOf,
  fits,
  negate,
  protocolNumber,
  type FirewallBackend,
  type FirewallChain,
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
        ...(base ? { hook: name.toLowerCase() } : {}),
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

/** Options whose argument changes nothing about which packets fit. */
const NEUTRAL = new Set(['-m', '--match', '--comment']);

function readSpec(words: string[]): { test: Test; outcomes: Outcome[] } {
  const tests: Test[] = [];
  const outcomes: Outcome[] = [];
  for (let i = 0; i < words.length; i++) {
    const not = words[i] === '!';
    if (not) i++;
    const option = words[i] ?? '';
    if (option === '-j' || option === '-g' || option === '--jump' || option === '--goto') {
      outcomes.push(outcomeOf(words[i + 1] ?? '', option));
      break; // What follows are the target's own options.
    }
    if (NEUTRAL.has(option)) i++;
    else if (option.startsWith('-')) {
      const test = testOf(option, words[i + 1] ?? '');
      if (test) i++;
      const checked = test ?? (() => 'maybe' as const);
      tests.push(not ? (packet) => negate(checked(packet)) : checked);
    }
  }
  return { test: allOf(tests), outcomes };
}

function outcomeOf(target: string, option: string): Outcome {
  if (VERDICTS.has(target)) return { verdict: target as Outcome['verdict'] };
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
function portFits(port: number | undefined, value: string): Fit {
  if (port === undefined) return 'maybe';
  return fits(
    value.split(',').some((part) => {
      const [low, high = low] = part.split(':');
      return port >= Number(low || 0) && port <= Number(high || 65535);
    }),
  );
}
