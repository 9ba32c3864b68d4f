import { BTF_KIND, type BtfData } from '../btf-data.js';
import { behindTypedefs, type CoreMember } from './core-accesses.js';
import { findStruct, isComposite, type Place, placeOf } from './layout.js';
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

/**
 * C declarations of those functions and tracepoints that BTF knows, so that their arguments are found by type on a kernel
 * that does not tell them.
 */
export function declarationsOf(
  data: BtfData,
  functions: readonly string[],
  tracepoints: readonly string[],
): Required<Pick<OffsetsTable, 'functions' | 'tracepoints'>> {
  const of = (name: string, kind: number): number | undefined => data.find(name).find((id) => data.kind(id) === kind);
  return {
    functions: [...new Set(functions)].sort().flatMap((name) => {
      const id = of(name, BTF_KIND.FUNC);
      if (id === undefined) return [];
      const prototype = data.typeOrSize(id);
      return [`${cName(data, data.typeOrSize(prototype))} ${name}(${parameters(data, prototype, 0)})`];
    }),
    tracepoints: [...new Set(tracepoints)].sort().flatMap((name) => {
      const id = of(`btf_trace_${name}`, BTF_KIND.TYPEDEF);
      if (id === undefined) return [];
      // The first parameter is the tracepoint's own data.
      return [`${name}(${parameters(data, data.typeOrSize(data.typeOrSize(id)), 1)})`];
    }),
  };
}

/** Those of some enums that BTF knows, with their values. */
export function enumsOf(data: BtfData, names: readonly string[]): Pick<OffsetsTable, 'enums'> {
  const enums = names.flatMap((name): [string, Record<string, number>][] => {
    const id = data.find(name).find((one) => data.kind(one) === BTF_KIND.ENUM);
    if (id === undefined) return [];
    return [[name, Object.fromEntries(data.enumValues(id).map(({ name: value, value: number }) => [value, number]))]];
  });
  return enums.length > 0 ? { enums: Object.fromEntries(enums) } : {};
}

function parameters(data: BtfData, prototype: number, from: number): string {
  return data
    .parameters(prototype)
    .slice(from)
    .map(({ name, type }, i) => `${cName(data, type)} ${name || `arg${i}`}`.replace(/\* /, '*'))
    .join(', ');
}

/** A type in C; what pointers to functions and arrays point to is left out. */
function cName(data: BtfData, type: number): string {
  switch (data.kind(type)) {
    case BTF_KIND.PTR:
      return `${cName(data, data.typeOrSize(type)).replace(/\*$/, '* ')} *`.replace('*  *', '**');
    case BTF_KIND.CONST:
    case BTF_KIND.VOLATILE:
    case BTF_KIND.RESTRICT:
    case BTF_KIND.TYPE_TAG:
      return cName(data, data.typeOrSize(type));
    case BTF_KIND.STRUCT:
    case BTF_KIND.UNION:
    case BTF_KIND.FWD:
      return data.name(type) === '' ? 'void' : `struct ${data.name(type)}`;
    case BTF_KIND.ENUM:
    case BTF_KIND.ENUM64:
      return data.name(type) === '' ? 'int' : `enum ${data.name(type)}`;
    case BTF_KIND.TYPEDEF:
      return isComposite(data, behindTypedefs(data, type)) ? 'void' : data.name(type);
    case BTF_KIND.INT:
      return data.name(type) === '_Bool' ? 'bool' : data.name(type);
    default:
      return 'void';
  }
}
