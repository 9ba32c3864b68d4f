import { readFileSync } from 'node:fs';
import { fetchKernel, givenKernel, isKernelName, KERNELS, type Kernel, type KernelName } from '../support/vm-kernel.js';
import { runVm, type VmJob, type VmResult } from '../support/vm-run.js';

export { KERNELS, type Kernel, type KernelName } from '../support/vm-kernel.js';
export type { VmJob, VmResult } from '../support/vm-run.js';

/** A kernel that this run of the tests is for. */
export interface TestKernel {
  /** As the harness knows it, or `given` for an image given by path. */
  name: KernelName | 'given';
  /** What `runInVm` takes. */
  kernel: KernelName | Kernel;
  /** Its types, when it has no BTF of its own: a file for `--btf`, to be laid beside the job. */
  btf?: Uint8Array;
}

/**
 * The kernels that this run is for: those that `VDIAG_TEST_KERNELS` names (`npm run test:kernels` sets it, one a
 * process), the image that `VDIAG_TEST_KERNEL_IMAGE` gives, or all of Debian's.
 */
export function kernelsUnderTest(): TestKernel[] {
  const { VDIAG_TEST_KERNELS: names, VDIAG_TEST_KERNEL_IMAGE: image } = process.env;
  if (image) {
    const { VDIAG_TEST_KERNEL_MODULES: modules, VDIAG_TEST_KERNEL_BTF: btf } = process.env;
    return [{ name: 'given', kernel: givenKernel(image, modules), ...(btf && { btf: readFileSync(btf) }) }];
  }
  const wanted = names ? names.split(',').filter(isKernelName) : KERNELS;
  return wanted.map((name) => ({ name, kernel: name }));
}

/**
 * Defines tests for each kernel that this run is for.
 * @param names kernels that these tests are for; absent: all, also one given by path
 */
export function forKernels(define: (kernel: TestKernel) => void, names?: readonly KernelName[]): void {
  for (const kernel of kernelsUnderTest()) {
    if (!names || (names as readonly string[]).includes(kernel.name)) define(kernel);
  }
}

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
