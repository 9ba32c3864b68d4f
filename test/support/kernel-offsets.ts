import { KernelBtf } from '../../src/bpf/btf.js';
import { OBJECT_FILE } from '../../src/bpf/object.js';
import { allMembers, coreAccesses } from '../../src/bpf/synthesis/core-accesses.js';
import { offsetsOf } from '../../src/bpf/synthesis/from-btf.js';
import type { OffsetsTable } from '../../src/bpf/synthesis/offsets-table.js';

/** The running kernel's offsets, as a table that is right. */
export function ownOffsets(): OffsetsTable {
  const members = allMembers(coreAccesses(OBJECT_FILE));
  return offsetsOf(KernelBtf.load().kernel, members, { kernel: 'own', arch: 'x86_64' });
}

/** The table with some members moved. */
export function shifted(table: OffsetsTable, struct: string, members: readonly string[], bytes: number): OffsetsTable {
  const copy = structuredClone(table);
  for (const member of members) {
    const entry = copy.structs[struct]?.members[member];
    if (!entry) throw new Error(`the table has no ${struct}.${member}`);
    entry.offset += bytes;
  }
  return copy;
}
