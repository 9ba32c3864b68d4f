import { expect } from 'chai';
import type { Report } from '../../src/report/types.js';
import { expectHealthy, runReport } from '../support/vdiag-cli.js';

/**
 * What a report finds of the lab's own traffic. What the kernel sends by itself when a lab comes up (neighbour discovery,
 * multicast listener reports) falls within one run and not within the next.
 */
function found({ diagnoses, findings, coverage, pairs }: Report): unknown {
  return {
    diagnoses: diagnoses.map(({ id, severity }) => `${severity} ${id}`),
    findings: [...new Set(findings.map(({ rule, level }) => `${level} ${rule}`))]
      .filter((finding) => !finding.startsWith('info '))
      .sort(),
    attached: coverage.byBackend,
    ways: pairs.filter(({ a }) => a.startsWith('10.')).map(({ segments }) => segments.map(({ label }) => label)),
  };
}

const PORT_CLOSED = ['--lab', 'port-closed', '--scenario', 'connect-failure'];

describe('the legacy flavour, live', function () {
  this.timeout(120_000);

  it('finds the same as the modern one in the same lab, and says that it was used', async () => {
    const modern = await runReport(...PORT_CLOSED, '--flavour', 'modern');
    const legacy = await runReport(...PORT_CLOSED, '--flavour', 'legacy');
    expect(legacy.status).to.equal(1).and.to.equal(modern.status);
    expect(found(legacy.report)).to.deep.equal(found(modern.report));
    expect(modern.report.host.flavour).to.equal('modern');
    expect(legacy.report.host).to.deep.include({ flavour: 'legacy' });
    expect(legacy.report.host.tracing).to.contain('legacy flavour');
    expect(legacy.report.coverage.loss).to.include({ ringFull: 0, perfLost: 0, noWorkSpace: 0 });
  });

  it('finds nothing where nothing is wrong', async () => {
    const outcome = await runReport('--lab', 'healthy-bridge', '--flavour', 'legacy');
    expectHealthy(outcome);
    expect(outcome.status).to.equal(0);
    expect(outcome.report.traffic.packets).to.be.greaterThan(50);
  });
});
