/**
 * `npm run faults`: the fault bench. Puts every variant of every fault into a lab, in a virtual machine of each kernel and on
 * this machine, asks vdiag, and scores the answer.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import cliTable from 'cli-table3';
import { VdiagError } from '../src/base/errors.js';
import { variantName } from '../src/lab/index.js';
import type { BenchCase, RecordedCase } from '../test/faults/bench-run.js';
import { benchCases, benchRun } from '../test/faults/cases.js';
import { accuracyRows, benchResult, scoredRun, type ScoredRun } from '../test/faults/result.js';
import { HERE, objections } from '../test/faults/gate.js';
import { runHere, runInKernel, type RunResult } from '../test/faults/run-cases.js';
import { oneIn, type Pair, spread, unbuildableHere, type Where } from '../test/faults/spread.js';
import { baseImage, bootImage, moduleImage } from '../test/support/vm-base.js';
import { fetchKernel, isKernelName, KERNELS, qemuPath } from '../test/support/vm-kernel.js';
import { virtualMachinesAtOnce } from '../test/support/vm-run.js';
import { projectImage } from '../test/support/vm-project.js';

const USAGE = `usage: npm run faults -- [FILTER ...] [options]
  FILTER           a family (firewall, routing …), or a part of a fault's id or variant; several: what any of them means
  --kernel NAME    ${KERNELS.join(', ')}, or here: this machine's own kernel (repeatable): every variant on each of them;
                   default: every variant on one of them, by the seed: five of six here, if they can be built here
  --seed N         chooses ports, rates, sizes, kernels (default: the day)
  --one-in N       one of N of the runs, which ones by the seed; N seeds in a row take them all (CI: 3)
  --json           one JSON document instead of the table
  --verify-remedy  run each article's remedy and look again, then its undo
  --record DIR     keep a recording of each run: npm run record:faults takes what is precise and small from there
  --reports DIR    keep the JSON report of each run
  --gate           status 1 if too much is wrong or a false alarm, twice in a row, or too little is precise
  --jobs N         virtual machines at the same time (default: one for each processor, as memory allows); 1 disturbs the
                   measured least
  --minutes N      after so long boot no further machine: what was not run is told, and not counted
  --again          run what was not precise a second time, one virtual machine at a time`;

/** Runs in one boot: one that breaks the machine takes no more than these with it. */
const BATCH = 24;

interface Wanted {
  filters: string[];
  /** Each takes every variant; absent: each variant goes to one kernel. */
  kernels?: Where[];
  seed: number;
  oneIn: number;
  json: boolean;
  verify: boolean;
  record?: string;
  reports?: string;
  gate: boolean;
  again: boolean;
  jobs: number;
  minutes: number;
}

/** @throws Error with one clear message for arguments that make no sense. */
function wantedBy(argv: string[]): Wanted | 'help' {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      kernel: { type: 'string', multiple: true },
      seed: { type: 'string' },
      'one-in': { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      'verify-remedy': { type: 'boolean', default: false },
      record: { type: 'string' },
      reports: { type: 'string' },
      gate: { type: 'boolean', default: false },
      again: { type: 'boolean', default: false },
      jobs: { type: 'string' },
      minutes: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const number = (option: 'seed' | 'one-in' | 'jobs' | 'minutes', text: string, least: number): number => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < least)
      throw new Error(`--${option} ${text}: expected a whole number from ${least} on`);
    return Number(text);
  };
  const kernels = values.kernel?.map((name): Where => {
    if (name !== HERE && !isKernelName(name))
      throw new Error(`there is no kernel "${name}"; expected ${[HERE, ...KERNELS].join(', ')}`);
    return name;
  });
  return {
    filters: positionals,
    kernels,
    seed: values.seed === undefined ? Math.floor(Date.now() / 86_400_000) : number('seed', values.seed, 0),
    oneIn: number('one-in', values['one-in'], 1),
    json: values.json,
    verify: values['verify-remedy'],
    record: values.record,
    reports: values.reports,
    gate: values.gate,
    again: values.again || values.gate,
    jobs: values.jobs === undefined ? virtualMachinesAtOnce(1) : number('jobs', values.jobs, 1),
    minutes: values.minutes === undefined ? Infinity : number('minutes', values.minutes, 1),
  };
}

