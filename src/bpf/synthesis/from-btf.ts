import { BTF_KIND, type BtfData } from '../btf-data.js';
import type { CoreMember } from './core-accesses.js';
import { findStruct, type Place, placeOf } from './layout.js';
import type { OffsetsMember, OffsetsTable } from './offsets-table.js';

const SIGNED = 1;

/**
 * The offsets table of a kernel whose BTF is at hand: the members that vdiag reads, no more. Members that this kernel
 * does not have are left out.
 */
export function offsetsOf(
  data: BtfData,
  members: readonly CoreMember[],
  about: Pick<OffsetsTable, 'kernel' | 'arch' | 'source'>,
): OffsetsTable {
  const structs: OffsetsTable['structs'] = {};
  for (const { struct, member } of members) {
    const place = placeOf(data, struct, member);
    const root = findStruct(data, struct);
    if (!place || root === undefined) continue;
    structs[struct] ??= { size: data.typeOrSize(root), members: {} };
    structs[struct].members[member] = describe(data, place);
  }
  return { apiVersion: 'vdiag/v1', kind: 'KernelOffsets', ...about, structs };
}

function describe(data: BtfData, place: Place): OffsetsMember {
  const { type, size } = spell(data, place.type);
  if (place.bits === undefined) return { offset: place.offset / 8, type, ...(size !== undefined && { size }) };
  return { offset: place.offset >>> 3, type, bit: place.offset & 7, bits: place.bits };
}

function spell(data: BtfData, type: number): { type: string; size?: number } {
  switch (data.kind(type)) {
    case BTF_KIND.PTR: {
      const to = data.typeOrSize(type);
      const named = data.kind(to) === BTF_KIND.STRUCT && data.name(to) !== '';
      return { type: named ? `struct ${data.name(to)} *` : 'void *' };
    }
    case BTF_KIND.ARRAY: {
      const { type: element, count } = data.array(type);
      return { type: `${spell(data, element).type}[${count}]` };
    }
    case BTF_KIND.STRUCT:
    case BTF_KIND.UNION:
      return { type: `struct ${data.name(type) || 'anonymous'}`, size: data.typeOrSize(type) };
    case BTF_KIND.TYPEDEF:
    case BTF_KIND.CONST:
    case BTF_KIND.VOLATILE:
      return spell(data, data.typeOrSize(type));
    default:
      return { type: `${data.encoding(type) & SIGNED ? 's' : 'u'}${data.typeOrSize(type) * 8}` };
  }
}
