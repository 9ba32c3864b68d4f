import { release } from 'node:os';
import { VdiagError } from '../base/errors.js';
import { KernelBtf } from '../bpf/btf.js';
import { flavourOfKernel, objectFile } from '../bpf/flavour.js';
import { allMembers, coreAccesses } from '../bpf/synthesis/core-accesses.js';
import { type GivenTypes, openGivenTypes } from '../bpf/synthesis/given-types.js';
import { type Difference, differencesOf, findStruct, lackingPrograms } from '../bpf/synthesis/layout.js';
import type { Flavour } from '../bpf/types.js';
import { readOffsetsTable, shippedTable, shippedTables } from '../bpf/synthesis/offsets-table.js';
import type { KernelTypes } from '../probes/kernel-types.js';
import { checkLive, type LiveFact } from './types-check.js';

/** What `vdiag btf check` finds out about types that do not come from the running kernel, or about its own. */
export interface TypesReport {
  /** File or table; undefined: the kernel's own. */
  given?: string;
  kernel: string;
  /** Release that a table was made for. */
  madeFor?: string;
  /** Members that the programs read. */
  members: number;
  /** Programs that the types do not do for, with what is missing: their probes are left out. */
  lacking: { program: string; missing: string[] }[];
  /** Members placed differently by the kernel's own BTF; undefined: it has none, or there is nothing to compare. */
  differences?: Difference[];
  /** What was read in the kernel of packets of vdiag's own, beside what it should have been. */
  live: LiveFact[];
  /** Whether all that was compared agrees. What is only missing does not count. */
  fits: boolean;
}

/**
 * Checks types against the running kernel: do they have what the programs read, do they agree with the kernel's own BTF
 * where there is one, and is what is read by them right?
 * @param given undefined: the kernel's own
 * @throws VdiagError (status 3) when nothing can be traced here at all
 */
export function checkTypes(given: GivenTypes | undefined, hasOwn: boolean): TypesReport {
  const own = hasOwn ? KernelBtf.load().kernel : undefined;
  const types = given?.types.kernel ?? KernelBtf.load().kernel;
  const accesses = coreAccesses(objectFile(flavourOfKernel()));
  const members = allMembers(accesses);
  // Structures of modules are not in the kernel's BTF proper.
  const comparable = own && members.filter(({ struct }) => findStruct(own, struct) !== undefined);
  const both = comparable?.filter(({ struct }) => findStruct(types, struct) !== undefined);
  const differences = given && own && both ? differencesOf(types, own, both) : undefined;
  const live = checkLive(given?.file);
  return {
    ...(given && { given: given.given }),
    kernel: release(),
    ...(given?.table && { madeFor: given.table.kernel }),
    members: members.length,
    lacking: [...lackingPrograms(types, accesses)].map(([program, missing]) => ({ program, missing })),
    ...(differences && { differences }),
    live,
    fits: (differences ?? []).length === 0 && live.every(({ ok }) => ok),
  };
}

/** Most mistakes of a table that an error tells. */
const MAX_TOLD = 6;

/**
 * Opens what `--btf` names and makes sure that it fits the running kernel.
 * @throws VdiagError (status 2) for a file that is none; (status 3) when it does not fit
 */
export function fittingTypes(name: string, running: string, flavour?: Flavour): GivenTypes {
  const types = openGivenTypes(name);
  const wrong = checkLive(types.file, flavour).filter(({ ok }) => !ok);
  if (wrong.length === 0) return types;
  types.close();
  const told = wrong.slice(0, MAX_TOLD).map(({ what, members, expected, seen }) => {
    return `${what} (${members}): ${seen} instead of ${expected}`;
  });
  const more = wrong.length > MAX_TOLD ? `, and ${wrong.length - MAX_TOLD} more` : '';
  throw new VdiagError(
    {
      message:
        `the types of ${name} are not those of this kernel (${running}): of packets that vdiag sent to itself ` +
        `it read: ${told.join('; ')}${more}`,
      hint: 'make them from this kernel: vdiag btf make --headers /lib/modules/$(uname -r)/build -o FILE.yaml',
    },
    3,
  );
}

/** The shipped table that was made for a release, or for the release that it begins with. */
export function tableFor(running: string): string | undefined {
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  return shippedTables()
    .filter((name) => {
      const table = readOffsetsTable(shippedTable(name));
      return table.arch === arch && isRelease(running, table.kernel);
    })
    .sort((a, b) => b.length - a.length)[0];
}

/** `4.19.90-2003.4.0.0036.oe1.x86_64` is a 4.19.90, `4.19.9` is none. */
function isRelease(running: string, made: string): boolean {
  return running === made || (running.startsWith(made) && /^[^0-9]/.test(running.slice(made.length)));
}

/**
 * Given types, and what the running kernel itself says of enums that they lack: a table seldom has the names of drop
 * reasons, and their numbers differ from kernel to kernel.
 */
export function withEnumsOf(given: KernelTypes, own: Pick<KernelTypes, 'enumValues'>): KernelTypes {
  return {
    partial: given.partial,
    tracepointArgs: (name) => given.tracepointArgs(name),
    functionArgs: (name) => given.functionArgs(name),
    ...(given.returnType && { returnType: (name) => given.returnType!(name) }),
    ...(given.hasModule && { hasModule: (name) => given.hasModule!(name) }),
    enumValues(name) {
      const values = given.enumValues(name);
      return values.size > 0 ? values : own.enumValues(name);
    },
  };
}
