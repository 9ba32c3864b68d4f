import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  allVariants,
  instantiate,
  loadFault,
  loadTopology,
  topologyOf,
  type FaultInstance,
} from '../../src/lab/index.js';
import type { Report } from '../../src/report/types.js';
import { expectNoneOfNever, expectPrecise } from '../support/fault-report.js';
import { diagnosisOf } from '../support/vdiag-cli.js';
import { forKernels, runInVm, type VmResult } from './harness.js';

/** Runs in the VM: labs one after the other in one process, for an emulated CPU takes 20 s to load the rules. */
const RUN_LABS = `
import { writeFileSync } from 'node:fs';
import { labRun } from '/vdiag/dist/cli/lab-run.js';
import { renderJson } from '/vdiag/dist/report/json.js';
import { requireTracing } from '/vdiag/dist/scenarios/kernel.js';
import { loadLibrary } from '/vdiag/dist/scenarios/library.js';

const [label, labs, flavour, btf] = process.argv.slice(2);
const library = loadLibrary();
const kernel = requireTracing(btf || undefined, flavour === 'auto' ? undefined : flavour);
for (const { lab, scenario } of JSON.parse(labs)) {
  const report = await labRun({ name: lab, choices: [] }, {
    library, scenario, version: 'test', ends: {}, filter: {}, devices: [], probes: {}, ringBytes: 16 << 20, kernel,
    ...(flavour !== 'auto' && { flavour }), ...(btf && { btf }),
  });
  writeFileSync('/out/artefacts/' + label + '-' + lab + '.json', renderJson(report));
}
`;

/** Runs in the VM: how long the standard set takes to load and attach in each flavour, ms. */
const MEASURE = `
import { examineKernel, attachProbes } from '/vdiag/dist/scenarios/kernel.js';
import { loadCatalogue } from '/vdiag/dist/probes/catalogue.js';

const catalogue = loadCatalogue();
const figures = {};
for (const flavour of ['modern', 'legacy']) {
  const kernel = examineKernel(undefined, flavour);
  const before = performance.now();
  const { session, plan } = attachProbes(kernel, catalogue, { set: 'standard' }, { filter: {}, ringBytes: 4 << 20, paused: true });
  const attachMs = Math.round(performance.now() - before);
  const costs = session.costs();
  figures[flavour] = {
    attachMs,
    probes: session.attached.length,
    instructions: Math.max(...costs.map(({ instructions }) => instructions)),
    verified: Math.max(...costs.map(({ verifiedInstructions }) => verifiedInstructions ?? 0)),
    loadMs: Math.round(costs.reduce((sum, { loadMs }) => sum + loadMs, 0)),
    backends: [...new Set(session.attached.map(({ backend }) => backend))].sort(),
    missing: plan.probes.flatMap(({ point, backend, reasons }) => (backend ? [] : [point.name + ': ' + reasons.join('; ')])),
    cpus: 'perf' in session.ring ? session.ring.perf.length : 0,
  };
  session.close();
}
console.log(JSON.stringify(figures));
`;

interface Figures {
  attachMs: number;
  probes: number;
  instructions: number;
  loadMs: number;
  backends: string[];
  missing: string[];
  cpus: number;
}

const LABS = [
  { lab: 'firewall-drop-forward', scenario: 'packet-drop' },
  { lab: 'port-closed', scenario: 'connect-failure' },
];

/** A fault as its file describes it, with the first value of each of its variables. */
function instanceOf(id: string): FaultInstance {
  const fault = loadFault(id);
  const [variant] = allVariants(fault);
  return instantiate(fault, loadTopology(topologyOf(fault, variant)), variant);
}

forKernels(
  ({ kernel }) => {
    describe('the legacy flavour on kernel 5.10', function () {
      this.timeout(1_600_000);

      let result: VmResult;
      let figures: Record<'modern' | 'legacy', Figures>;
      const reportOf = (name: string): Report =>
        JSON.parse(readFileSync(join(result.artefacts, `${name}.json`), 'utf8')) as Report;

      before('one boot for all', async () => {
        result = await runInVm({
          kernel,
          timeoutSeconds: 1500,
          files: { 'labs.mjs': RUN_LABS, 'measure.mjs': MEASURE },
          job: `
            set -e
            node measure.mjs
            node labs.mjs own '${JSON.stringify(LABS)}' legacy
            node /vdiag/dist/cli/main.js btf make --vmlinux /sys/kernel/btf/vmlinux -o /tmp/kernel.yaml >&2
            mkdir /tmp/empty
            mount --bind /tmp/empty /sys/kernel/btf
            node labs.mjs table '${JSON.stringify(LABS)}' legacy /tmp/kernel.yaml`,
        });
        expect(result.status, result.stderr).to.equal(0);
        figures = JSON.parse(result.stdout) as typeof figures;
        process.stderr.write(`${JSON.stringify(figures, null, 1)}\n`);
      });

      after(() => rmSync(result.artefacts, { recursive: true }));

      it('attaches what the modern one does, by the same backends', () => {
        expect(figures.legacy.missing).to.deep.equal(figures.modern.missing);
        expect(figures.legacy.probes).to.equal(figures.modern.probes);
        expect(figures.legacy.backends).to.deep.equal(figures.modern.backends);
        expect(figures.legacy.instructions).to.be.at.most(4096);
        expect(figures.legacy.cpus, 'a buffer for each CPU').to.equal(2);
      });

      for (const [types, what] of [
        ['own', 'the kernel’s own BTF'],
        ['table', 'BTF out of an offsets table, the kernel’s own hidden'],
      ] as const) {
        it(`with ${what}: a firewall rule that drops`, () => {
          const report = reportOf(`${types}-firewall-drop-forward`);
          const instance = instanceOf('firewall-drop-forward');
          expectPrecise(report, instance);
          expectNoneOfNever(report, instance);
          expect(report.diagnoses.map(({ id }) => id)).to.deep.equal(['firewall-rule-drops-flow']);
          const { names } = diagnosisOf(report, 'firewall-rule-drops-flow');
          expect(names).to.include({ table: 'filter', chain: 'FORWARD', number: 2 });
        });

        it(`with ${what}: a port that nobody listens on`, () => {
          const report = reportOf(`${types}-port-closed`);
          expectPrecise(report, instanceOf('port-closed'));
          expect(report.diagnoses.map(({ id }) => id)).to.deep.equal(['port-closed']);
        });

        it(`with ${what}: functions are watched, nothing is lost, and the report says which flavour it was`, () => {
          const { coverage, host } = reportOf(`${types}-port-closed`);
          expect(host.flavour).to.equal('legacy');
          expect(Object.keys(coverage.byBackend).some((backend) => /^(kprobe|fentry|fexit)/.test(backend))).to.equal(
            true,
          );
          expect(coverage.loss).to.include({ ringFull: 0, perfLost: 0, noWorkSpace: 0 });
        });
      }
    });
  },
  ['5.10'],
);
