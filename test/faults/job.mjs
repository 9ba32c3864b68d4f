/**
 * Runs labs one after the other, in a process that loads the rules once: in a virtual machine, or here.
 * `node job.mjs DIST OUT < RUNS`: DIST is the built project, OUT the folder for reports (`ID.json`) and recordings
 * (`ID.vdiag`), RUNS a JSON list of BenchRun (bench-run.ts). One line of JSON for each run that has ended: a BenchOutcome;
 * and at once one for its reader, to standard error or to the file that VDIAG_BENCH_PROGRESS names.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [dist, out] = process.argv.slice(2);
const load = (path) => import(join(dist, path));
const { bringUp, labRun, traceLab } = await load('cli/lab-run.js');
const { failsOn } = await load('cli/verdict.js');
const { labDown, listLabs } = await load('lab/index.js');
const { renderJson } = await load('report/json.js');
const { requireTracing } = await load('scenarios/kernel.js');
const { loadLibrary } = await load('scenarios/library.js');

const library = loadLibrary();
const btf = existsSync('given.btf') ? 'given.btf' : undefined;
const kernel = requireTracing(btf);

/** A command of an article as its reader runs it: pasted into a shell. */
function paste(command) {
  const { status, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? undefined : `${command}: status ${status}: ${stderr.trim()}`;
}

/** Some undos are advice in words: there is no command to run. */
const isCommand = (text) => spawnSync('sh', ['-c', 'command -v "$0"', text.split(' ', 1)[0]]).status === 0;

/** What the lab's hosts have learnt of the way while the fault was gone would hide it for minutes. */
function forgetPaths(lab) {
  for (const { name } of Object.values(lab.namespaces))
    for (const version of ['-4', '-6']) spawnSync('ip', ['-n', name, version, 'route', 'flush', 'cache']);
}

const claims = ({ diagnoses }, id) => diagnoses.some((one) => one.id === id && one.confidence !== 'not established');

/** Applies the first remedy that is a whole command, looks again, undoes it and looks once more. */
async function verifyRemedy(lab, instance, report, request) {
  const id = instance.expect.diagnosis;
  const found = report.diagnoses.find((one) => one.id === id);
  if (!found) return { why: 'not diagnosed' };
  const remedy = found.remedies[0];
  if (!remedy) return { why: 'no remedy' };
  const again = () => traceLab(lab, instance.traffic, request);
  const failed = paste(remedy.do);
  if (failed !== undefined) return { do: remedy.do, gone: false, why: failed };
  const after = await again();
  const verified = { do: remedy.do, gone: !claims(after, id) && !failsOn(after, 'error') };
  if (!verified.gone) verified.why = after.diagnoses.map(({ summary }) => summary).join('; ');
  if (remedy.undo === undefined || !isCommand(remedy.undo) || !verified.gone) return verified;
  const notUndone = paste(remedy.undo);
  if (notUndone !== undefined) return { ...verified, undo: remedy.undo, back: false, why: notUndone };
  forgetPaths(lab);
  return { ...verified, undo: remedy.undo, back: claims(await again(), id) };
}

for (const { id, fault, choices, scenario, record, verify, budgetFactor } of JSON.parse(readFileSync(0, 'utf8'))) {
  const started = performance.now();
  const outcome = { id };
  const request = {
    library,
    scenario,
    version: 'bench',
    ends: {},
    filter: {},
    devices: [],
    probes: {},
    ringBytes: 16 << 20,
    budgetFactor,
    btf,
    kernel,
  };
  let told = [];
  try {
    const file = join(out, `${id}.vdiag`);
    let report;
    if (verify) {
      const { lab, instance } = await bringUp(fault, choices);
      try {
        report = await traceLab(lab, instance.traffic, request);
        outcome.remedy = await verifyRemedy(lab, instance, report, request);
      } finally {
        await labDown(lab.id);
      }
    } else {
      report = await labRun({ name: fault, choices }, { ...request, ...(record && { record: { file, force: true } }) });
    }
    writeFileSync(join(out, `${id}.json`), renderJson(report));
    told = report.diagnoses.map(({ id }) => id);
    outcome.status = failsOn(report, 'error') ? 1 : 0;
  } catch (error) {
    outcome.error = error.message;
    outcome.lacks = error.exitStatus === 3 && /needs what this kernel or machine lacks/.test(error.message);
  }
  outcome.seconds = (performance.now() - started) / 1000;
  console.log(JSON.stringify(outcome));
  const line = `run: ${id} ${outcome.seconds.toFixed(1)} s: ${outcome.error ?? told.join(', ')}\n`;
  appendFileSync(process.env.VDIAG_BENCH_PROGRESS ?? 2, line);
}
console.log(JSON.stringify({ left: await listLabs() }));
