import { FAULT_FAMILIES, type FaultFamily } from '../../src/lab/index.js';
import { KERNELS } from '../support/vm-kernel.js';
import type { BenchCase, RemedyOutcome } from './bench-run.js';
import type { RunResult } from './run-cases.js';
import { type Score, scoreReport, whatIsSaid } from './score.js';

/** One line of the bench's result. */
export interface ScoredRun {
  fault: string;
  variant: string;
  family: FaultFamily;
  kernel: string;
  seed: number;
  /** Diagnosis ids; `none` of a healthy control. */
  expected: string;
  /** Diagnoses with their confidence; `none`. */
  got: string;
  /** `unavailable`: the kernel or machine has not what the fault needs; not counted. */
  score: Score | 'unavailable';
  /** What keeps it from being precise, or available. */
  why: string;
  /** From bringing the lab up to the diagnosis. */
  seconds: number;
  /** It was not precise at first: what it was then. The score is the first run's. */
  second?: Score;
  remedy?: RemedyOutcome;
}

/** The document of `--json`. */
export interface BenchResult {
  apiVersion: 'vdiag/v1';
  kind: 'FaultBench';
  seed: number;
  /** Controls among them: a healthy one of which nothing is said is precise. */
  precise: number;
  partial: number;
  missed: number;
  wrong: number;
  falseAlarms: number;
  unavailable: number;
  runs: ScoredRun[];
}

/** Scores what came of a case. A run without a report is missed, whatever broke it. */
export function scoredRun(
  { instance }: BenchCase,
  { outcome, report }: RunResult,
  where: { kernel: string; seed: number; variant: string },
): ScoredRun {
  const { fault, expect } = instance;
  const scored = outcome.lacks
    ? { score: 'unavailable' as const, why: outcome.error ?? '' }
    : report
      ? scoreReport(report, instance)
      : { score: 'missed' as const, why: outcome.error ?? 'no report' };
  const ids = [expect.diagnosis, ...(expect.also ?? []).map(({ diagnosis }) => diagnosis)];
  return {
    fault: fault.id,
    family: fault.family,
    ...where,
    expected: ids.filter((id) => id !== undefined).join(', ') || 'none',
    got: report ? whatIsSaid(report.diagnoses) : 'no report',
    ...scored,
    seconds: Math.round(outcome.seconds * 10) / 10,
    ...(outcome.remedy && { remedy: outcome.remedy }),
  };
}

export function benchResult(seed: number, runs: ScoredRun[]): BenchResult {
  const count = (score: ScoredRun['score']): number => runs.filter((run) => run.score === score).length;
  return {
    apiVersion: 'vdiag/v1',
    kind: 'FaultBench',
    seed,
    precise: count('precise'),
    partial: count('partial'),
    missed: count('missed'),
    wrong: count('wrong'),
    falseAlarms: count('false-alarm'),
    unavailable: count('unavailable'),
    runs,
  };
}

/** The kernels of these runs, in the order of the table's columns. */
export function measuredKernels(runs: readonly ScoredRun[]): string[] {
  const order = ['here', ...KERNELS] as string[];
  return [...new Set(runs.map(({ kernel }) => kernel))].sort((x, y) => order.indexOf(x) - order.indexOf(y));
}

/** Head and rows of the table: by family what is precise of what could be built, on each kernel; then all of them. */
export function accuracyRows(runs: readonly ScoredRun[]): { head: string[]; body: string[][] } {
  const kernels = measuredKernels(runs);
  const cell = (some: ScoredRun[]): string => {
    const built = some.filter(({ score }) => score !== 'unavailable');
    return built.length === 0 ? '–' : `${built.filter(({ score }) => score === 'precise').length} of ${built.length}`;
  };
  const of = (kernel: string, family?: FaultFamily): ScoredRun[] =>
    runs.filter((run) => run.kernel === kernel && (family === undefined || run.family === family));
  const families = FAULT_FAMILIES.filter((family) => runs.some((run) => run.family === family));
  const faults = (kernel: string): ScoredRun[] =>
    of(kernel).filter(({ family, score }) => family !== 'controls' && score !== 'unavailable');
  const count = (name: string, score: Score): string[] => [
    name,
    ...kernels.map((kernel) => String(of(kernel).filter((run) => run.score === score).length)),
  ];
  return {
    head: ['precise', ...kernels],
    body: [
      ...families.map((family) => [family, ...kernels.map((kernel) => cell(of(kernel, family)))]),
      [
        'all faults',
        ...kernels.map((kernel) => {
          const all = faults(kernel);
          const precise = all.filter(({ score }) => score === 'precise').length;
          return all.length === 0 ? '–' : `${precise} of ${all.length}, ${Math.floor((100 * precise) / all.length)} %`;
        }),
      ],
      count('partial', 'partial'),
      count('missed', 'missed'),
      count('wrong', 'wrong'),
      count('false alarms', 'false-alarm'),
      [
        'cannot be built there',
        ...kernels.map((kernel) => String(of(kernel).filter(({ score }) => score === 'unavailable').length)),
      ],
    ],
  };
}