/** Cases of one boot (or, here, of one process). */
interface Batch {
  kernel: Where;
  cases: BenchCase[];
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Runs a batch and scores it; what broke the machine is run again alone, so that it takes nothing else with it. */
async function runBatch({ kernel, cases }: Batch, wanted: Wanted): Promise<ScoredRun[]> {
  const { seed } = wanted;
  const runs = cases.map((one) => benchRun(one, { record: wanted.record !== undefined, verify: wanted.verify }));
  const execute = async (some: typeof runs): Promise<RunResult[]> => {
    if (performance.now() > wanted.minutes * 60_000) {
      const error = `not run: ${wanted.minutes} minutes were over`;
      return some.map(({ id }) => ({ outcome: { id, seconds: 0, lacks: true, error } }));
    }
    try {
      const onEnd = (progress: string): void => say(`${kernel} ${progress}`);
      return kernel === HERE ? await runHere(some, onEnd) : await runInKernel(kernel, some, onEnd);
    } catch (error) {
      say(`${kernel}: ${(error as Error).message}`);
      return [];
    }
  };
  const results = await execute(runs);
  const after = runs.slice(results.length + 1);
  if (results.length < runs.length && after.length > 0) results.push(...(await execute(after)));
  const scored = cases.map((one, i): ScoredRun => {
    const result = results.find(({ outcome }) => outcome.id === runs[i].id) ?? {
      outcome: { id: runs[i].id, seconds: 0, error: 'the machine broke, or its time ran out' },
    };
    const { fault, variant } = one.instance;
    const scored = scoredRun(one, result, { kernel, seed, variant: variantName(fault, variant) });
    keep(wanted, kernel, result, { fault: fault.id, variant, kernel, seed });
    return scored;
  });
  for (const run of scored)
    say(`${run.kernel} ${run.fault} ${run.variant}: ${run.score}, ${run.seconds} s${run.why && `: ${run.why}`}`);
  return scored;
}

/** Writes what is to be kept of a run; of a recording also what it is of. */
function keep(
  { record, reports }: Wanted,
  kernel: Where,
  { outcome, report, recording }: RunResult,
  made: RecordedCase,
): void {
  const write = (folder: string, ending: string, content: string | Uint8Array): void => {
    mkdirSync(join(folder, kernel), { recursive: true });
    writeFileSync(join(folder, kernel, `${outcome.id}.${ending}`), content);
  };
  if (reports !== undefined && report) write(reports, 'json', `${JSON.stringify(report, undefined, 2)}\n`);
  if (record === undefined || !recording) return;
  write(record, 'vdiag', recording);
  write(record, 'case.json', JSON.stringify(made));
}

/** Runs batches, so many virtual machines at the same time; this machine's own runs have it to themselves. */
async function runAll(batches: readonly Batch[], wanted: Wanted): Promise<ScoredRun[]> {
  const scored = new Map<Batch, ScoredRun[]>();
  const here = batches.filter(({ kernel }) => kernel === HERE);
  for (const batch of here) scored.set(batch, await runBatch(batch, wanted));
  const waiting = batches.filter(({ kernel }) => kernel !== HERE);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) scored.set(next, await runBatch(next, wanted));
  };
  await Promise.all(Array.from({ length: wanted.jobs }, work));
  return batches.flatMap((batch) => scored.get(batch) ?? []);
}

function batchesOf(pairs: readonly Pair[]): Batch[] {
  const batches: Batch[] = [];
  for (const kernel of new Set(pairs.map((pair) => pair.kernel))) {
    const cases = pairs.filter((pair) => pair.kernel === kernel).map(({ one }) => one);
    for (let at = 0; at < cases.length; at += BATCH) batches.push({ kernel, cases: cases.slice(at, at + BATCH) });
  }
  return batches;
}

/** Adds to what `npm test` counts and tells at its end, as test/support/count-reporter.cjs does. */
function noteForTests(runs: readonly ScoredRun[], failed: readonly string[]): void {
  const { VDIAG_TEST_COUNTS: counts, VDIAG_TEST_NOTES: notes } = process.env;
  if (counts === undefined || notes === undefined) return;
  const lacking = runs.filter(({ score }) => score === 'unavailable');
  appendFileSync(counts, `${runs.length - lacking.length - failed.length} ${failed.length} ${lacking.length}\n`);
  const note = (kind: string, title: string): void =>
    appendFileSync(notes, `${JSON.stringify({ kind, title: `fault bench: ${title}` })}\n`);
  for (const { kernel, fault, variant, why } of lacking) note('skipped', `${kernel} ${fault} ${variant}: ${why}`);
  for (const text of failed) note('failed', text);
}

