import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packagePath } from '../../src/base/package-root.js';
import type { Report } from '../../src/report/types.js';
import type { Kernel, KernelName } from '../support/vm-kernel.js';
import { runInVm } from '../kernels/harness.js';
import type { BenchOutcome, BenchRun } from './bench-run.js';

/** s that a run may take in a virtual machine; a job that hangs is ended after the sum of them. */
const SECONDS_EACH = 75;
const SECONDS_FOR_RULES = 90;
/** The scenario's latency budgets are for real processors; an emulated one is ten to twenty times slower. */
const EMULATED_BUDGETS = 10;

/** What came of a run, with the report and the recording it left. */
export interface RunResult {
  outcome: BenchOutcome;
  report?: Report;
  recording?: Uint8Array;
}

/** How job.mjs begins a line about a run that has ended. */
const PROGRESS = 'run: ';

const JOB = packagePath('test', 'faults', 'job.mjs');

/** Runs cases in a virtual machine of this kernel, all of them in one boot. @param onEnd told when one has ended. */
export async function runInKernel(
  kernel: KernelName | Kernel,
  runs: readonly BenchRun[],
  onEnd: (progress: string) => void,
  btf?: Uint8Array,
): Promise<RunResult[]> {
  const each = runs.some(({ verify }) => verify) ? 3 * SECONDS_EACH : SECONDS_EACH;
  const slow = runs.map((run): BenchRun => ({ ...run, budgetFactor: EMULATED_BUDGETS }));
  const result = await runInVm({
    kernel,
    cards: true,
    timeoutSeconds: SECONDS_FOR_RULES + each * runs.length,
    files: { 'job.mjs': readFileSync(JOB), 'runs.json': JSON.stringify(slow), ...(btf && { 'given.btf': btf }) },
    // The virtual machine is the lab's own: its host-wide settings may be changed.
    job: 'VDIAG_LAB_HOST=own VDIAG_BENCH_PROGRESS=/dev/console node job.mjs /vdiag/dist /out/artefacts <runs.json',
    onLine: (line) => line.startsWith(PROGRESS) && onEnd(line.slice(PROGRESS.length)),
  });
  try {
    const results = resultsOf(result.stdout.split('\n'), result.artefacts);
    if (results.length < runs.length)
      process.stderr.write(`the job ended with ${result.status} after ${results.length} runs: ${result.stderr}\n`);
    return results;
  } finally {
    rmSync(result.artefacts, { recursive: true });
  }
}

/** Runs cases on this machine, as root, by the built project. */
export async function runHere(runs: readonly BenchRun[], onEnd: (progress: string) => void): Promise<RunResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-faults-'));
  try {
    const child = spawn(process.execPath, [JOB, packagePath('dist'), folder], { stdio: ['pipe', 'pipe', 'pipe'] });
    const ended = new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
    let said = '';
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (line.startsWith(PROGRESS)) onEnd(line.slice(PROGRESS.length));
      else said = `${said}${line}\n`.slice(-4000);
    });
    child.stdin.end(JSON.stringify(runs));
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) lines.push(line);
    const status = await ended;
    const results = resultsOf(lines, folder);
    if (results.length < runs.length)
      process.stderr.write(`the job ended with ${String(status)} after ${results.length} runs: ${said}\n`);
    return results;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function resultsOf(lines: readonly string[], folder: string): RunResult[] {
  const outcomes = lines.filter((line) => line.startsWith('{"id"')).map((line) => JSON.parse(line) as BenchOutcome);
  return outcomes.map((outcome) => {
    const report = join(folder, `${outcome.id}.json`);
    const recording = join(folder, `${outcome.id}.vdiag`);
    return {
      outcome,
      ...(existsSync(report) && { report: JSON.parse(readFileSync(report, 'utf8')) as Report }),
      ...(existsSync(recording) && { recording: readFileSync(recording) }),
    };
  });
}
