/**
 * Runs a shell script in a test VM: `npx tsx scripts/in-vm.ts 6.1 'uname -r; node /vdiag/dist/cli/main.js doctor'`.
 * For developers; what the tests use is `runInVm` of test/kernels/harness.ts.
 */
import { KERNELS, runInVm, type KernelName } from '../test/kernels/harness.js';

const [kernel, job, ...rest] = process.argv.slice(2);
if (!KERNELS.includes(kernel as KernelName) || !job || rest.length > 0) {
  console.error(
    `usage: npx tsx scripts/in-vm.ts ${KERNELS.join('|')} 'SHELL SCRIPT'   (VM_NO_PROJECT=1: without /vdiag)`,
  );
  process.exit(2);
}
const result = await runInVm({
  kernel: kernel as KernelName,
  job,
  project: process.env.VM_NO_PROJECT === undefined,
  timeoutSeconds: Number(process.env.VM_SECONDS ?? 300),
});
process.stdout.write(result.stdout);
process.stderr.write(result.stderr);
const seconds = `boot ${result.bootSeconds.toFixed(1)} s, in all ${result.totalSeconds.toFixed(1)} s`;
console.error(`[status ${result.status}; ${seconds}; artefacts in ${result.artefacts}]`);
process.exitCode = result.status;
