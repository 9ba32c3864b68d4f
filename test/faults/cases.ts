import { VdiagError } from '../../src/base/errors.js';
import {
  type Fault,
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
 * Every variant of the faults of these families, or whose name (`no-route family=6`) holds one of the filters, all without
 * filters; numbers chosen by the seed; family by family.
 * @throws VdiagError (status 2) when a filter finds none
 */
export function benchCases(filters: readonly string[], seed: number): BenchCase[] {
  const order = ({ family }: Fault): number => FAULT_FAMILIES.indexOf(family);
  const faults = faultIds().map((id) => loadFault(id));
  const cases = faults
    .sort((x, y) => order(x) - order(y) || x.id.localeCompare(y.id))
    .flatMap((fault) =>
      variantsOf(fault, seed).map((variant): BenchCase => {
        const instance = instantiate(fault, loadTopology(topologyOf(fault, variant)), variant);
        return { instance, name: `${fault.id} ${variantName(fault, variant)}`.trim() };
      }),
    );
  const meant = (filter: string, { instance, name }: BenchCase): boolean =>
    (FAULT_FAMILIES as readonly string[]).includes(filter) ? instance.fault.family === filter : name.includes(filter);
  const useless = filters.find((filter) => !cases.some((one) => meant(filter, one)));
  if (useless !== undefined)
    throw new VdiagError(
      { message: `no fault is like "${useless}"`, expected: `a part of a fault's id, or ${FAULT_FAMILIES.join(', ')}` },
      2,
    );
  return filters.length === 0 ? cases : cases.filter((one) => filters.some((filter) => meant(filter, one)));
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
