import { count, ms } from '../base/units.js';
import type { PairStats, SegmentStats } from '../paths/types.js';
import type { FindingGroup } from '../rules/types.js';
import type { Candidate, DiagnosisInput } from './diagnose.js';
import { judgedLatency, judgedQuantile, overBudget } from './budget.js';
import { doubtLine, withoutLongest } from './doubt.js';
import { notCauses, observedLines } from './observed.js';
import type { Diagnosis } from './types.js';

/**
 * What was seen and has no established cause, said as such: drops by where they were last seen and what freed them,
 * and the slowest segment over its budget. A wrong root cause is worse than this.
 */
export async function unexplainedDiagnoses(
  input: DiagnosisInput,
  open: readonly FindingGroup[],
  causes: readonly Candidate[],
): Promise<Diagnosis[]> {
  return Promise.all([...unexplainedDrops(input, open), ...unexplainedLatency(input, causes)]);
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
      return {
        ...(await blank(input, 'drop-not-established', group.article, group.subject)),
        severity: group.level,
        summary: `${count(group.count)} packets dropped${on} at ${location} (${reason}); why is not established`,
        summaryZh: `${count(group.count)} 个报文在 ${location} 被丢弃${onZh}（${reason}），原因未能确定`,
        why: observedLines({ data: {}, finding: group }),
        findings: [group],
        names: group.subject,
        paths: input.analysis.paths.filter((path) => group.samples.some((event) => event.path === path.id)).slice(0, 2),
      };
    });
}

/** Of each pair, the dominant segment over its budget that no cause accounts for. */
function unexplainedLatency(input: DiagnosisInput, causes: readonly Candidate[]): Promise<Diagnosis>[] {
  return input.analysis.pairs.flatMap((pair): Promise<Diagnosis>[] => {
    const explained = causes.some(
      (cause) =>
        (cause.subject.pair?.id === pair.id && cause.subject.segment !== undefined) ||
        cause.findings.some((group) => group.flows.some(({ flow }) => flow.includes(pair.a) && flow.includes(pair.b))),
    );
    const slow = pair.segments.filter((segment) => overBudget(segment) && segment.latency.count >= 3);
    if (explained || slow.length === 0) return [];
    return [
      unexplainedSegment(
        input,
        pair,
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
  const doubted = !overBudget({ ...segment, latency });
  return {
    ...(await blank(input, 'latency-not-established', 'general/latency-not-established', data)),
    severity: 'warn',
    summary: `${segment.label} takes ${took} (${quantile}, budget ${budget}); why is not established`,
    summaryZh: `${segment.labelZh} 耗时 ${took}（${quantile}，预算 ${budget}），原因未能确定`,
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
