import { count, ms } from '../base/units.js';
import type { PairStats, SegmentStats } from '../paths/types.js';
import type { FindingGroup } from '../rules/types.js';
import type { Candidate, DiagnosisInput } from './diagnose.js';
import { judgedLatency, judgedQuantile, overBudget } from './budget.js';
import { doubtLine, withoutLongest } from './doubt.js';
import { isBetween } from './flows.js';
import { blindLines, lastSeen, lastSeenLines } from './last-seen.js';
import { notCauses, observedLines } from './observed.js';
import type { Diagnosis } from './types.js';
import { questionsOf, silences, silenceText, type Silence } from './unanswered.js';

/**
 * What was seen and has no established cause, said as such: drops by where they were last seen and what freed them,
 * questions without an answer, and the slowest segment over its budget. A wrong root cause is worse than this.
 */
export async function unexplainedDiagnoses(
  input: DiagnosisInput,
  open: readonly FindingGroup[],
  causes: readonly Candidate[],
): Promise<Diagnosis[]> {
  return Promise.all([
    ...unexplainedDrops(input, open),
    ...silences(input.analysis, causes, input.endsNamed ?? false).map((silence) => unexplainedSilence(input, silence)),
    ...unexplainedLatency(input, causes),
  ]);
}

function unexplainedDrops(input: DiagnosisInput, open: readonly FindingGroup[]): Promise<Diagnosis>[] {
  return open
    .filter((group) => group.level !== 'info' && group.tags.includes('drop'))
    .map(async (group) => {
      const { location = 'unknown', device, reasonInferred } = group.subject;
      const given = group.subject.reason ?? 'no reason given';
      const reason = reasonInferred === undefined ? given : `${given}, inferred`;
      const on = device ? ` on ${device}` : '';
      const onZh = device ? `（设备 ${device}）` : '';
      const sampled = new Set(group.samples.map((event) => event.path));
      const paths = input.analysis.paths.filter((path) => sampled.has(path.id)).slice(0, 2);
      const last = lastSeen(paths[0])?.event;
      const flow = group.flows[0]?.flow;
      const reasonGiven = reasonInferred === undefined && !['no reason given', 'NOT_SPECIFIED'].includes(String(given));
      return {
        ...(await blank(input, 'drop-not-established', group.article, { ...endsIn(group), ...group.subject })),
        severity: group.level,
        summary: `${count(group.count)} packets dropped${on} at ${location} (${reason}); why is not established`,
        summaryZh: `${count(group.count)} 个报文在 ${location} 被丢弃${onZh}（${reason}），原因未能确定`,
        why: [
          ...observedLines({ data: {}, finding: group }),
          ...lastSeenLines(paths[0]),
          ...blindLines(input.run, reasonGiven),
        ],
        findings: [group],
        names: {
          ...group.subject,
          ...(flow !== undefined && { flow }),
          ...(last && { lastProbe: last.probe, lastDevice: last.device }),
        },
        paths,
      };
    });
}

/** The two ends of the packets of a group, for the commands of its article. */
function endsIn({ samples }: FindingGroup): Record<string, string | number> {
  const packet = samples.find((event) => event.packet)?.packet;
  return packet ? { src: packet.src, dst: packet.dst, proto: packet.proto, dport: packet.dport } : {};
}

async function unexplainedSilence(input: DiagnosisInput, silence: Silence): Promise<Diagnosis> {
  const { pair, farthest } = silence;
  const last = lastSeen(farthest)?.event;
  const names = {
    src: pair.a,
    dst: pair.b,
    packets: questionsOf(pair).asked,
    ...(last && { device: last.device, netns: last.netns, lastProbe: last.probe, lastDevice: last.device }),
  };
  const [summary, summaryZh] = silenceText(silence);
  return {
    ...(await blank(input, 'no-answer-not-established', 'general/no-answer-not-established', names)),
    severity: 'warn',
    summary,
    summaryZh,
    why: [...lastSeenLines(farthest), ...blindLines(input.run, true), ...(input.lost ? [doubtLine(input.lost)] : [])],
    names,
    paths: [farthest],
  };
}

/** Packets that went into a ring and that nobody took out: as many as the rules about readers ask for. */
function leftInRing({ spec, lost, dropped = 0 }: SegmentStats): number {
  return spec.kind === 'ring' && lost - dropped > 2 ? lost - dropped : 0;
}

/** Of each pair, the dominant segment over its budget, or the ring that keeps packets, that no cause accounts for. */
function unexplainedLatency(input: DiagnosisInput, causes: readonly Candidate[]): Promise<Diagnosis>[] {
  return input.analysis.pairs.flatMap((pair): Promise<Diagnosis>[] => {
    const explained = causes.some(
      (cause) =>
        (cause.subject.pair?.id === pair.id && cause.subject.segment !== undefined) ||
        cause.findings.some((group) => isBetween(group, [pair.a, pair.b])),
    );
    const slow = pair.segments.filter(
      (segment) => leftInRing(segment) > 0 || (overBudget(segment) && segment.latency.count >= 3),
    );
    if (explained || slow.length === 0) return [];
    return [
      unexplainedSegment(
        input,
        pair,
        slow.find((segment) => leftInRing(segment) > 0) ??
          slow.reduce((x, y) => (y.latency.p99 > x.latency.p99 ? y : x)),
      ),
    ];
  });
}

async function unexplainedSegment(input: DiagnosisInput, pair: PairStats, segment: SegmentStats): Promise<Diagnosis> {
  const data = { device: segment.device, netns: segment.netns };
  const subject = { data, pair, segment };
  const fine = notCauses({ subject }, input.analysis);
  const [took, budget] = [ms(judgedLatency(segment)), ms(segment.spec.budgetMs ?? 0)];
  const quantile = judgedQuantile(segment);
  const latency = withoutLongest(segment.latency, input.lost ?? 0);
  const left = leftInRing(segment);
  const doubted = left === 0 && !overBudget({ ...segment, latency });
  const [what, whatZh] =
    left > 0
      ? [
          `${left} of ${segment.entered} packets were not taken out of ${segment.label}`,
          `${segment.labelZh}：${segment.entered} 个报文中有 ${left} 个未被取走`,
        ]
      : [
          `${segment.label} takes ${took} (${quantile}, budget ${budget})`,
          `${segment.labelZh} 耗时 ${took}（${quantile}，预算 ${budget}）`,
        ];
  return {
    ...(await blank(input, 'latency-not-established', 'general/latency-not-established', data)),
    severity: 'warn',
    summary: `${what}; why is not established`,
    summaryZh: `${whatZh}，原因未能确定`,
    why: [...observedLines(subject), ...(doubted ? [doubtLine(input.lost!)] : [])],
    notCauses: fine.en,
    notCausesZh: fine.zh,
    names: data,
    paths: input.analysis.paths.filter((path) => path.pair === pair.id).slice(0, 2),
  };
}

async function blank(
  input: DiagnosisInput,
  id: string,
  article: string,
  data: Record<string, string | number>,
): Promise<Omit<Diagnosis, 'severity' | 'summary' | 'summaryZh'>> {
  const values = { ...data, ns: await input.netnsPrefix(Number(data.netns ?? 0)) };
  const remedies = (language: 'en' | 'zh') => {
    const found = input.article(article, language);
    return found ? input.remedies(found, values) : [];
  };
  return {
    id,
    confidence: 'not established',
    explains: '',
    explainsZh: '',
    why: [],
    notCauses: [],
    notCausesZh: [],
    remedies: remedies('en'),
    remediesZh: remedies('zh'),
    article,
    names: {},
    findings: [],
    paths: [],
  };
}
