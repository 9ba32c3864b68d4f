import { delta } from '../facts.js';
import { both, type FirewallChain, type FirewallRule, type Fit, type PacketFacts } from './model.js';

/** What the user asks about; absent members are not restricted. */
export interface FirewallQuestion {
  packet: PacketFacts;
  table?: string;
  chain?: string;
  /** `input`, `forward` … */
  hook?: string;
  /** `ip`, `ip6`, `bridge` … */
  family?: string;
  backend?: string;
}

/** A rule or policy that may have dropped the packet. */
export interface FirewallSuspect {
  chain: FirewallChain;
  /** Absent: the chain's policy. */
  rule?: FirewallRule;
  verdict: 'DROP' | 'REJECT';
  /** `maybe`: it asks for something that the packet's addresses, ports and devices do not tell. */
  fit: Fit;
  /** Packets it counted; undefined when it has no counter. */
  packets?: number;
  /** How much that grew; null when it was not read before or does not count. */
  counterDelta: number | null;
  /** Names of the chains from the hook to it. */
  route: string[];
}

const MAX_DEPTH = 16;
const MAX_SUSPECTS = 10000;

/**
 * Goes through the chains as the kernel does for this packet, following jumps, and lists every drop it could meet.
 * Best first: what fits surely and counted something, then what fits surely and does not count, then what may fit. A
 * drop whose counter did not grow is left out: it was not the one.
 */
export function findSuspects(
  after: readonly FirewallChain[],
  before: readonly FirewallChain[] | undefined,
  question: FirewallQuestion,
): FirewallSuspect[] {
  const suspects: FirewallSuspect[] = [];
  for (const chain of after) {
    if (isAskedFor(chain, question)) walk(chain, 'yes', [chain.name], { after, before, question, suspects });
  }
  const order = new Map(suspects.map((suspect, index) => [suspect, index]));
  return suspects
    .filter((suspect) => suspect.counterDelta !== 0 && !(suspect.counterDelta === null && suspect.packets === 0))
    .sort(
      (a, b) => weight(b) - weight(a) || (b.counterDelta ?? 0) - (a.counterDelta ?? 0) || order.get(a)! - order.get(b)!,
    );
}

function weight(suspect: FirewallSuspect): number {
  const counted = (suspect.counterDelta ?? 0) > 0 || (suspect.counterDelta === null && (suspect.packets ?? 0) > 0);
  return (suspect.fit === 'yes' ? 4 : 0) + (counted ? 2 : 0) + (suspect.rule ? 1 : 0);
}

/** Whether a chain is where the packet was dropped, as far as the question says. */
export function isAskedFor(chain: FirewallChain, question: FirewallQuestion): boolean {
  const { table, chain: name, hook, family, backend } = question;
  if (backend !== undefined && chain.backend !== backend) return false;
  if (table !== undefined && chain.table !== table) return false;
  if (!familyFits(chain.family, family, question.packet.version)) return false;
  if (name !== undefined) return chain.name === name;
  return chain.hook !== undefined && (hook === undefined || chain.hook === hook);
}

function familyFits(family: string, asked: string | undefined, version: number | undefined): boolean {
  if (asked === undefined)
    return !((family === 'ip' && version === 6) || (family === 'ip6' && version === 4) || family === 'arp');
  if (asked === 'inet') return ['inet', 'ip', 'ip6'].includes(family) && familyFits(family, undefined, version);
  return family === asked || (family === 'inet' && (asked === 'ip' || asked === 'ip6'));
}

interface Walk {
  after: readonly FirewallChain[];
  before: readonly FirewallChain[] | undefined;
  question: FirewallQuestion;
  suspects: FirewallSuspect[];
}

/** How a chain ended for the packet: decided for sure, left by RETURN for sure, or perhaps neither. */
type Ending = 'decided' | 'returned' | 'open';

