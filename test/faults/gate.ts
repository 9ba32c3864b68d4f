import type { ScoredRun } from './result.js';

/** The kernel of the machine that the bench runs on, as the table names it. */
export const HERE = 'here';

/**
 * Shares of the faults that must be precise, with the second run of those that were not at first, and of all runs that may be
 * mistakes twice in a row. What docs/accuracy.md has measured is better: an emulated machine on a busy host is the margin.
 */
const GATE = { vm: 0.88, here: 0.95, mistakes: 0.02 };

const isMistake = (score: ScoredRun['score']): boolean => score === 'wrong' || score === 'false-alarm';

/** What `npm run faults -- --gate` objects to: too many mistakes that are made twice, and too little that is precise. */
export function objections(runs: readonly ScoredRun[]): string[] {
  const bad = runs.filter(({ score, second = score }) => isMistake(score) && isMistake(second));
  const said =
    bad.length <= Math.ceil(GATE.mistakes * runs.length)
      ? []
      : bad.map(({ kernel, fault, variant, score, why }) => `${kernel} ${fault} ${variant}: ${score}: ${why}`);
  for (const [name, is, least] of [
    ['in virtual machines', (kernel: string) => kernel !== HERE, GATE.vm],
    ['here', (kernel: string) => kernel === HERE, GATE.here],
  ] as const) {
    const some = runs.filter(
      ({ kernel, family, score }) => is(kernel) && family !== 'controls' && score !== 'unavailable',
    );
    const precise = some.filter(({ score, second }) => [score, second].includes('precise')).length;
    if (precise < least * some.length)
      said.push(`${name} ${precise} of ${some.length} are precise, less than ${100 * least} %`);
  }
  return said;
}
