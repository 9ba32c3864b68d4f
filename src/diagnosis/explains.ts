import type { FindingGroup } from '../rules/types.js';
import { flowsMeet, isBetween } from './flows.js';
import type { Subject } from './subjects.js';
import type { Confidence, DiagnosisRule } from './types.js';

/** A suspicion that stands, as far as it matters for what it accounts for. */
export interface Claim {
  rule: DiagnosisRule;
  /** Every subject that was found to be this, the first found first. */
  subjects: readonly Subject[];
  confidence: Confidence;
}

/** Whether a cause accounts for (some of) the findings of a group. */
export function explainsFinding({ rule, subjects }: Pick<Claim, 'rule' | 'subjects'>, group: FindingGroup): boolean {
  return subjects.some(
    (subject) => subject.finding === group || (rule.explains.includes(group.rule) && shareFlow(subject, group)),
  );
}

/** Whether one diagnosis is a consequence of another: all that it rests on is. */
export function explains(cause: Claim, other: Claim): boolean {
  if (!cause.rule.explains.includes(other.rule.id)) return false;
  // Two that explain each other: the surer one, then the one named first, is the cause.
  if (other.rule.explains.includes(cause.rule.id) && rank(other) < rank(cause)) return false;
  if (cause.confidence !== 'established' && other.confidence === 'established') return false;
  return other.subjects.every((y) => cause.subjects.some((x) => isConsequence(x, y)));
}

/**
 * The findings that no cause accounts for. Of a group whose causes are each about one of its flows, what is left are the
 * flows that have none.
 */
export function openFindings(findings: readonly FindingGroup[], causes: readonly Claim[]): FindingGroup[] {
  return findings.flatMap((group) => {
    const subjects = causes.filter((cause) => explainsFinding(cause, group)).flatMap((cause) => cause.subjects);
    const own = subjects.filter((subject) => subject.finding === group);
    if (subjects.length === 0) return [group];
    if (own.length === 0 || own.some(({ flow }) => flow === undefined)) return [];
    const flows = group.flows.filter(
      (one) => !own.some((subject) => flowsMeet(hit(subject), { ...group, flows: [one] })),
    );
    if (flows.length === 0) return [];
    return [{ ...group, flows, count: flows.reduce((sum, { count }) => sum + count, 0) }];
  });
}

function isConsequence(x: Subject, y: Subject): boolean {
  if (x.pair && y.pair) return x.pair.id === y.pair.id;
  if (y.finding) return shareFlow(x, hit(y));
  if (x.finding) {
    const ends = y.pair ? [y.pair.a, y.pair.b] : undefined;
    return !ends || x.finding.flows.length === 0 || isBetween(hit(x), ends);
  }
  return samePlace(x.data, y.data);
}

/** The findings that a subject is about: its own flow alone, if it is about one. */
function hit({ finding, flow }: Subject): FindingGroup {
  return flow === undefined ? finding! : { ...finding!, flows: finding!.flows.filter((one) => one.flow === flow) };
}

/** A finding belongs to a cause if its flows cross the cause's place, or if either is not bound to addresses. */
function shareFlow(subject: Subject, group: FindingGroup): boolean {
  const { finding, pair } = subject;
  if (finding) {
    if (finding.flows.length === 0 || group.flows.length === 0) return samePlace(finding.subject, group.subject);
    return flowsMeet(hit(subject), group) || quotesFlowOf(subject, group);
  }
  // A neighbour that fails is an end of the pair, in whichever namespace it is asked for.
  if (pair && group.flows.length === 0 && group.subject.dst)
    return [pair.a, pair.b].includes(String(group.subject.dst));
  if (pair && group.flows.length > 0) return isBetween(group, [pair.a, pair.b]);
  return samePlace(subject.data, group.subject);
}

/** An ICMP error concerns the packet that it quotes as well. */
function quotesFlowOf({ data }: Subject, group: FindingGroup): boolean {
  const { quotedSrc, quotedDst, quotedProto } = data;
  if (quotedSrc === undefined) return false;
  const flows = group.flows.filter(({ flow }) => quotedProto === undefined || flow.startsWith(`${quotedProto} `));
  return isBetween({ ...group, flows }, [String(quotedSrc), String(quotedDst)]);
}

/** Places that can be compared are the same place; what has no place (a retransmission, a slow pair) can be anywhere. */
function samePlace(x: Record<string, unknown>, y: Record<string, unknown>): boolean {
  for (const key of ['netns', 'device']) {
    if (x[key] && y[key] && x[key] !== y[key]) return false;
  }
  return true;
}

function rank({ rule, confidence }: Claim): string {
  return `${confidence === 'established' ? 0 : 1}${rule.id}`;
}
