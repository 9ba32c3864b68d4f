import { BTF_KIND, type BtfData } from '../btf-data.js';
import { behindTypedefs } from './core-accesses.js';
import type { CoreAccesses, CoreMember } from './core-accesses.js';

/** Where a member is, by BTF. */
export interface Place {
  /** Bits from the start of the outermost structure. */
  offset: number;
  /** Width of a bitfield; undefined: it is none. */
  bits?: number;
  /** Type, behind typedefs. */
  type: number;
}

/** The structure of that name that is described, not only mentioned. */
export function findStruct(data: BtfData, name: string): number | undefined {
  return data.find(name).find((id) => isComposite(data, id));
}

/** Place of a member (`__sk_common.skc_daddr`), also inside anonymous structures; undefined: there is none. */
export function placeOf(data: BtfData, struct: string, member: string): Place | undefined {
  let type = findStruct(data, struct);
  let place: Place | undefined;
  for (const name of member.split('.')) {
    if (type === undefined || !isComposite(data, type)) return undefined;
    const next = within(data, type, name);
    if (!next) return undefined;
    place = { ...next, offset: next.offset + (place?.offset ?? 0) };
    type = next.type;
  }
  return place;
}

function within(data: BtfData, struct: number, name: string): Place | undefined {
  for (const member of data.members(struct)) {
    const type = behindTypedefs(data, member.type);
    if (member.name === name) {
      return { offset: member.offset, type, ...(member.bits !== undefined && { bits: member.bits }) };
    }
    if (member.name !== '' || !isComposite(data, type)) continue;
    const found = within(data, type, name);
    if (found) return { ...found, offset: found.offset + member.offset };
  }
  return undefined;
}

export function isComposite(data: BtfData, id: number): boolean {
  return data.kind(id) === BTF_KIND.STRUCT || data.kind(id) === BTF_KIND.UNION;
}

/** Of kinds that libbpf takes for the same (libbpf's bpf_core_fields_are_compat). */
function family(kind: number): number {
  if (kind === BTF_KIND.UNION) return BTF_KIND.STRUCT;
  return kind === BTF_KIND.ENUM64 ? BTF_KIND.ENUM : kind;
}

/** Why a program cannot read a member by this BTF: a phrase, or undefined when it can, or does not try. */
export function whyUnreadable(data: BtfData, { struct, member, kind, guard }: CoreMember): string | undefined {
  const place = placeOf(data, struct, member);
  if (!place && (guard === 'member' || (guard === 'struct' && findStruct(data, struct) === undefined))) return undefined;
  if (!place) return findStruct(data, struct) === undefined ? `it has no struct ${struct}` : `it has no ${struct}.${member}`;
  if (family(data.kind(place.type)) !== family(kind)) return `${struct}.${member} is of another kind there`;
  return undefined;
}

/**
 * Programs that this BTF does not suffice for, with what they lack. A program that reads what is not there is refused by
 * the kernel, and with it the whole object.
 */
export function lackingPrograms(data: BtfData, accesses: CoreAccesses): Map<string, string[]> {
  const lacking = new Map<string, string[]>();
  for (const [program, members] of accesses) {
    const missing = members.flatMap((one) => whyUnreadable(data, one) ?? []);
    if (missing.length > 0) lacking.set(program, [...new Set(missing)]);
  }
  return lacking;
}

/** One member that two BTFs place differently. */
export interface Difference {
  member: string;
  /** `128`, `144:3+2` (byte, bit, width) or `not there`. */
  given: string;
  kernel: string;
}

/** Where two BTFs place members differently: those that both should have, and optional ones that only one has. */
export function differencesOf(given: BtfData, kernel: BtfData, members: readonly CoreMember[]): Difference[] {
  return members.flatMap(({ struct, member }) => {
    const one = placeText(placeOf(given, struct, member));
    const other = placeText(placeOf(kernel, struct, member));
    return one === other ? [] : [{ member: `${struct}.${member}`, given: one, kernel: other }];
  });
}

function placeText(place: Place | undefined): string {
  if (!place) return 'not there';
  const byte = place.offset >>> 3;
  return place.bits === undefined ? String(byte) : `${byte}:${place.offset & 7}+${place.bits}`;
}
