import type { Analysis } from '../analysis/types.js';
import { forgeable, hidesSomething, lossOf } from '../capture/loss.js';
import type { CaptureLoss, RunEnd, RunMeta } from '../capture/types.js';
import type { DiagnosisOutcome } from '../diagnosis/diagnose.js';
import { coverageOf } from '../probes/coverage.js';
import type { Report, ReportLeftOut } from './types.js';

/** What was seen, what was not, what was lost on the way and what it all cost. */
export function reportCoverage(
  meta: RunMeta,
  end: RunEnd,
  analysis: Analysis,
  outcome: DiagnosisOutcome,
): Report['coverage'] {
  const seconds = (end.endedMono - meta.startedMono) / 1e9;
  return {
    ...coverageOf(meta.plan),
    loss: lossOf(end.loss, analysis.loss),
    lostBy: end.lostBy ?? {},
    leftOut: leftOut(meta, analysis),
    hits: end.hits,
    ...(end.cost && seconds > 0 && { cost: costOf(end.cost, analysis.events, seconds) }),
    ...(meta.recording && { recording: meta.recording }),
    evidenceUnknown: outcome.evidenceUnknown,
  };
}

function leftOut(meta: RunMeta, { findingsLeftOut = 0, pairsNotShown, leftOut: left }: Analysis): ReportLeftOut {
  return {
    findings: findingsLeftOut,
    pairs: pairsNotShown,
    pathEvents: left?.pathEvents ?? 0,
    flows: left?.flows ?? 0,
    queueWaits: left?.queueWaits ?? 0,
    cpuWaits: left?.cpuWaits ?? 0,
    threads: meta.threadsNotWatched ?? 0,
  };
}

function costOf(
  { ownCpuSeconds, kernelCpuSeconds }: NonNullable<RunEnd['cost']>,
  events: number,
  seconds: number,
): NonNullable<Report['coverage']['cost']> {
  const percent = (cpuSeconds: number): number => Math.round((cpuSeconds / seconds) * 1000) / 10;
  return {
    eventsPerSecond: Math.round(events / seconds),
    ownCpuPercent: percent(ownCpuSeconds),
    ...(kernelCpuSeconds !== undefined && { kernelCpuPercent: percent(kernelCpuSeconds) }),
  };
}

/** What a reader must know before believing the verdict; undefined when nothing was lost that could change it. */
export function lossCaveat(
  loss: CaptureLoss,
  { findings }: ReportLeftOut,
): { caveat: string; caveatZh: string } | undefined {
  const en: string[] = [];
  const zh: string[] = [];
  if (hidesSomething(loss)) {
    en.push('some events were lost (see coverage): counts are lower bounds, and a cause may be missing');
    zh.push('部分事件丢失（见“覆盖范围”）：计数只是下限，可能遗漏原因');
  }
  if (forgeable(loss) > 0 && !hidesSomething(loss)) {
    en.push('some packets were forgotten on their way (see coverage): they may seem to be lost, or two');
    zh.push('部分报文在途中失去跟踪（见“覆盖范围”）：可能显得像丢失，或被当作两个报文');
  }
  if (findings > 0) {
    en.push('there were more kinds of findings than there was room for: a cause may be missing');
    zh.push('发现的种类超出容量：可能遗漏原因');
  }
  return en.length > 0 ? { caveat: en.join('; '), caveatZh: zh.join('；') } : undefined;
}