function showTable(runs: readonly ScoredRun[]): void {
  const { head, body } = accuracyRows(runs);
  const table = new cliTable({ head, style: { head: [], border: [] } });
  table.push(...body);
  process.stdout.write(`${table.toString()}\n`);
  for (const { kernel, fault, variant, score, second, why, seconds } of runs) {
    if (score === 'precise' || score === 'unavailable') continue;
    const again = second === undefined ? '' : `, then ${second}`;
    process.stdout.write(`${kernel} ${fault} ${variant}: ${score}${again} (${seconds} s): ${why}\n`);
  }
  for (const { kernel, fault, variant, remedy } of runs) {
    if (!remedy) continue;
    const undone = remedy.undo === undefined ? 'no undo' : remedy.back ? 'undo brings it back' : 'UNDO DOES NOT';
    const what = remedy.gone ? `gone with ${remedy.do}; ${undone}` : `NOT GONE: ${remedy.do ?? ''}`;
    process.stdout.write(`${kernel} ${fault} ${variant}: ${what}${remedy.why ? `: ${remedy.why}` : ''}\n`);
  }
}

async function main(): Promise<number> {
  let wanted: Wanted | 'help';
  try {
    wanted = wantedBy(process.argv.slice(2));
  } catch (error) {
    say(`faults: ${(error as Error).message}`);
    return 2;
  }
  if (wanted === 'help') {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const { seed } = wanted;
  let pairs: Pair[];
  try {
    const cases = benchCases(wanted.filters, seed);
    pairs = wanted.kernels
      ? wanted.kernels.flatMap((kernel) => cases.map((one) => ({ kernel, one })))
      : spread(cases, seed, await unbuildableHere(cases));
  } catch (error) {
    if (!(error instanceof VdiagError)) throw error;
    say(`faults: ${error.message}`);
    return 2;
  }
  pairs = oneIn(wanted.oneIn, pairs, seed);
  if (wanted.verify) pairs = pairs.filter(({ one }) => one.instance.fault['remedy-works']);
  await prepare(new Set(pairs.map(({ kernel }) => kernel)));
  const started = performance.now();
  const runs = await runAll(batchesOf(pairs), wanted);
  if (wanted.again) await secondRuns(pairs, runs, wanted);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  if (wanted.json) process.stdout.write(`${JSON.stringify(benchResult(seed, runs), undefined, 2)}\n`);
  else showTable(runs);
  say(`faults: ${runs.length} runs, seed ${seed}, ${minutes} minutes`);
  if (!wanted.gate) return 0;
  const said = objections(runs);
  for (const text of said) say(`faults: ${text}`);
  noteForTests(runs, said);
  return said.length > 0 ? 1 : 0;
}

/** Runs once more what was not precise, and notes the second score beside the first. */
async function secondRuns(pairs: readonly Pair[], runs: ScoredRun[], wanted: Wanted): Promise<void> {
  const key = ({ kernel, fault, variant }: Pick<ScoredRun, 'kernel' | 'fault' | 'variant'>): string =>
    `${kernel} ${fault} ${variant}`;
  const open = new Map(
    runs.filter(({ score }) => !['precise', 'unavailable'].includes(score)).map((run) => [key(run), run]),
  );
  const again = pairs.filter(({ kernel, one: { instance } }) =>
    open.has(key({ kernel, fault: instance.fault.id, variant: variantName(instance.fault, instance.variant) })),
  );
  if (again.length === 0) return;
  say(`once more: ${again.length}`);
  for (const run of await runAll(batchesOf(again), {
    ...wanted,
    record: undefined,
    reports: undefined,
    jobs: 1,
    minutes: Infinity,
  })) {
    const first = open.get(key(run))!;
    if (run.score !== 'unavailable') first.second = run.score;
  }
}

/** Everything that several boots would otherwise make at the same time. */
async function prepare(kernels: ReadonlySet<Where>): Promise<void> {
  if ([...kernels].every((kernel) => kernel === HERE)) return;
  await qemuPath();
  await projectImage();
  await baseImage();
  for (const name of kernels) {
    if (name === HERE) continue;
    const kernel = await fetchKernel(name);
    await moduleImage(kernel);
    await bootImage(kernel);
  }
}

process.exitCode = await main();
