/**
 * `npm run faults:table -- RESULT.json ...`: brings the table of docs/accuracy.md up to date, from documents of
 * `npm run faults -- --json`. A run that stands in several of them (kernel, fault, variant, seed) counts as the last has it.
 */
import { readFileSync } from 'node:fs';
import { packagePath } from '../src/base/package-root.js';
import { accuracyRows, type BenchResult, measuredKernels, type ScoredRun } from '../test/faults/result.js';
import { markdownTable, replaceGenerated } from '../test/support/generated-part.js';

const files = process.argv.slice(2);
if (files.length === 0) {
  process.stderr.write('usage: npm run faults:table -- RESULT.json ...\n');
  process.exit(2);
}
const runs = new Map<string, ScoredRun>();
for (const file of files) {
  const { kind, runs: some } = JSON.parse(readFileSync(file, 'utf8')) as BenchResult;
  if (kind !== 'FaultBench') throw new Error(`${file} is no result of npm run faults -- --json`);
  for (const run of some) runs.set([run.kernel, run.fault, run.variant, run.seed].join(' '), run);
}
const all = [...runs.values()];
const { head, body } = accuracyRows(all);
const notPrecise = all.filter(({ score }) => score !== 'precise' && score !== 'unavailable');
const seeds = [...new Set(all.map(({ seed }) => seed))].sort((x, y) => x - y);

/** Seconds from bringing the lab up to the diagnosis, of one kernel. */
function secondsOf(kernel: string): string {
  const took = all
    .filter((run) => run.kernel === kernel && run.score !== 'unavailable')
    .map(({ seconds }) => seconds)
    .sort((x, y) => x - y);
  return took.length === 0 ? '–' : `${took[took.length >> 1]}, ${took[Math.floor(took.length * 0.9)]}`;
}

replaceGenerated(
  packagePath('docs', 'accuracy.md'),
  'npm run faults:table',
  [
    `Seeds ${seeds.join(', ')}; ${all.length} runs.`,
    '',
    markdownTable([head, ...body, ['seconds to the diagnosis: p50, p90', ...measuredKernels(all).map(secondsOf)]]),
    '## What was not precise',
    '',
    notPrecise.length === 0
      ? 'Nothing.\n'
      : markdownTable([
          ['kernel', 'fault', 'variant', 'seed', 'score', 'why'],
          ...notPrecise.map(({ kernel, fault, variant, seed, score, second, why }) => [
            ...[kernel, fault, variant, String(seed)],
            second === undefined ? score : `${score}, then ${second}`,
            why.length > 160 ? `${why.slice(0, 160)}…` : why,
          ]),
        ]),
  ].join('\n'),
);
