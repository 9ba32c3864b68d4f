import { VdiagError } from '../../src/base/errors.js';
import {
  FAULT_FAMILIES,
  faultIds,
  instantiate,
  loadFault,
  loadTopology,
  topologyOf,
  variantName,
  variantsOf,
} from '../../src/lab/index.js';
import type { BenchCase, BenchRun } from './bench-run.js';

/**
 * Every variant of the faults of a family, or whose name (`no-route family=6`) holds the filter, numbers chosen by the seed;
 * family by family.
 * @throws VdiagError (status 2) when there is none
 */
export function benchCases(filter: string | undefined, seed: number): BenchCase[] {
  const ofFamily = filter !== undefined && (FAULT_FAMILIES as readonly string[]).includes(filter);
  const word = filter?.split(' ')[0] ?? '';
  const faults = faultIds()
    .filter((id) => ofFamily || id.includes(word))
    .map((id) => loadFault(id))
    .sort((x, y) => FAULT_FAMILIES.indexOf(x.family) - FAULT_FAMILIES.indexOf(y.family) || x.id.localeCompare(y.id));
  const cases = faults.flatMap((fault) =>
    variantsOf(fault, seed).map((variant): BenchCase => {
      const instance = instantiate(fault, loadTopology(topologyOf(fault, variant)), variant);
      return { instance, name: `${fault.id} ${variantName(fault, variant)}`.trim() };
    }),
  );
  const wanted = cases.filter(({ instance, name }) =>
    ofFamily ? instance.fault.family === filter : name.includes(filter ?? ''),
  );
  if (wanted.length === 0)
    throw new VdiagError(
      { message: `no fault is like "${filter}"`, expected: `a part of a fault's id, or ${FAULT_FAMILIES.join(', ')}` },
      2,
    );
  return wanted;
}

/** What the job is told of a case. */
export function benchRun({ instance, name }: BenchCase, options: { record: boolean; verify: boolean }): BenchRun {
  return {
    id: name.replaceAll(/[^a-z0-9.]+/gi, '-'),
    fault: instance.fault.id,
    choices: Object.entries(instance.variant).map(([key, value]) => `${key}=${value}`),
    scenario: instance.scenario,
    ...options,
  };
}
