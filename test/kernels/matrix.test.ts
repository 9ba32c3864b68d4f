import { rmSync } from 'node:fs';
import { expect } from 'chai';
import {
  countsOf,
  documentedCounts,
  documentedKernels,
  isDegraded,
  keepOutcome,
  tierCounts,
} from '../support/kernel-table.js';
import { forKernels, runInVm } from './harness.js';
import { MATRIX_JOB, type MatrixOutcome } from './matrix-job.js';

/** What part of each kind of points must attach, with the modules loaded that this kernel has. */
const THRESHOLDS = { core: 1, error: 0.8, optimisation: 0.5 };

forKernels(({ name, kernel, btf }) => {
  describe(`every probe point on kernel ${name}`, function () {
    this.timeout(720_000);
    let outcome: MatrixOutcome;

    before('one boot: the standard and the full set attached', async () => {
      const result = await runInVm({
        kernel,
        timeoutSeconds: 600,
        files: { 'matrix.mjs': MATRIX_JOB, ...(btf && { 'given.btf': btf }) },
        job: 'node matrix.mjs && bpftool prog list >/out/artefacts/programs',
      });
      expect(result.status, result.stderr).to.equal(0);
      outcome = JSON.parse(result.stdout) as MatrixOutcome;
      keepOutcome({ kernel: name, ...outcome });
      rmSync(result.artefacts, { recursive: true });
    });

    it('is attached, or says why not', () => {
      expect(outcome.points.length).to.be.at.least(200);
      for (const point of outcome.points) {
        if (!point.backend || isDegraded(point)) expect(point.reasons, point.name).to.not.deep.equal([]);
      }
    });

    it('the standard set is attached whole', () => {
      const { attached, planned } = outcome.sets.standard;
      const standing = `${attached} of ${planned}`;
      expect(planned, standing).to.be.at.least(20);
      expect(attached / planned, standing).to.be.at.least(0.9);
    });

    if (name !== 'given') {
      it('tracepoints are raw, functions by kprobe, verdicts with their return', () => {
        const backendOf = (point: string): string | undefined =>
          outcome.points.find((each) => each.name === point)?.backend;
        expect(backendOf('netif_receive_skb')).to.equal('raw-tracepoint');
        expect(backendOf('ip_rcv')).to.match(/^kprobe/);
        for (const point of ['ipt_do_table', 'ip6t_do_table', 'nft_do_chain', 'skb_clone'])
          expect(backendOf(point), point).to.be.oneOf(['fexit', 'kretprobe']);
      });

      it('of a firewall whose module is not loaded it is said that no packet passes there, and that nothing is hidden', () => {
        expect(outcome.unloaded.reasons).to.deep.equal(['module nf_tables is not loaded, so no packet passes there']);
        expect(outcome.unloaded.notSeen).to.deep.equal([]);
      });
    }

    for (const [tier, least] of Object.entries(THRESHOLDS)) {
      it(`of ${tier} points at least ${least * 100} %`, () => {
        const { attached, of } = tierCounts(outcome, tier);
        const lacking = outcome.points
          .filter((point) => point.tier === tier && !point.backend)
          .map(({ name: point, reasons }) => `${point}: ${reasons.join('; ')}`);
        expect(of).to.be.above(0);
        expect(attached / of, lacking.join('\n')).to.be.at.least(least);
      });
    }

    // With --write-table it is about to be written from this very run.
    if (name === 'given' || process.env.VDIAG_WRITE_TABLE !== undefined) return;
    it('docs/kernels.md says the same', () => {
      const remedy = 'write it anew: npm run test:kernels -- --write-table';
      expect(documentedKernels(), remedy).to.include(name);
      // A newer release of the same kernel may differ; what is documented must be true of the release it names.
      const documented = documentedCounts(outcome.release);
      if (documented) expect(countsOf(outcome), remedy).to.deep.equal(documented);
    });
  });
});
