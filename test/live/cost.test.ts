import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { openTrace } from '../../src/bpf/trace-session.js';
import type { TraceCounters } from '../../src/bpf/types.js';
import { runReport } from '../support/vdiag-cli.js';
import { tracepointRequests } from '../support/trace-requests.js';

describe('what tracing costs the kernel', function () {
  this.timeout(60_000);

  /** Packets to an address of this machine's own, where nobody answers. */
  function counted(measureCost: boolean): TraceCounters {
    const requests = tracepointRequests();
    const session = openTrace({ requests, filter: {}, ringBytes: 1 << 20, paused: true, measureCost });
    session.start();
    execFileSync('ping', ['-q', '-c', '5', '-i', '0.01', '127.0.0.1']);
    session.close();
    return session.counters();
  }

  it('is counted when it is asked for, and not afterwards', () => {
    expect(counted(true).kernelCpuSeconds).to.be.within(1e-6, 1);
    expect(counted(false)).to.not.have.property('kernelCpuSeconds');
  });

  it('is told by the report', async () => {
    const { report } = await runReport('--lab', 'port-closed', '--measure-cost');
    expect(report.coverage.cost?.kernelCpuPercent).to.be.within(0, 50);
    const without = await runReport('--lab', 'port-closed');
    expect(without.report.coverage.cost).to.not.have.property('kernelCpuPercent');
  });
});
