import { missingNeeds, needsOf } from '../../src/lab/index.js';
import { KERNELS, type KernelName } from '../support/vm-kernel.js';
import type { BenchCase } from './bench-run.js';
import { HERE } from './gate.js';

export type Where = KernelName | typeof HERE;

/** A case and the kernel that it goes to. */
export interface Pair {
  kernel: Where;
  one: BenchCase;
}

/** Which of the cases cannot be built on this machine: its kernel or tools lack what their faults need. */
export async function unbuildableHere(cases: readonly BenchCase[]): Promise<Set<BenchCase>> {
  const unbuildable = new Set<BenchCase>();
  for (const one of cases) {
    const missing = await missingNeeds(needsOf(one.instance.fault, one.instance.variant));
    if (missing.length > 0) unbuildable.add(one);
  }
  return unbuildable;
}

/**
 * Gives each case to one kernel: five of six to this machine's, where a run takes a quarter of the time that it takes in an
 * emulated one, the others to the virtual machines in turn. Within 24 seeds each case is with each kernel.
 * @param elsewhere cases that go to a virtual machine at any seed
 */
export function spread(cases: readonly BenchCase[], seed: number, elsewhere: ReadonlySet<BenchCase>): Pair[] {
  return cases.map((one, i): Pair => {
    if (elsewhere.has(one)) return { kernel: KERNELS[(i + seed) % KERNELS.length]!, one };
    const turn = (i + seed) / 6;
    return { kernel: Number.isInteger(turn) ? KERNELS[turn % KERNELS.length]! : HERE, one };
  });
}

/** One of so many of the pairs, which ones by the seed, spread over faults and kernels alike. */
export function oneIn(parts: number, pairs: readonly Pair[], seed: number): Pair[] {
  // Not every third or sixth: those of one seed would all be here, or none.
  return pairs.filter((_, i) => (i + Math.floor(i / parts)) % parts === seed % parts);
}
