import { expect } from 'chai';
import { rmSync } from 'node:fs';
import { forKernels, runInVm } from './harness.js';

/** Runs in the VM, on the built project: plans the standard set, attaches it, tries again what was refused. */
const JOB = `
import { KernelBtf } from '/vdiag/dist/bpf/btf.js';
import { kernelSupport } from '/vdiag/dist/bpf/support.js';
import { openTrace } from '/vdiag/dist/bpf/trace-session.js';
import { capabilitiesOf } from '/vdiag/dist/probes/capabilities.js';
import { loadCatalogue } from '/vdiag/dist/probes/catalogue.js';
import { coverageOf } from '/vdiag/dist/probes/coverage.js';
import { afterAttach, planProbes } from '/vdiag/dist/probes/plan.js';

const capabilities = capabilitiesOf(kernelSupport());
let plan = planProbes(loadCatalogue(), { set: 'standard' }, capabilities, KernelBtf.load());
for (;;) {
  const session = openTrace({ requests: plan.requests, filter: {}, ringBytes: 1 << 20 });
  plan = afterAttach(plan, session);
  session.close();
  if (plan.retry.length === 0) break;
}
const probes = plan.plan.probes.map(({ point, backend, target, reasons }) => ({ name: point.name, backend, target, reasons }));
console.log(JSON.stringify({ capabilities, coverage: coverageOf(plan.plan), probes }));
`;

interface Outcome {
  capabilities: { kprobe: boolean; fentry: boolean };
  coverage: { planned: number; attached: number; notSeen: string[] };
  probes: { name: string; backend?: string; target?: string; reasons: string[] }[];
}

forKernels(({ name, kernel }) => {
  describe(`the standard set of probes on kernel ${name}`, () => {
    it('is attached whole when the modules are loaded: tracepoints raw, functions by kprobe, verdicts with their return', async function () {
      this.timeout(180_000);
      const result = await runInVm({
        kernel,
        project: true,
        timeoutSeconds: 120,
        files: { 'attach.mjs': JOB },
        job: 'modprobe -a bridge nf_tables ip_tables ip6_tables 2>/dev/null; node attach.mjs',
      });
      expect(result.status, result.stderr).to.equal(0);
      const outcome = JSON.parse(result.stdout) as Outcome;
      expect(outcome.capabilities).to.include({ kprobe: true, fentry: true });
      for (const { name, backend, reasons } of outcome.probes)
        expect(backend, `${name}: ${reasons.join('; ')}`).to.be.a('string');
      const backendOf = (name: string): string | undefined =>
        outcome.probes.find((probe) => probe.name === name)?.backend;
      expect(backendOf('netif_receive_skb')).to.equal('raw-tracepoint');
      expect(backendOf('ip_rcv')).to.match(/^kprobe/);
      for (const name of ['ipt_do_table', 'ip6t_do_table', 'nft_do_chain', 'skb_clone']) {
        expect(backendOf(name), name).to.be.oneOf(['fexit', 'kretprobe']);
      }
      expect(outcome.coverage.notSeen).to.deep.equal([]);
      rmSync(result.artefacts, { recursive: true });
    });

    it('says of a firewall whose module is not loaded that no packet passes there', async function () {
      this.timeout(180_000);
      const result = await runInVm({
        kernel,
        project: true,
        timeoutSeconds: 120,
        files: { 'attach.mjs': JOB },
        job: 'modprobe -r nf_tables ip_tables ip6_tables 2>/dev/null; node attach.mjs',
      });
      expect(result.status, result.stderr).to.equal(0);
      const outcome = JSON.parse(result.stdout) as Outcome;
      const table = outcome.probes.find((probe) => probe.name === 'nft_do_chain');
      expect(table?.reasons).to.deep.equal(['module nf_tables is not loaded, so no packet passes there']);
      rmSync(result.artefacts, { recursive: true });
    });
  });
});
