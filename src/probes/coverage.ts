import { type Language, decisiveCause, explainCause, isHarmless, isKernelWide } from './causes.js';
import type { Backend, PlannedProbe, ProbeCause, ProbeGroup, ProbePlan } from './types.js';

/** What a plan covers, and what it does not. */
export interface Coverage {
  planned: number;
  attached: number;
  byBackend: Partial<Record<Backend, number>>;
  /** Probes that are not attached: why, and what a report cannot show for want of them. */
  missing: { probe: string; group: ProbeGroup; why: string; hides: string }[];
  /** The same in sentences, joined by cause. */
  notSeen: string[];
  notSeenZh: string[];
}

/** What was seen and what was not, by the plan as it was attached (so a replay says the same). */
export function coverageOf(plan: ProbePlan): Coverage {
  const byBackend: Partial<Record<Backend, number>> = {};
  let attached = 0;
  for (const { backend } of plan.probes) {
    if (!backend) continue;
    attached++;
    byBackend[backend] = (byBackend[backend] ?? 0) + 1;
  }
  return {
    planned: plan.probes.length,
    attached,
    byBackend,
    missing: plan.probes
      .filter((probe) => !probe.backend)
      .map((probe) => ({
        probe: probe.point.name,
        group: probe.point.group,
        why: why(probe),
        hides: probe.point.hides,
      })),
    notSeen: sentences(plan, 'en'),
    notSeenZh: sentences(plan, 'zh'),
  };
}

function why(probe: PlannedProbe): string {
  const cause = decisiveCause(probe.causes ?? []);
  return cause ? explainCause(cause) : (probe.reasons[0] ?? 'not attached');
}

/** Probes that are missing for one reason. */
interface Gap {
  reason: string;
  kernelWide: boolean;
  harmless: boolean;
  probes: PlannedProbe[];
}

function sentences(plan: ProbePlan, language: Language): string[] {
  const seen = phrasesSeen(plan, language);
  const gaps = new Map<string, Gap>();
  for (const probe of plan.probes) {
    if (probe.backend) continue;
    const cause = decisiveCause(probe.causes ?? []);
    const reason = cause ? reasonOf(cause, language) : (probe.reasons[0] ?? '');
    const gap = gaps.get(reason) ?? {
      reason,
      kernelWide: !!cause && isKernelWide(cause),
      harmless: !!cause && isHarmless(cause),
      probes: [],
    };
    gap.probes.push(probe);
    gaps.set(reason, gap);
  }
  const order = [...gaps.values()].sort((a, b) => Number(b.kernelWide) - Number(a.kernelWide));
  const told = new Set<string>();
  const lines: string[] = [];
  for (const gap of order) {
    // A phrase that another probe still shows, or that an earlier sentence has named, is not repeated.
    const phrases = [...new Set(gap.probes.map((probe) => phrase(probe, language)))].filter(
      (text) => !gap.harmless && !seen.has(text) && !told.has(text),
    );
    for (const text of phrases) told.add(text);
    if (phrases.length > 0) lines.push(sentence(gap, phrases, language));
  }
  const withoutReturn = plan.probes.filter(
    (probe) => probe.backend && probe.causes?.some(({ code }) => code === 'return-lost'),
  );
  if (withoutReturn.length > 0) lines.push(returnSentence(withoutReturn, language));
  return lines;
}

/** Phrases of which at least one probe is attached: part of it is seen. */
function phrasesSeen(plan: ProbePlan, language: Language): Set<string> {
  return new Set(plan.probes.filter((probe) => probe.backend).map((probe) => phrase(probe, language)));
}

function phrase({ point }: PlannedProbe, language: Language): string {
  return language === 'zh' ? (point.hidesZh ?? point.hides) : point.hides;
}

/** A sentence about many probes names no single function; the list of missing probes does. */
function reasonOf(cause: ProbeCause, language: Language): string {
  if (cause.code === 'no-function' || cause.code === 'compiler-changed' || cause.code === 'no-prototype') {
    return language === 'zh' ? '本内核没有所需的函数' : 'this kernel lacks their functions';
  }
  if (cause.code === 'no-tracepoint')
    return language === 'zh' ? '本内核没有所需的跟踪点' : 'this kernel lacks their tracepoints';
  if (cause.code === 'attach-refused')
    return language === 'zh' ? '内核拒绝附加其探针' : 'the kernel refused their probes';
  if (cause.code === 'not-traceable') {
    return language === 'zh' ? '内核不允许跟踪所需的函数' : 'the kernel does not let their functions be traced';
  }
  if (cause.code === 'by-reference' || cause.code === 'prototype-changed' || cause.code === 'argument-in-memory') {
    return language === 'zh' ? '无法读取所需函数的参数' : "their functions' arguments cannot be read";
  }
  return explainCause(cause, language);
}

function sentence(gap: Gap, phrases: string[], language: Language): string {
  if (language === 'zh') return `${gap.reason}，因此看不到：${phrases.join('；')}。`;
  const list = phrases.join('; ');
  return gap.kernelWide ? `${capital(gap.reason)}, so not seen: ${list}.` : `Not seen because ${gap.reason}: ${list}.`;
}

function returnSentence(probes: PlannedProbe[], language: Language): string {
  const names = probes.map((probe) => probe.point.name).join(', ');
  return language === 'zh' ? `以下探针没有返回值：${names}。` : `Seen without their results: ${names}.`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
