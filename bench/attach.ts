// Loading and attaching the probe sets on this kernel; needs root.
import { loadCatalogue, PROBE_SETS } from '../src/probes/catalogue.js';
import { attachProbes, examineKernel } from '../src/scenarios/kernel.js';

/** What one probe set costs to put in its place, ms. */
export interface AttachBench {
  set: string;
  attached: number;
  planned: number;
  /** From the plan to the last probe. */
  totalMs: number;
  loadMs: number;
  attachMs: number;
  /** Until this process may end; the kernel may need longer. */
  detachMs: number;
  programs: number;
  /** Of the dearest program. */
  verifiedInstructions: number;
}

/** Measures each set, one after the other. */
export function benchAttach(): AttachBench[] {
  const catalogue = loadCatalogue();
  const kernel = examineKernel();
  return PROBE_SETS.map((set) => {
    const before = performance.now();
    const { session, plan } = attachProbes(kernel, catalogue, { set }, { filter: {}, ringBytes: 1 << 20 });
    const totalMs = performance.now() - before;
    const costs = session.costs();
    const detachFrom = performance.now();
    session.detach();
    const detachMs = performance.now() - detachFrom;
    session.close();
    return {
      ...{ set, totalMs, detachMs, attached: session.attached.length, planned: plan.probes.length },
      loadMs: costs.reduce((sum, cost) => sum + cost.loadMs, 0),
      attachMs: costs.reduce((sum, cost) => sum + cost.attachMs, 0),
      programs: costs.filter(({ instructions }) => instructions > 0).length,
      verifiedInstructions: Math.max(...costs.map((cost) => cost.verifiedInstructions ?? 0)),
    };
  });
}
