/** A lab or fault, and the scenario that asks about it. */
export interface LabQuestion {
  lab: string;
  scenario: string;
  /** Of a fault's variables, other values than the first. */
  choices?: readonly string[];
}

/** What the job prints. */
export interface LabsOutcome {
  /** By lab: what `vdiag run` would have ended with. */
  statuses: Record<string, number>;
  /** By lab that could not be diagnosed: why. */
  errors: Record<string, string>;
  seconds: Record<string, number>;
  /** Labs that are still up. */
  left: unknown[];
}

/**
 * Runs in the VM: labs one after the other in one process, which loads the rules once. Their reports are artefacts. With
 * a file given.btf beside it, those are the kernel's types.
 */
export const LABS_JOB = `
import { existsSync, writeFileSync } from 'node:fs';
import { labRun } from '/vdiag/dist/cli/lab-run.js';
import { failsOn } from '/vdiag/dist/cli/verdict.js';
import { listLabs } from '/vdiag/dist/lab/index.js';
import { renderJson } from '/vdiag/dist/report/json.js';
import { requireTracing } from '/vdiag/dist/scenarios/kernel.js';
import { loadLibrary } from '/vdiag/dist/scenarios/library.js';

const library = loadLibrary();
const btf = existsSync('given.btf') ? 'given.btf' : undefined;
const kernel = requireTracing(btf);
console.error('rules loaded', process.uptime().toFixed(1));
const outcome = { statuses: {}, errors: {}, seconds: {} };
for (const { lab, scenario, choices = [] } of JSON.parse(process.argv[2])) {
  const started = performance.now();
  try {
    const report = await labRun({ name: lab, choices }, {
      library, scenario, version: 'test', ends: {}, filter: {}, devices: [], probes: {}, ringBytes: 16 << 20,
      btf, kernel,
    });
    writeFileSync('/out/artefacts/' + lab + '.json', renderJson(report));
    outcome.statuses[lab] = failsOn(report, 'error') ? 1 : 0;
  } catch (error) {
    outcome.errors[lab] = error.message;
  }
  outcome.seconds[lab] = (performance.now() - started) / 1000;
  console.error(lab, outcome.seconds[lab].toFixed(1), outcome.errors[lab] ?? '');
}
console.log(JSON.stringify({ ...outcome, left: await listLabs() }));
`;
