import type { Analysis } from '../analysis/types.js';
import type { RunEnd, RunMeta } from '../capture/types.js';
import type { DiagnosisOutcome } from '../diagnosis/diagnose.js';
import { overBudget } from '../diagnosis/budget.js';
import type { Level } from '../rules/types.js';
import { lossCaveat, reportCoverage } from './coverage.js';
import type { Report } from './types.js';

/** What a report is made of. */
export interface ReportInput {
  meta: RunMeta;
  end: RunEnd;
  scenario: { id: string; title: string; titleZh: string };
  analysis: Analysis;
  outcome: DiagnosisOutcome;
  baseline?: { file: string; report: Report };
}

const LEVELS: Level[] = ['error', 'warn', 'info'];

/** Puts the Report together: plain data, nothing read, nothing decided but the one-line verdict. */
export function buildReport({ meta, end, scenario, analysis, outcome, baseline }: ReportInput): Report {
  const coverage = reportCoverage(meta, end, analysis, outcome);
  const seconds = (end.endedMono - meta.startedMono) / 1e9;
  return {
    apiVersion: 'vdiag/v1',
    kind: 'Report',
    vdiag: meta.vdiag,
    scenario,
    host: {
      name: meta.host,
      kernel: meta.kernel.release,
      arch: meta.kernel.arch,
      tracing: tracing(meta),
      ...(meta.flavour && { flavour: meta.flavour }),
    },
    startedAt: localIso(meta.startedAt, meta.utcOffset),
    endedAt: localIso(end.endedAt, meta.utcOffset),
    seconds,
    ended: end.reason,
    parameters: meta.parameters,
    verdict: verdict(analysis, outcome, coverage),
    traffic: { packets: analysis.packets, roundTrips: analysis.roundTrips, events: analysis.events },
    diagnoses: outcome.diagnoses,
    findings: outcome.findings,
    pairs: analysis.pairs,
    pairsNotShown: analysis.pairsNotShown,
    sched: analysis.sched,
    qdiscWait: analysis.qdiscWait,
    paths: analysis.paths,
    ...(baseline && { baseline: compare(analysis, baseline) }),
    coverage,
  };
}

/** The worst level among diagnoses and open findings; undefined when there is none at `info` or above. */
export function worstLevel(report: Pick<Report, 'diagnoses' | 'findings'>): Level | undefined {
  const present = new Set<Level>([
    ...report.diagnoses.map((diagnosis) => diagnosis.severity),
    ...report.findings.map((finding) => finding.level),
  ]);
  return LEVELS.find((level) => present.has(level));
}

function verdict(analysis: Analysis, outcome: DiagnosisOutcome, coverage: Report['coverage']): Report['verdict'] {
  const caveat = lossCaveat(coverage.loss, coverage.leftOut) ?? {};
  if (analysis.packets === 0 && outcome.diagnoses.length === 0 && outcome.findings.length === 0) {
    return {
      level: 'clean',
      text: 'no packet matched: nothing can be said about this traffic',
      textZh: '没有匹配到任何报文：无法对此流量下结论',
      caveat: 'check the filter, the devices and whether traffic flows at all',
      caveatZh: '请检查过滤条件、设备，以及是否真的有流量',
    };
  }
  const cause = outcome.diagnoses[0];
  if (cause && cause.severity !== 'info') {
    const more = outcome.diagnoses.filter((diagnosis) => diagnosis.severity !== 'info').length - 1;
    return {
      level: cause.severity,
      text: cause.summary + (more > 0 ? ` (and ${more} more)` : ''),
      textZh: cause.summaryZh + (more > 0 ? `（另有 ${more} 项）` : ''),
      ...caveat,
    };
  }
  const finding = outcome.findings[0];
  if (finding && finding.level !== 'info') {
    return {
      level: finding.level,
      text: `${finding.count} × ${finding.message}`,
      textZh: `${finding.count} × ${finding.messageZh}`,
      ...caveat,
    };
  }
  const slow = analysis.pairs.some((pair) => pair.segments.some(overBudget));
  return {
    level: 'clean',
    text: slow
      ? 'nothing lost or refused; some segments are over budget (below)'
      : 'healthy: nothing lost, refused or slow in what was seen',
    textZh: slow ? '没有丢包或拒绝；部分区段超出预算（见下）' : '正常：在观察范围内没有丢包、拒绝或变慢',
    ...caveat,
  };
}

function tracing({ plan, kernel, flavour }: RunMeta): string {
  const backends = new Set(plan.probes.map((probe) => probe.backend).filter(Boolean));
  const functions = [...backends].filter((backend) => backend !== 'raw-tracepoint' && backend !== 'tracepoint');
  if (backends.size === 0) return 'nothing attached';
  const legacy = flavour === 'legacy' ? ', legacy flavour' : '';
  return functions.length === 0
    ? `tracepoints only${legacy}`
    : `tracepoints, ${functions.join(', ')}${kernel.btf ? '' : ', no BTF'}${legacy}`;
}

function compare(analysis: Analysis, { file, report }: { file: string; report: Report }): Report['baseline'] {
  const before = new Map(
    report.pairs.flatMap((pair) => pair.segments.map((segment) => [segmentKey(segment), segment.latency.p99] as const)),
  );
  const changes = analysis.pairs.flatMap((pair) =>
    pair.segments.flatMap((segment) => {
      const old = before.get(segmentKey(segment));
      if (!old || segment.latency.count === 0) return [];
      return [{ label: segment.label, before: old, now: segment.latency.p99, ratio: segment.latency.p99 / old }];
    }),
  );
  return { file, changes: changes.sort((x, y) => y.ratio - x.ratio || x.label.localeCompare(y.label)) };
}

function segmentKey(segment: { label: string; direction: string }): string {
  return `${segment.direction} ${segment.label.replace(/\(.*\)/, '')}`;
}

/** ISO 8601 with the traced host's offset (minutes), as its on-call engineer's clock shows it. */
function localIso(msSince1970: number, offset: number): string {
  const sign = offset < 0 ? '-' : '+';
  const two = (n: number) => String(Math.trunc(Math.abs(n))).padStart(2, '0');
  const local = new Date(msSince1970 + offset * 60_000).toISOString().replace('Z', '');
  return `${local}${sign}${two(offset / 60)}:${two(offset % 60)}`;
}
