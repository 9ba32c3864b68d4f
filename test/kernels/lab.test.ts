import { rmSync } from 'node:fs';
import { expect } from 'chai';
import type { TrafficResult } from '../../src/lab/index.js';
import { forKernels, runInVm } from './harness.js';

/** Injects each fault in a lab of its own and prints what came of its traffic, or what it lacks. */
const SCRIPT = `
import { injectFault, labDown, labUp, listLabs, loadFault, loadTopology, allVariants, missingNeeds, topologyOf, needsOf, runTraffic } from '/vdiag/dist/lab/index.js';
const out = {};
for (const id of process.argv.slice(2)) {
  const fault = loadFault(id);
  const [variant] = allVariants(fault);
  const missing = await missingNeeds(needsOf(fault, variant));
  if (missing.length > 0) { out[id] = { missing }; continue; }
  const lab = await labUp(loadTopology(topologyOf(fault, variant)));
  const { traffic } = await injectFault(lab, fault, variant);
  out[id] = { results: await runTraffic(lab, traffic) };
  await labDown(lab.id);
}
out.left = await listLabs();
console.log(JSON.stringify(out));
`;

forKernels(({ name, kernel }) => {
  describe(`lab on kernel ${name}`, () => {
    it('has what every fault needs; a delay delays, a firewall rule drops', async () => {
      const faults = ['netem-delay', 'firewall-drop-forward'];
      const result = await runInVm({
        kernel,
        files: { 'faults.mjs': SCRIPT },
        job: `node faults.mjs ${faults.join(' ')}`,
        timeoutSeconds: 120,
      });
      rmSync(result.artefacts, { recursive: true });
      expect(result.status, result.stderr).to.equal(0);
      const out = JSON.parse(result.stdout) as Record<string, { missing?: string[]; results: TrafficResult[] }>;
      for (const fault of faults) expect(out[fault].missing, fault).to.equal(undefined);
      expect(Math.min(...out['netem-delay'].results[0].roundTripsMs)).to.be.above(49);
      expect(out['firewall-drop-forward'].results[0]).to.deep.include({ answered: 0, failures: { timeout: 2 } });
      expect(out.left).to.deep.equal([]);
    });
  });
});
