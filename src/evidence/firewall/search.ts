import { delta } from '../facts.js';
import { both, type FirewallChain, type FirewallRule, type Fit, type NamedEntry, type PacketFacts } from './model.js';

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
  /** Whether it came in by a device or was made here, as far as that is known. */
  origin?: 'received' | 'local';
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
  /** The rule that sent the packet on to its chain, where it takes whatever comes to it. */
  sentBy?: { chain: FirewallChain; rule: FirewallRule };
  /** The element of a named set or map that decided. */
  entry?: NamedEntry;
}

const MAX_DEPTH = 16;
const MAX_SUSPECTS = 10000;

/**
 * Goes through the chains as the kernel does for this packet, hook by hook in the order of their priorities, following
 * jumps, and lists every drop it could meet. Best first: what fits surely and counted something, then what fits surely
 * and does not count, then what may fit. A drop whose counter did not grow is left out: it was not the one. So is what
 * stands behind a drop that is certain, at the same hook.
 */
export function findSuspects(
  after: readonly FirewallChain[],
  before: readonly FirewallChain[] | undefined,
  question: FirewallQuestion,
): FirewallSuspect[] {
  const suspects: FirewallSuspect[] = [];
  const ended = new Set<string>();
  for (const chain of [...after].sort(inOrder)) {
    const hook = `${layerOf(chain.family)} ${chain.hook}`;
    if (!isAskedFor(chain, question) || ended.has(hook)) continue;
    const found: FirewallSuspect[] = [];
    walk(chain, 'yes', [chain.name], { after, before, question, suspects: found });
    const possible = found.filter(
      (suspect) => suspect.counterDelta !== 0 && !(suspect.counterDelta === null && suspect.packets === 0),
    );
    suspects.push(...possible);
    if (chain.hook !== undefined && possible.some(({ fit }) => fit === 'yes')) ended.add(hook);
  }
  const order = new Map(suspects.map((suspect, index) => [suspect, index]));
  return suspects.sort(
    (a, b) => weight(b) - weight(a) || (b.counterDelta ?? 0) - (a.counterDelta ?? 0) || order.get(a)! - order.get(b)!,
  );
}

const HOOKS = ['ingress', 'prerouting', 'input', 'forward', 'output', 'postrouting', 'egress'];

function inOrder(a: FirewallChain, b: FirewallChain): number {
  return HOOKS.indexOf(a.hook ?? '') - HOOKS.indexOf(b.hook ?? '') || (a.priority ?? 0) - (b.priority ?? 0);
}

/** Families whose chains take turns at one hook. */
function layerOf(family: string): string {
  return family === 'bridge' || family === 'netdev' || family === 'arp' ? family : 'ip';
}

/**
 * Whether the first suspect is certain to have dropped `drops` packets of this flow, and not another rule or something
 * else. Certain is: the only rule that can have done it, when it counted them, or fits them surely; or one that fits
 * surely and counted them, whatever others may fit.
 * @param placeKnown the kernel itself named the chain that dropped
 */
export function isCertain(suspects: readonly FirewallSuspect[], drops: number, placeKnown: boolean): boolean {
  const [suspect, ...others] = suspects;
  if (!suspect) return false;
  const counts = suspect.counterDelta !== null && suspect.rule?.countsMore !== true;
  const counted = counts && suspect.counterDelta! >= Math.max(1, drops);
  // It counted fewer than were dropped: others were at work as well.
  if (counts && !counted) return false;
  if (others.length === 0) return counted || suspect.fit === 'yes' || (placeKnown && suspect.packets === undefined);
  return counted && suspect.fit === 'yes' && others.every(({ fit }) => fit !== 'yes');
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
  if (chain.hook === undefined) return false;
  if (chain.devices && question.packet.iif !== undefined && !chain.devices.includes(question.packet.iif)) return false;
  return hook === undefined ? mayPass(chain.hook, question.origin) : chain.hook === hook;
}

/** A packet that came in meets no output hook, and one that was made here no hook before it. */
function mayPass(hook: string, origin: FirewallQuestion['origin']): boolean {
  if (origin === undefined) return true;
  const own = origin === 'local' ? ['output', 'postrouting', 'egress'] : HOOKS.filter((name) => name !== 'output');
  return own.includes(hook) || !HOOKS.includes(hook);
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
  const isBase = chain.hook !== undefined;
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

function walkRules(
  chain: FirewallChain,
  fit: Fit,
  route: string[],
  context: Walk,
  sentBy?: FirewallSuspect['sentBy'] & { entry?: NamedEntry },
): Ending {
  const { packet } = context.question;
  if (route.length > MAX_DEPTH || context.suspects.length > MAX_SUSPECTS) return 'open';
  for (const rule of chain.rules) {
    const ruleFit = rule.test(packet);
    if (ruleFit === 'no') continue;
    for (const outcome of rule.outcomes) {
      const outcomeFit = both(ruleFit, outcome.test?.(packet) ?? 'yes');
      if (outcomeFit === 'no') continue;
      const here = both(fit, outcomeFit);
      if (outcome.verdict === 'DROP' || outcome.verdict === 'REJECT') {
        const suspect = suspectOf(chain, rule, outcome.verdict, here, route, context.before);
        const entry = outcome.entry ?? rule.entryOf?.(packet);
        const sent = rule.conditions === 0 ? sentBy : undefined;
        context.suspects.push({
          ...suspect,
          ...(sent && { sentBy: { chain: sent.chain, rule: sent.rule } }),
          ...((entry ?? sent?.entry) && { entry: entry ?? sent?.entry }),
        });
      }
      if (outcome.verdict !== undefined && outcomeFit === 'yes') {
        return outcome.verdict === 'RETURN' ? 'returned' : 'decided';
      }
      if (outcome.target === undefined || route.includes(outcome.target)) continue;
      const target = targetOf(context.after, chain, outcome.target);
      if (!target) continue;
      const entry = outcome.entry ?? rule.entryOf?.(packet);
      // Of several jumps, the last one that asked for something: what follows takes all that comes.
      const by = rule.conditions > 0 || !sentBy ? { chain, rule, ...(entry && { entry }) } : sentBy;
      const ending = walkRules(target, here, [...route, target.name], context, by);
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
  const counterDelta = grownBy(before, chain, rule);
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

/** How much a rule's counter grew; null when it has none, or was not read before. */
export function grownBy(
  before: readonly FirewallChain[] | undefined,
  chain: FirewallChain,
  rule: FirewallRule,
): number | null {
  const old = before ? (packetsBefore(before, chain, rule) ?? 0) : undefined;
  return rule.packets === undefined ? null : delta(old, rule.packets);
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
