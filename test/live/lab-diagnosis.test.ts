import { expect } from 'chai';
import {
  chooseVariant,
  instantiate,
  loadFault,
  loadTopology,
  missingNeeds,
  needsOf,
  topologyOf,
} from '../../src/lab/index.js';
import type { FaultInstance, Variant } from '../../src/lab/index.js';
import type { Report } from '../../src/report/types.js';
import { expectNoneOfNever, expectPrecise } from '../support/fault-report.js';
import { diagnosisOf, expectHealthy, runReport } from '../support/vdiag-cli.js';
import { skipBecause } from '../support/skip.js';

/** Traces a lab with a fault in it, and checks the report against what the fault's file expects. */
async function diagnose(id: string, variant: Variant): Promise<{ report: Report; instance: FaultInstance }> {
  const fault = loadFault(id);
  const instance = instantiate(fault, loadTopology(topologyOf(fault, variant)), variant);
  const choices = Object.entries(variant).flatMap(([name, value]) => ['--lab-set', `${name}=${value}`]);
  const { status, report } = await runReport('--lab', id, '--scenario', instance.scenario, ...choices);
  expectNoneOfNever(report, instance);
  expect(status, report.verdict.text).to.equal(1);
  return { report, instance };
}

/** Milliseconds that the slow port makes the last packet of its queue wait: its limit, sent at its rate. */
const LIMIT_BITS = 100_000 * 8;

describe('diagnosis of the lab, live', function () {
  this.timeout(120_000);

  for (const [rate, direction, port, bitsPerSecond] of [
    ['700kbit', 'to-a', 'vma', 700_000],
    ['2mbit', 'to-b', 'vmb', 2_000_000],
  ] as const) {
    it(`slow port, ${rate} ${direction}: its queue, with rate and wait`, async function () {
      const missing = await missingNeeds(['tbf']);
      if (missing.length > 0) skipBecause(this, `not on this kernel: ${missing.join(', ')}`);
      const { report, instance } = await diagnose('slow-bridge-port', { rate, direction });
      expectPrecise(report, instance);
      const found = diagnosisOf(report, 'qdisc-shaping-delay');
      expect(report.diagnoses.map(({ id }) => id)).to.deep.equal(['qdisc-shaping-delay']);
      const waitMs = Number(found.names.waitMs);
      const longestMs = (LIMIT_BITS / bitsPerSecond) * 1000;
      expect(waitMs).to.be.within(longestMs * 0.4, longestMs * 1.3);
      expect(found.summary).to.contain(port).and.to.contain(rate);
      expect(found.summaryZh).to.contain(port).and.to.contain(rate);
      const [pair] = report.pairs;
      const dominant = pair.segments.reduce((x, y) => (y.share > x.share ? y : x));
      expect(dominant.label).to.equal(instance.expect['dominant-segment']);
      expect(dominant.latency.p99).to.be.closeTo(waitMs, 0.01);
      expect(dominant.share).to.be.within(0.5, 1);
      expect(pair.roundTrips.p99).to.be.above(longestMs * 0.3);
      expect(found.remedies[0].do).to.match(
        new RegExp(`^ip netns exec vdiag-[a-z0-9-]+-host tc qdisc \\S+ dev ${port} `),
      );
    });
  }

  // By kprobes the table and chain of a verdict would be seen; here the evidence finds the rule by its counter.
  for (const id of [
    'port-closed',
    'no-route',
    'neighbour-failed',
    'firewall-drop-forward',
    'nft-drop',
    'mtu-blackhole',
  ]) {
    const fault = loadFault(id);
    // One of its variants, another each day, so that all have their turn.
    const variant = chooseVariant(fault, Math.floor(Date.now() / 86_400_000));
    it(`${id} ${JSON.stringify(variant)}: precise`, async function () {
      const missing = await missingNeeds(needsOf(fault, variant));
      if (missing.length > 0) skipBecause(this, `not on this kernel: ${missing.join(', ')}`);
      const { report, instance } = await diagnose(id, variant);
      expectPrecise(report, instance);
      expect(
        report.findings.filter(({ level }) => level !== 'info').map(({ message }) => message),
        'unexplained',
      ).to.deep.equal([]);
    });
  }

  // A bridge skips such a port without a word: all there is to see is an ARP request that nobody answers.
  it('bridge-port-blocked: the port, not the neighbour that it keeps from answering', async () => {
    const { report, instance } = await diagnose('bridge-port-blocked', { state: 'disabled', direction: 'to-b' });
    expectPrecise(report, instance);
    expect(report.diagnoses).to.have.length(1);
  });

  // Four labs at a time, each traced by its own run: none may see the others' traffic, and a busy host is no fault.
  for (const turn of ['first', 'second', 'third']) {
    it(`healthy labs side by side, ${turn} time: nothing to complain of`, async () => {
      const labs = ['two-vms-on-a-bridge', 'healthy-bridge', 'healthy-router', 'healthy-vxlan'];
      const runs = await Promise.all(labs.map((lab) => runReport('--lab', lab)));
      runs.forEach((run, i) => {
        expectHealthy(run);
        expect(run.report.traffic.roundTrips, labs[i]).to.be.above(20);
        const strangers = run.report.pairs.filter(({ a }) => !/^(10\.7[789]\.|fd7[789]:|fe80:|::$)/.test(a));
        expect(strangers.map(({ a, b }) => `${a} ${b}`)).to.deep.equal([]);
      });
    });
  }
});
