import {
  allOf,
  fits,
  negate,
  protocolNumber,
  type FirewallChain,
  type FirewallRule,
  type Outcome,
  type Test,
} from '../firewall/model.js';
import { addressFits } from '../firewall/address-match.js';
import { savedWords } from '../shell-words.js';
import { deviceFits, portFits } from './iptables-save.js';

/** Parses `ebtables-legacy -t TABLE -L --Lc`, or that of ebtables-nft: one block a chain, one line a rule with `, pcnt = N -- bcnt = N` at its end. */
export function parseEbtablesList(
  text: string,
  backend: 'ebtables-legacy' | 'ebtables-nft' = 'ebtables-legacy',
): FirewallChain[] {
  const chains: FirewallChain[] = [];
  let table = 'filter';
  for (const line of text.split('\n')) {
    table = /^Bridge table: (\S+)/.exec(line)?.[1] ?? table;
    const chain = /^Bridge chain: (\S+), entries: \d+, policy: (\S+)/.exec(line);
    if (chain) {
      const [, name, policy] = chain;
      chains.push({
        backend,
        tool: backend,
        family: 'bridge',
        table,
        name,
        ...(/^[A-Z]+$/.test(name) ? { hook: name.toLowerCase(), priority: priorityOf(table, name) } : {}),
        ...(policy === 'DROP' || policy === 'ACCEPT' ? { policy } : {}),
        rules: [],
      });
      continue;
    }
    const rule = /^(-.*?)\s*, pcnt = (\d+) -- bcnt = \d+$/.exec(line);
    const home = chains.at(-1);
    if (!rule || !home) continue;
    const words = savedWords(rule[1]);
    home.rules.push({
      number: home.rules.length + 1,
      text: `-A ${home.name} ${rule[1]}`,
      words,
      packets: Number(rule[2]),
      ...readSpec(words),
    });
  }
  return chains;
}

/** enum nf_br_hook_priorities of include/uapi/linux/netfilter_bridge.h; broute comes before all of them. */
function priorityOf(table: string, chain: string): number {
  if (table === 'filter') return chain === 'OUTPUT' ? 200 : -200;
  return { PREROUTING: -300, OUTPUT: 100, POSTROUTING: 300 }[chain] ?? -1000;
}

function readSpec(words: string[]): Pick<FirewallRule, 'test' | 'outcomes' | 'conditions'> {
  const tests: Test[] = [];
  const outcomes: Outcome[] = [];
  for (let i = 0; i < words.length; i++) {
    const option = words[i];
    if (!option.startsWith('-')) continue;
    const not = words[i + 1] === '!';
    const value = words[i + (not ? 2 : 1)] ?? '';
    if (option === '-j') {
      const known = ['DROP', 'ACCEPT', 'RETURN'].includes(value);
      // CONTINUE and the watchers decide nothing.
      if (known) outcomes.push({ verdict: value as Outcome['verdict'] });
      else if (value !== 'CONTINUE') outcomes.push({ target: value });
      break;
    }
    const test = testOf(option, value);
    tests.push(not ? (packet) => negate(test(packet)) : test);
  }
  return { test: allOf(tests), outcomes, conditions: tests.length };
}

function testOf(option: string, value: string): Test {
  switch (option) {
    case '--ip-src':
    case '--ip6-src':
    case '--arp-ip-src':
      return (packet) => addressFits(packet.src, value);
    case '--ip-dst':
    case '--ip6-dst':
    case '--arp-ip-dst':
      return (packet) => addressFits(packet.dst, value);
    case '-i':
      return (packet) => deviceFits(packet.iif, value);
    case '-o':
      return (packet) => deviceFits(packet.oif, value);
    case '-p':
      return (packet) => {
        const version = { ipv4: 4, ipv6: 6 }[value.toLowerCase()];
        return version === undefined || packet.version === undefined ? 'maybe' : fits(version === packet.version);
      };
    case '--ip-dport':
    case '--ip6-dport':
      return (packet) => portFits(packet.dport, value);
    case '--ip-sport':
    case '--ip6-sport':
      return (packet) => portFits(packet.sport, value);
    case '--ip-proto':
    case '--ip6-proto':
      return (packet) => {
        const wanted = protocolNumber(value);
        return packet.proto === undefined || wanted === undefined ? 'maybe' : fits(packet.proto === wanted);
      };
    default:
      return () => 'maybe';
  }
}
