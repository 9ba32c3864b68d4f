import { expect } from 'chai';
import { KernelBtf } from '../../src/bpf/btf.js';
import { openTrace } from '../../src/bpf/trace-session.js';
import { loadCatalogue } from '../../src/probes/catalogue.js';
import { coverageOf } from '../../src/probes/coverage.js';
import { afterAttach, planProbes } from '../../src/probes/plan.js';
import type { KernelCapabilities } from '../../src/probes/types.js';

const TRACEPOINTS_ONLY: KernelCapabilities = {
  ...{ release: 'none', arch: process.arch, btf: true, ringBuffer: true, rawTracepoint: true, tracepoint: false },
  ...{ kprobe: false, kretprobe: false, kprobeMulti: false, fentry: false, dropReasons: true, lacks: [] },
};

describe('the probe plan, attached to this kernel', () => {
  it('has every tracepoint of the full set attached as planned', function () {
    this.timeout(60_000);
    const planned = planProbes(loadCatalogue(), { set: 'full' }, TRACEPOINTS_ONLY, KernelBtf.load());
    const session = openTrace({
      requests: planned.requests,
      filter: { port: 65_535, proto: 'udp' },
      ringBytes: 1 << 20,
    });
    try {
      const after = afterAttach(planned, session);
      expect(session.failed).to.deep.equal([]);
      expect(after.retry).to.deep.equal([]);
      expect(coverageOf(after.plan).byBackend).to.deep.equal({ 'raw-tracepoint': planned.requests.length });
    } finally {
      session.close();
    }
  });
});
