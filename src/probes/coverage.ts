import { type Language, decisiveCause, explainCause, isHarmless, isKernelWide } from './causes.js';
import type { Backend, PlannedProbe, ProbeCause, ProbeGroup, ProbePlan, ProbeTier } from './types.js';

/** What a plan covers, and what it does not. */
export interface Coverage {
  planned: number;
  attached: number;
  byBackend: Partial<Record<Backend, number>>;
  /** Attached, but without something that the point could tell. */
  degraded: { probe: string; why: string }[];
  /** Probes that are not attached: why, and what a report cannot show for want of them. */
  missing: { probe: string; group: ProbeGroup; why: string; hides: string }[];
  /** What cannot be seen at all, by what keeps it from being seen. */
  gaps: CoverageGap[];
  /** The same in sentences, and what is seen without its result. */
  notSeen: string[];
  notSeenZh: string[];
}

/** Things that are not seen for one reason. */
export interface CoverageGap {
  /** Plain words, fit for the middle of a sentence: `this kernel has no kprobes`. */
  reason: string;
  reasonZh: string;
  /** Whether it lies in the kernel as a whole rather than in these points. */
  kernelWide: boolean;
  /** Phrases that follow "not seen: ", what matters most first. */
  hides: string[];
  hidesZh: string[];
  /** Points that are missing for this reason, also those that hide nothing that another point does not show. */
  points: number;
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
  const gaps = gapsOf(plan);
  return {
    planned: plan.probes.length,
    attached,
    byBackend,
    degraded: plan.probes.filter(isDegraded).map(({ point, causes = [] }) => ({
      probe: point.name,
      why: causes
        .filter(({ code }) => code === 'return-lost')
        .map((cause) => explainCause(cause))
        .join('; '),
    })),
    missing: plan.probes
      .filter((probe) => !probe.backend)
      .map((probe) => ({
        probe: probe.point.name,
        group: probe.point.group,
        why: whyMissing(probe),
        hides: probe.point.hides,
      })),
    gaps,
    notSeen: [
      ...gaps.map((gap) => gapSentence(gap, 'en')),
      ...returnSentence(plan, 'en'),
      ...discoverySentence(plan, 'en'),
    ],
    notSeenZh: [
      ...gaps.map((gap) => gapSentence(gap, 'zh')),
      ...returnSentence(plan, 'zh'),
      ...discoverySentence(plan, 'zh'),
    ],
  };
}

/** Whether a probe is attached, but cannot tell all that its point could. */
export function isDegraded({ backend, causes }: PlannedProbe): boolean {
  return backend !== undefined && (causes?.some(({ code }) => code === 'return-lost') ?? false);
}

/** In one sentence without a full stop, why a probe is not attached. */
export function whyMissing(probe: PlannedProbe): string {
  const cause = decisiveCause(probe.causes ?? []);
  return cause ? explainCause(cause) : (probe.reasons[0] ?? 'not attached');
}

/** Whether nothing is lost with a probe that is not attached: no packet can pass code that is not there. */
export function isMissedByNobody(probe: PlannedProbe): boolean {
  const cause = decisiveCause(probe.causes ?? []);
  return cause !== undefined && isHarmless(cause);
}

/**
 * A gap as a sentence.
 * @param most phrases to name; the others are counted. All when absent.
 */
export function gapSentence(gap: CoverageGap, language: Language, most = Infinity): string {
  const zh = language === 'zh';
  const phrases = zh ? gap.hidesZh : gap.hides;
  const reason = zh ? gap.reasonZh : gap.reason;
  // One phrase more takes no more room than to say that there is one.
  const shown = phrases.length <= most + 1 ? phrases : phrases.slice(0, most);
  const hidden = phrases.length - shown.length;
  if (zh) return `${reason}，因此看不到：${shown.join('；')}${hidden > 0 ? `；以及另外 ${hidden} 项` : ''}。`;
  const list = `${shown.join('; ')}${hidden > 0 ? `; and ${hidden} more` : ''}`;
  return gap.kernelWide ? `${capital(reason)}, so not seen: ${list}.` : `Not seen because ${reason}: ${list}.`;
}

const TIERS: readonly (ProbeTier | undefined)[] = ['core', 'error', undefined, 'optimisation', 'detail'];

function gapsOf(plan: ProbePlan): CoverageGap[] {
  const seen = new Set(plan.probes.filter(({ backend }) => backend).map(({ point }) => point.hides));
  const byReason = new Map<string, { gap: CoverageGap; probes: PlannedProbe[] }>();
  for (const probe of plan.probes) {
    if (probe.backend || isMissedByNobody(probe)) continue;
    const cause = decisiveCause(probe.causes ?? []);
    const reason = cause ? reasonOf(cause, 'en') : (probe.reasons[0] ?? '');
    const known = byReason.get(reason) ?? {
      gap: {
        reason,
        reasonZh: cause ? reasonOf(cause, 'zh') : reason,
        kernelWide: !!cause && isKernelWide(cause),
        hides: [],
        hidesZh: [],
        points: 0,
      },
      probes: [],
    };
    known.probes.push(probe);
    byReason.set(reason, known);
  }
  const told = new Set<string>();
  const order = [...byReason.values()].sort((a, b) => Number(b.gap.kernelWide) - Number(a.gap.kernelWide));
  return order.flatMap(({ gap, probes }) => {
    const points = probes.map(({ point }) => point).sort((a, b) => TIERS.indexOf(a.tier) - TIERS.indexOf(b.tier));
    for (const { hides, hidesZh } of points) {
      // A phrase that another probe still shows, or that an earlier gap has named, is not repeated.
      if (seen.has(hides) || told.has(hides)) continue;
      told.add(hides);
      gap.hides.push(hides);
      gap.hidesZh.push(hidesZh ?? hides);
    }
    return gap.hides.length > 0 ? [{ ...gap, points: probes.length }] : [];
  });
}

/** A sentence about many probes names no single function; the list of missing probes does. */
function reasonOf(cause: ProbeCause, language: Language): string {
  const zh = language === 'zh';
  switch (cause.code) {
    case 'no-function':
    case 'compiler-changed':
    case 'no-prototype':
      return zh ? '本内核没有所需的函数' : 'this kernel lacks their functions';
    case 'no-tracepoint':
      return zh ? '本内核没有所需的跟踪点' : 'this kernel lacks their tracepoints';
    case 'attach-refused':
      return zh ? '内核拒绝附加其探针' : 'the kernel refused their probes';
    case 'not-traceable':
      return zh ? '内核不允许跟踪所需的函数' : 'the kernel does not let their functions be traced';
    case 'by-reference':
    case 'prototype-changed':
    case 'argument-in-memory':
      return zh ? '无法读取所需函数的参数' : "their functions' arguments cannot be read";
    default:
      return explainCause(cause, language);
  }
}

function returnSentence(plan: ProbePlan, language: Language): string[] {
  const probes = plan.probes.filter(isDegraded);
  if (probes.length === 0) return [];
  const names = probes.map((probe) => probe.point.name).join(', ');
  return [language === 'zh' ? `以下探针没有返回值：${names}。` : `Seen without their results: ${names}.`];
}

function discoverySentence({ discovery }: ProbePlan, language: Language): string[] {
  if (!discovery || discovery.taken >= discovery.found) return [];
  const { found, taken } = discovery;
  if (language === 'zh') return [`发现了 ${found} 个函数，只监视其中 ${taken} 个（--probe-limit）。`];
  return [`Of ${found} functions that were discovered only ${taken} are watched (--probe-limit).`];
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
