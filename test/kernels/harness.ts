import { fetchKernel, type Kernel, type KernelName } from '../support/vm-kernel.js';
import { runVm, type VmJob, type VmResult } from '../support/vm-run.js';

export { KERNELS, type Kernel, type KernelName } from '../support/vm-kernel.js';
export type { VmJob, VmResult } from '../support/vm-run.js';

/**
 * Runs a shell script as root in a VM with one of Debian's kernels (or a kernel given by path), with this machine's node
 * and network tools and with the built project at /vdiag: `node /vdiag/dist/cli/main.js …`.
 * @throws Error when the kernel cannot be fetched or the guest does not reach the end of the job; a job that fails is a
 *   status, not an exception.
 */
export async function runInVm(options: VmJob & { kernel: KernelName | Kernel }): Promise<VmResult> {
  const { kernel, ...job } = options;
  return runVm(typeof kernel === 'string' ? await fetchKernel(kernel) : kernel, job);
}
