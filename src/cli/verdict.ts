import { readFileSync } from 'node:fs';
import { VdiagError } from '../base/errors.js';
import { worstLevel } from '../report/build.js';
import type { Report } from '../report/types.js';
import type { Level } from '../rules/types.js';

const ORDER: Level[] = ['info', 'warn', 'error'];

/** Whether something of this level or above was found. */
export function failsOn(report: Report, level: Level | 'never'): boolean {
  const worst = worstLevel(report);
  return level !== 'never' && worst !== undefined && ORDER.indexOf(worst) >= ORDER.indexOf(level);
}

/** An earlier report to compare with. @throws VdiagError (2) if it is not a JSON report of vdiag. */
export function readBaseline(file: string): { file: string; report: Report } {
  const expected = 'a report written by vdiag run --format json';
  let report: Partial<Report>;
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as Partial<Report>;
  } catch (error) {
    throw new VdiagError({ message: `cannot read the baseline ${file}: ${(error as Error).message}`, expected }, 2, {
      cause: error,
    });
  }
  if (report?.kind !== 'Report' || report.apiVersion !== 'vdiag/v1' || !hasLatencies(report)) {
    throw new VdiagError({ message: `the baseline ${file} is not a report`, expected }, 2);
  }
  return { file, report: report as Report };
}

/** Whether a report has what a comparison reads. */
function hasLatencies({ pairs }: Partial<Report>): boolean {
  return (
    Array.isArray(pairs) &&
    pairs.every(
      (pair) =>
        Array.isArray(pair?.segments) &&
        pair.segments.every(({ label, latency }) => typeof label === 'string' && typeof latency?.p99 === 'number'),
    )
  );
}
