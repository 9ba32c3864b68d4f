import { type ChildProcess, spawn } from 'node:child_process';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import type { Diagnosis } from '../../src/diagnosis/types.js';
import type { Report } from '../../src/report/types.js';

/** What a run of the built command line gave. */
export interface CliResult {
  /** Exit status, or the signal that ended it. */
  status: number | string;
  stdout: string;
  stderr: string;
}

/** A run that has been started: to be ended by signals, and waited for. */
export interface CliRun {
  child: ChildProcess;
  result: Promise<CliResult>;
}

/** Starts the built command line (`npm run build`), as a user would. */
export function startVdiag(...args: string[]): CliRun {
  const child = spawn(process.execPath, [packagePath('dist/cli/main.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => (output[stream] += text));
  }
  const result = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ status: code ?? String(signal), ...output }));
  });
  return { child, result };
}

/** Runs the built command line to its end. */
export function vdiag(...args: string[]): Promise<CliResult> {
  return startVdiag(...args).result;
}

/** `vdiag run …`, and its report. */
export async function runReport(...args: string[]): Promise<{ status: CliResult['status']; report: Report }> {
  const { status, stdout, stderr } = await vdiag('run', ...args, '--format', 'json');
  try {
    return { status, report: JSON.parse(stdout) as Report };
  } catch (error) {
    throw new Error(`vdiag run ${args.join(' ')} ended with ${status} and no report: ${stderr}`, { cause: error });
  }
}

/** Nothing at all is wrong, in every place where a report could say so. */
export function expectHealthy({ status, report }: { status: CliResult['status']; report: Report }): void {
  const said = [
    ...report.diagnoses.map(({ id, severity, summary }) => ({ id, level: severity, text: summary })),
    ...report.findings.map(({ rule, level, message }) => ({ id: rule, level, text: message })),
  ].filter(({ level }) => level !== 'info');
  expect(said, report.verdict.text).to.deep.equal([]);
  expect(report.verdict.level, report.verdict.text).to.be.oneOf(['clean', 'info']);
  expect(status, report.verdict.text).to.equal(0);
}

/** The diagnosis of that id; without it the assertion tells what there was instead. */
export function diagnosisOf(report: Report, id: string): Diagnosis {
  const found = report.diagnoses.find((diagnosis) => diagnosis.id === id);
  const there = report.diagnoses.map((one) => `${one.id}: ${one.summary}`).join('; ');
  expect(found, `${id} is not among the diagnoses: ${there || 'there are none'}`).to.not.equal(undefined);
  return found!;
}

/** The segments of a report's busiest pair, by label, with the most packets where there are several. */
export function segmentNamed(report: Report, pattern: RegExp): Report['pairs'][0]['segments'][0] {
  const segments = report.pairs[0]?.segments ?? [];
  const found = segments.filter(({ label }) => pattern.test(label));
  expect(found, `no segment is like ${pattern}: ${segments.map(({ label }) => label).join('; ')}`).to.not.deep.equal(
    [],
  );
  return found.reduce((most, one) => (one.latency.count > most.latency.count ? one : most));
}
