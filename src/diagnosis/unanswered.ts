import { count } from '../base/units.js';
import type { Analysis } from '../analysis/types.js';
import type { PairStats, PathView } from '../paths/types.js';
import type { Candidate } from './diagnose.js';
import { isBetween } from './flows.js';
import { isGroup, isUnanswered } from './unheard.js';

/** ICMP and ICMPv6 types of an echo request. */
const ECHO_REQUESTS = [8, 128];

/** A pair whose questions got no answer, and the packet that came farthest. */
export interface Silence {
  pair: PairStats;
  farthest: PathView;
  /** What was asked: `ICMP echo requests` … */
  what: [en: string, zh: string];
}

/**
 * Pairs that asked for an answer (echo requests, connections) and got none, for which neither a cause nor a drop that was
 * seen accounts. UDP may well be one way.
 * @param named the run is about two ends that its user named: then ARP without an answer is one, too. On any network there
 *   is somebody who looks for a machine that is switched off
 */
export function silences(analysis: Analysis, causes: readonly Candidate[], named: boolean): Silence[] {
  return analysis.pairs.flatMap((pair): Silence[] => {
    const { asked, heard } = questionsOf(pair);
    if (!isUnanswered(asked) || heard > 0 || isAccountedFor(pair, analysis, causes)) return [];
    if (isArpOnly(pair) && (!named || pair.a === pair.b || isGroup(pair.a))) return [];
    const questions = analysis.paths.filter((path) => path.pair === pair.id && questionOf(path, pair) !== undefined);
    if (questions.length === 0) return [];
    const farthest = questions.reduce((x, y) => (y.events.length > x.events.length ? y : x));
    return [{ pair, farthest, what: questionOf(farthest, pair)! }];
  });
}

/** Packets of either direction; that the other end answers ARP is no answer. */
function exchanged({ packets, linkPackets }: PairStats): { asked: number; heard: number } {
  return {
    asked: packets.forward - (linkPackets?.forward ?? 0),
    heard: packets.reverse - (linkPackets?.reverse ?? 0),
  };
}

/** Nothing but ARP came from `a`, which did not learn where to send more. */
function isArpOnly(pair: PairStats): boolean {
  return exchanged(pair).asked === 0 && pair.protocols.includes('ARP');
}

/** The packets that ask for an answer, and those that may be one. */
export function questionsOf(pair: PairStats): { asked: number; heard: number } {
  return isArpOnly(pair) ? { asked: pair.packets.forward, heard: pair.packets.reverse } : exchanged(pair);
}

/** `12 ICMP echo requests from 10.0.0.1 to 10.0.0.2 got no answer`. */
export function silenceText({ pair, what }: Silence): [en: string, zh: string] {
  const n = count(questionsOf(pair).asked);
  return [
    `${n} packets from ${pair.a} to ${pair.b} (${what[0]}) got no answer; why is not established`,
    `从 ${pair.a} 到 ${pair.b} 的 ${n} 个报文（${what[1]}）没有应答，原因未能确定`,
  ];
}

function questionOf(path: PathView, pair: PairStats): [en: string, zh: string] | undefined {
  const packet = path.events.find((event) => event.packet)?.packet;
  if (!packet || packet.src !== pair.a) return undefined;
  if (packet.proto === 'ARP') return isArpOnly(pair) ? ['ARP requests', 'ARP 请求'] : undefined;
  if (/^ICMP/.test(packet.proto) && ECHO_REQUESTS.includes(packet.icmpType)) return ['echo requests', '回显请求'];
  if (packet.proto === 'TCP' && packet.flags === 'S') return ['connection requests', '连接请求'];
  return undefined;
}

/** Whether a cause is about this pair or one of its ends, or something was found that tells why. */
function isAccountedFor({ id, a, b, drops }: PairStats, analysis: Analysis, causes: readonly Candidate[]): boolean {
  if (drops.forward > 0) return true;
  const isEnd = (value: unknown): boolean => value === a || value === b;
  return (
    causes.some(
      ({ subject, findings, names }) =>
        subject.pair?.id === id ||
        Object.values(names).some(isEnd) ||
        findings.some((group) => isBetween(group, [a, b])),
    ) ||
    analysis.findings.some((group) => group.level !== 'info' && (isBetween(group, [a, b]) || isEnd(group.subject.dst)))
  );
}
