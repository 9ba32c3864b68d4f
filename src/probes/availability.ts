import { explainCause } from './causes.js';
import { type CoverageGap, coverageOf, isDegraded, isMissedByNobody } from './coverage.js';
import type { Backend, PlannedProbe, ProbeCause, ProbeGroup, ProbePlan, ProbeSet } from './types.js';

/** How one point would be attached on this kernel, or why it would not be. */
export interface PointAvailability {
  probe: string;
  group: ProbeGroup;
  set: ProbeSet;
  /** Absent: it cannot be attached. */
  backend?: Backend;
  /** The tracepoint or function that is taken. */
  target?: string;
  /** Set when that is a function of another name than the catalogue's own. */
  alias?: string;
  /** `attached`; `degraded`: without something it could tell; `unneeded`: missing, and no packet passes there. */
  state: 'attached' | 'degraded' | 'missing' | 'unneeded';
  /** Why a better backend, or any, is not to be had: in plain words, without capital or full stop. */
  why: string[];
  whyZh: string[];
  /** What a report cannot show for want of it; absent where nothing is lost. */
  hides?: string;
  hidesZh?: string;
}

/** A selection of the catalogue, as this kernel has it. Planned, not tried: the kernel may still refuse a point. */
export interface Availability {
  set: ProbeSet;
  planned: number;
  attached: number;
  byBackend: Partial<Record<Backend, number>>;
  /** In the order of the catalogue. */
  groups: { group: ProbeGroup; planned: number; attached: number; byBackend: Partial<Record<Backend, number>> }[];
  degraded: number;
  /** Of those that are not attached, the ones past which no packet can come. */
  unneeded: number;
  gaps: CoverageGap[];
  points: PointAvailability[];
}

/** What a plan says of each point and in sum. */
export function availabilityOf(plan: ProbePlan): Availability {
  const { planned, attached, byBackend, gaps, degraded } = coverageOf(plan);
  const names = [...new Set(plan.probes.map(({ point }) => point.group))];
  return {
    set: plan.set,
    ...{ planned, attached, byBackend },
    groups: names.map((group) => {
      const of = coverageOf({ ...plan, probes: plan.probes.filter(({ point }) => point.group === group) });
      return { group, planned: of.planned, attached: of.attached, byBackend: of.byBackend };
    }),
    degraded: degraded.length,
    unneeded: plan.probes.filter((probe) => stateOf(probe) === 'unneeded').length,
    gaps,
    points: plan.probes.map(pointAvailability),
  };
}

function pointAvailability(probe: PlannedProbe): PointAvailability {
  const { point, backend, target, causes = [], reasons } = probe;
  const state = stateOf(probe);
  // That it was found under another name is not why it is not better.
  const whys = causes.filter(({ code }) => code !== 'other-name');
  const inWords = (language: 'en' | 'zh'): string[] =>
    whys.length > 0 ? whys.map((cause: ProbeCause) => explainCause(cause, language)) : causes.length > 0 ? [] : reasons;
  const hidden = state === 'missing' || state === 'degraded';
  const lost = state === 'degraded' ? RESULT : { hides: point.hides, hidesZh: point.hidesZh ?? point.hides };
  return {
    probe: point.name,
    group: point.group,
    set: point.set,
    ...(backend && { backend, target }),
    ...(backend && point.function !== undefined && isAlias(probe) && { alias: target }),
    state,
    why: inWords('en'),
    whyZh: inWords('zh'),
    ...(hidden && lost),
  };
}

const RESULT = { hides: 'what it returns', hidesZh: '其返回值' };

function isAlias({ point, target, backend }: PlannedProbe): boolean {
  return backend !== 'raw-tracepoint' && backend !== 'tracepoint' && target !== point.function;
}

function stateOf(probe: PlannedProbe): PointAvailability['state'] {
  if (probe.backend) return isDegraded(probe) ? 'degraded' : 'attached';
  return isMissedByNobody(probe) ? 'unneeded' : 'missing';
}