function walk(chain: FirewallChain, fit: Fit, route: string[], context: Walk): Ending {
  if (route.length > MAX_DEPTH || context.suspects.length > MAX_SUSPECTS) return 'open';
  const isBase = chain.hook !== undefined && route.length === 1;
  const ending = walkRules(chain, fit, route, context);
  if (ending !== 'decided' && isBase && chain.policy === 'DROP') {
    const was = context.before && sameChain(context.before, chain);
    const old = context.before ? (was?.policyPackets ?? 0) : undefined;
    context.suspects.push({
      chain,
      verdict: 'DROP',
      fit:
        ending === 'returned'
          ? fit
          : both(fit, chain.rules.some((rule) => mayDecide(rule, context.question.packet)) ? 'maybe' : 'yes'),
      packets: chain.policyPackets,
      counterDelta: delta(chain.policyPackets === undefined ? undefined : old, chain.policyPackets),
      route,
    });
  }
  return ending;
}

function mayDecide(rule: FirewallRule, packet: PacketFacts): boolean {
  return (
    rule.test(packet) !== 'no' &&
    rule.outcomes.some((outcome) => outcome.verdict !== undefined || outcome.target !== undefined)
  );
}

function walkRules(chain: FirewallChain, fit: Fit, route: string[], context: Walk): Ending {
  const { packet } = context.question;
  for (const rule of chain.rules) {
    const ruleFit = rule.test(packet);
    if (ruleFit === 'no') continue;
    for (const outcome of rule.outcomes) {
      const outcomeFit = both(ruleFit, outcome.test?.(packet) ?? 'yes');
      if (outcomeFit === 'no') continue;
      const here = both(fit, outcomeFit);
      if (outcome.verdict === 'DROP' || outcome.verdict === 'REJECT') {
        context.suspects.push(suspectOf(chain, rule, outcome.verdict, here, route, context.before));
      }
      if (outcome.verdict !== undefined && outcomeFit === 'yes') {
        return outcome.verdict === 'RETURN' ? 'returned' : 'decided';
      }
      if (outcome.target === undefined || route.includes(outcome.target)) continue;
      const target = targetOf(context.after, chain, outcome.target);
      if (!target) continue;
      const ending = walk(target, here, [...route, target.name], context);
      if (outcomeFit === 'yes' && ending === 'decided') return 'decided';
      if (outcomeFit === 'yes' && outcome.goto) return 'returned';
    }
  }
  return 'open';
}

function suspectOf(
  chain: FirewallChain,
  rule: FirewallRule,
  verdict: 'DROP' | 'REJECT',
  fit: Fit,
  route: string[],
  before: readonly FirewallChain[] | undefined,
): FirewallSuspect {
  const old = before ? (packetsBefore(before, chain, rule) ?? 0) : undefined;
  const counterDelta = rule.packets === undefined ? null : delta(old, rule.packets);
  return {
    chain,
    rule,
    verdict,
    fit,
    ...(rule.packets === undefined ? {} : { packets: rule.packets }),
    counterDelta,
    route,
  };
}

/** The same rule's counter earlier: by handle, else the rule with the same text at the same occurrence. */
function packetsBefore(before: readonly FirewallChain[], chain: FirewallChain, rule: FirewallRule): number | undefined {
  const was = sameChain(before, chain);
  if (!was) return undefined;
  if (rule.handle !== undefined) return was.rules.find((one) => one.handle === rule.handle)?.packets;
  const alike = (one: FirewallRule): boolean => one.text === rule.text;
  const occurrence = chain.rules.filter(alike).indexOf(rule);
  return was.rules.filter(alike)[occurrence]?.packets;
}

function sameChain(chains: readonly FirewallChain[], chain: FirewallChain): FirewallChain | undefined {
  return targetOf(chains, chain, chain.name);
}

function targetOf(chains: readonly FirewallChain[], from: FirewallChain, name: string): FirewallChain | undefined {
  return chains.find(
    (one) => one.name === name && one.table === from.table && one.family === from.family && one.tool === from.tool,
  );
}
