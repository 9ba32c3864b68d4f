import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { instantiate, loadFault, loadTopology, type FaultInstance } from '../../src/lab/index.js';
import type { Report } from '../../src/report/types.js';
import { expectNoneOfNever, expectPrecise } from '../support/fault-report.js';
import { diagnosisOf, expectHealthy } from '../support/vdiag-cli.js';
import { runInVm, type VmResult } from './harness.js';

/** Runs in the VM: labs one after the other in one process, for an emulated CPU takes 20 s to load the rules. */
const RUN_LABS = `
import { writeFileSync } from 'node:fs';
import { labRun } from '/vdiag/dist/cli/lab-run.js';
import { failsOn } from '/vdiag/dist/cli/verdict.js';
import { listLabs } from '/vdiag/dist/lab/index.js';
import { renderJson } from '/vdiag/dist/report/json.js';
import { loadLibrary } from '/vdiag/dist/scenarios/library.js';

const library = loadLibrary();
const statuses = {};
for (const { lab, scenario } of JSON.parse(process.argv[2])) {
  const report = await labRun({ name: lab, choices: [] }, {
    library, scenario, version: 'test', ends: {}, filter: {}, devices: [], probes: {}, ringBytes: 16 << 20,
  });
  writeFileSync('/out/artefacts/' + lab + '.json', renderJson(report));
  statuses[lab] = failsOn(report, 'error') ? 1 : 0;
}
console.log(JSON.stringify({ statuses, left: await listLabs() }));
`;

const LABS = [
  { lab: 'port-closed', scenario: 'connect-failure' },
  { lab: 'netem-delay', scenario: 'vm-to-vm-latency' },
  { lab: 'healthy-router', scenario: 'packet-drop' },
];

/** A fault as its file describes it, with the first value of each of its variables. */
function instanceOf(id: string): FaultInstance {
  const fault = loadFault(id);
  const variant = Object.fromEntries(Object.entries(fault.variants).map(([name, [first]]) => [name, first]));
  return instantiate(fault, loadTopology(fault.topology), variant);
}

describe('diagnosis on kernel 6.1', function () {
  this.timeout(720_000);

  let result: VmResult;
  let outcome: { statuses: Record<string, number>; left: unknown[] };
  const artefact = (name: string): string => readFileSync(join(result.artefacts, name), 'utf8');
  const reportOf = (name: string): Report => JSON.parse(artefact(`${name}.json`)) as Report;

  before('one boot for all', async () => {
    result = await runInVm({
      kernel: '6.1',
      timeoutSeconds: 600,
      files: { 'labs.mjs': RUN_LABS },
      job: `
        node /vdiag/dist/cli/main.js run --lab firewall-drop-forward --scenario packet-drop --format json \\
          >/out/artefacts/firewall-drop-forward.json
        echo $? >/out/artefacts/firewall-drop-forward.status
        ip netns list >/out/artefacts/namespaces
        bpftool prog list >/out/artefacts/programs
        node labs.mjs '${JSON.stringify(LABS)}'`,
    });
    expect(result.status, result.stderr).to.equal(0);
    outcome = JSON.parse(result.stdout) as typeof outcome;
  });

  after(() => rmSync(result.artefacts, { recursive: true }));

  it('an iptables rule that drops: table, chain, the rule itself, and how often it did', () => {
    const report = reportOf('firewall-drop-forward');
    const instance = instanceOf('firewall-drop-forward');
    expect(artefact('firewall-drop-forward.status').trim()).to.equal('1');
    expectPrecise(report, instance);
    expectNoneOfNever(report, instance);
    const { names, summary } = diagnosisOf(report, 'firewall-rule-drops-flow');
    expect(names).to.include({ backend: 'iptables-legacy', table: 'filter', chain: 'FORWARD', number: 2 });
    expect(names.rule).to.match(/^-A FORWARD .*--dport 8080 .*"left over from the migration".* -j DROP$/);
    expect(Number(names.counterDelta)).to.be.within(2, 20);
    expect(summary).to.contain('filter/FORWARD').and.to.contain(String(names.rule));
    expect(report.diagnoses.map(({ id }) => id)).to.deep.equal(['firewall-rule-drops-flow']);
  });

  it('the standard set of probes is attached or reported, functions among it', () => {
    const { coverage } = reportOf('firewall-drop-forward');
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
    const report = reportOf('port-closed');
    expectPrecise(report, instanceOf('port-closed'));
    expect(report.diagnoses.map(({ id }) => id)).to.deep.equal(['port-closed']);
    expect(outcome.statuses['port-closed']).to.equal(1);
  });

  it('a delay by netem: the device, the delay, the segment that it dominates', () => {
    const report = reportOf('netem-delay');
    const instance = instanceOf('netem-delay');
    expectPrecise(report, instance);
    expectNoneOfNever(report, instance);
    const dominant = report.pairs[0]!.segments.reduce((x, y) => (y.share > x.share ? y : x));
    expect(dominant.label).to.equal(instance.expect['dominant-segment']);
    expect(dominant.latency.p50).to.be.within(49, 150);
    // An emulated host may be slow besides; it is no more than a warning.
    expect(report.diagnoses.filter(({ severity }) => severity === 'error').map(({ id }) => id)).to.deep.equal([
      'netem-delay',
    ]);
  });

  it('two machines behind a router, nothing wrong: nothing to complain of', () => {
    const report = reportOf('healthy-router');
    expectHealthy({ status: outcome.statuses['healthy-router']!, report });
    expect(report.traffic.packets).to.be.above(40);
  });
});
