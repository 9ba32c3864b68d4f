import { existsSync, readFileSync, rmSync } from 'node:fs';
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
import { diagnosisOf, expectHealthy } from '../support/vdiag-cli.js';
import { LABS_JOB, type LabQuestion, type LabsOutcome } from './diagnosis-job.js';
import { forKernels, runInVm, type VmResult } from './harness.js';

const LABS: LabQuestion[] = [
  { lab: 'port-closed', scenario: 'connect-failure' },
  { lab: 'no-route', scenario: 'packet-drop' },
  { lab: 'netem-delay', scenario: 'vm-to-vm-latency' },
  { lab: 'slow-bridge-port', scenario: 'vm-to-vm-latency' },
  { lab: 'bridge-port-blocked', scenario: 'packet-drop' },
  { lab: 'healthy-router', scenario: 'packet-drop' },
  { lab: 'healthy-vxlan', scenario: 'packet-drop' },
];

/** A fault as its file describes it, with the first value of each of its variables. */
function instanceOf(id: string): FaultInstance {
  const fault = loadFault(id);
  const [variant] = allVariants(fault);
  return instantiate(fault, loadTopology(topologyOf(fault, variant)), variant);
}

/** Diagnoses that are errors: an emulated host may be slow besides, which is no more than a warning. */
function errorsIn({ diagnoses }: Report): string[] {
  return diagnoses.filter(({ severity }) => severity === 'error').map(({ id }) => id);
}

forKernels(({ name, kernel, btf }) => {
  describe(`diagnosis on kernel ${name}`, function () {
    this.timeout(1_020_000);

    let result: VmResult;
    let outcome: LabsOutcome;
    const artefact = (file: string): string => readFileSync(join(result.artefacts, file), 'utf8');
    const reportOf = (lab: string): Report => {
      const said = outcome.errors[lab] ?? (existsSync(join(result.artefacts, `${lab}.json`)) ? undefined : 'no report');
      expect(said, lab).to.equal(undefined);
      return JSON.parse(artefact(`${lab}.json`)) as Report;
    };
    const precise = (lab: string): Report => {
      const report = reportOf(lab);
      const instance = instanceOf(lab);
      expectPrecise(report, instance);
      expectNoneOfNever(report, instance);
      expect(outcome.statuses[lab]).to.equal(1);
      return report;
    };

    before('one boot for all', async () => {
      result = await runInVm({
        kernel,
        timeoutSeconds: 900,
        files: { 'labs.mjs': LABS_JOB, ...(btf && { 'given.btf': btf }) },
        job: `
          node /vdiag/dist/cli/main.js run --lab firewall-drop-forward --scenario packet-drop --format json \\
            ${btf ? '--btf given.btf' : ''} >/out/artefacts/firewall-drop-forward.json
          echo $? >/out/artefacts/firewall-drop-forward.status
          ip netns list >/out/artefacts/namespaces
          bpftool prog list >/out/artefacts/programs
          node labs.mjs '${JSON.stringify(LABS)}'`,
      });
      expect(result.status, result.stderr).to.equal(0);
      outcome = JSON.parse(result.stdout) as LabsOutcome;
    });

    after(() => result && rmSync(result.artefacts, { recursive: true }));

    it('an iptables rule that drops: table, chain, the rule itself, and how often it did', () => {
      const report = JSON.parse(artefact('firewall-drop-forward.json')) as Report;
      const instance = instanceOf('firewall-drop-forward');
      expect(artefact('firewall-drop-forward.status').trim()).to.equal('1');
      expectPrecise(report, instance);
      expectNoneOfNever(report, instance);
      const { names, summary } = diagnosisOf(report, 'firewall-rule-drops-flow');
      expect(names).to.include({ backend: 'iptables-legacy', table: 'filter', chain: 'FORWARD', number: 2 });
      const { dport } = instance.variant;
      expect(names.rule).to.match(
        new RegExp(`^-A FORWARD .*--dport ${dport} .*"left over from the migration".* -j DROP$`),
      );
      expect(Number(names.counterDelta)).to.be.within(2, 20);
      expect(summary).to.contain('filter/FORWARD').and.to.contain(String(names.rule));
      expect(report.diagnoses.map(({ id }) => id)).to.deep.equal(['firewall-rule-drops-flow']);
    });

    it('the probes of a run are attached or reported, functions among them', () => {
      const { coverage } = JSON.parse(artefact('firewall-drop-forward.json')) as Report;
      expect(coverage.attached + coverage.missing.length).to.equal(coverage.planned);
      expect(coverage.attached).to.be.at.least(25);
      expect(Object.keys(coverage.byBackend)).to.include.members(['raw-tracepoint']);
      expect(Object.keys(coverage.byBackend).some((backend) => /^(kprobe|fentry)/.test(backend))).to.equal(true);
    });

    it('leaves no program, no namespace', () => {
      expect(artefact('namespaces')).to.equal('');
      expect(artefact('programs')).to.not.match(/kprobe|raw_tracepoint|tracing|perf_event/);
      expect(outcome.left).to.deep.equal([]);
    });

    it('a port that nobody listens on', () => {
      expect(precise('port-closed').diagnoses.map(({ id }) => id)).to.deep.equal(['port-closed']);
    });

    it('a router that has lost its route', () => {
      expect(errorsIn(precise('no-route'))).to.deep.equal(['no-route']);
    });

    it('a delay by netem: the device, the delay, the segment that it dominates', () => {
      const report = precise('netem-delay');
      const dominant = report.pairs[0]!.segments.reduce((x, y) => (y.share > x.share ? y : x));
      expect(dominant.label).to.equal(instanceOf('netem-delay').expect['dominant-segment']);
      expect(dominant.latency.p50).to.be.within(49, 150);
      expect(errorsIn(report)).to.deep.equal(['netem-delay']);
    });

    it('a bridge port that is too slow for its traffic: its queue', () => {
      const report = precise('slow-bridge-port');
      expect(diagnosisOf(report, 'qdisc-shaping-delay').summary).to.contain('700kbit');
      expect(errorsIn(report)).to.deep.equal(['qdisc-shaping-delay']);
    });

    it('a bridge port that does not forward', () => {
      expect(errorsIn(precise('bridge-port-blocked'))).to.deep.equal(['bridge-port-blocked']);
    });

    for (const [lab, what] of [
      ['healthy-router', 'two machines behind a router'],
      ['healthy-vxlan', 'two machines joined by a VXLAN'],
    ] as const) {
      it(`${what}, nothing wrong: nothing to complain of`, () => {
        const report = reportOf(lab);
        expectHealthy({ status: outcome.statuses[lab]!, report });
        expect(report.traffic.packets).to.be.above(40);
      });
    }
  });
});
