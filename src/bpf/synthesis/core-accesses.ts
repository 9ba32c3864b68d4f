import { readFileSync } from 'node:fs';
import { BTF_KIND, BtfData } from '../btf-data.js';
import { elfSection } from '../elf.js';

/** Kinds of CO-RE relocations (enum bpf_core_relo_kind, include/uapi/linux/bpf.h): those of members come first. */
const FIELD_EXISTS = 2;
const LAST_FIELD_KIND = 5;
const TYPE_EXISTS = 8;

/** Bytes of one struct bpf_core_relo and of one struct bpf_func_info; both may grow, the file says how far. */
const FUNC_TYPE = 4;
const RELO = { type: 4, access: 8, kind: 12 } as const;

/** Functions that are not inlined stand here; any program may call them. */
const SHARED_SECTION = '.text';

/** A member that the compiled object reads through CO-RE. */
export interface CoreMember {
  /** The kernel's name of the structure, without vdiag's flavour (`___why`). */
  struct: string;
  /** Names from the structure inwards, joined by dots: `__sk_common.skc_daddr`. An index into an array is left out. */
  member: string;
  /** BTF kind (BTF_KIND) of the member as bpf/kernel.h declares it, behind typedefs: the kernel's must be the same. */
  kind: number;
  /**
   * What the object asks before it reads the member: whether the member is there, or whether the structure is (then it
   * has to have the member). Undefined: it just reads.
   */
  guard?: 'member' | 'struct';
}

/** What each program of a compiled object reads: members by program, each once. */
export type CoreAccesses = ReadonlyMap<string, readonly CoreMember[]>;

interface Access {
  at: string;
  name: string;
  kind: number;
  memberKind: number;
  flavour: boolean;
}

/**
 * The members that each program of a compiled object reads, from its relocations (.BTF.ext). What functions that are not
 * inlined read counts for every program.
 * @throws Error if the file is no such object
 */
export function coreAccesses(file: string): CoreAccesses {
  const bytes = readFileSync(file);
  const types = elfSection(bytes, '.BTF');
  const extension = elfSection(bytes, '.BTF.ext');
  if (!types || !extension) throw new Error(`${file} has no CO-RE relocations (.BTF and .BTF.ext)`);
  const data = new BtfData(types);
  const functions = functionStarts(data, extension);
  const accesses = new Map<string, Map<string, Access>>();
  const askedFor = new Set<string>();
  for (const { section, insn, body, at } of records(data, extension, 24)) {
    const kind = body.readUInt32LE(at + RELO.kind);
    const root = body.readUInt32LE(at + RELO.type);
    if (kind === TYPE_EXISTS) askedFor.add(data.name(root));
    if (kind > LAST_FIELD_KIND) continue;
    const program = section === SHARED_SECTION ? SHARED_SECTION : functionAt(functions.get(section) ?? [], insn);
    const access = walk(data, root, data.string(body.readUInt32LE(at + RELO.access)));
    let own = accesses.get(program);
    if (!own) accesses.set(program, (own = new Map<string, Access>()));
    own.set(`${access.at}.${access.name}:${kind === FIELD_EXISTS}`, { ...access, kind });
  }
  const shared = [...(accesses.get(SHARED_SECTION)?.values() ?? [])];
  accesses.delete(SHARED_SECTION);
  return new Map([...accesses].map(([program, own]) => [program, membersOf([...shared, ...own.values()], askedFor)]));
}

/** Every member that any of the programs reads; guarded only if it is so for each of them. */
export function allMembers(accesses: CoreAccesses): CoreMember[] {
  const all = new Map<string, CoreMember>();
  for (const member of [...accesses.values()].flat()) {
    const key = `${member.struct}.${member.member}`;
    const known = all.get(key);
    if (!known || (known.guard && !member.guard)) all.set(key, member);
  }
  return [...all.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, member]) => member);
}

/** By kernel.h's convention a flavour is a member that a kernel may lack, and so is what is asked for. */
function membersOf(accesses: readonly Access[], structs: ReadonlySet<string>): CoreMember[] {
  const name = (access: Access): string => `${access.at}.${access.name}`;
  const asked = new Set(accesses.filter(({ kind }) => kind === FIELD_EXISTS).map(name));
  const members = new Map<string, CoreMember>();
  for (const access of accesses) {
    const guard =
      access.flavour || asked.has(name(access)) ? 'member' : structs.has(access.at) ? ('struct' as const) : undefined;
    const known = members.get(name(access));
    if (known && (guard || !known.guard)) continue;
    members.set(name(access), {
      struct: access.at,
      member: access.name,
      kind: access.memberKind,
      ...(guard && { guard }),
    });
  }
  return [...members.values()];
}

/** Follows an access string (`0:3:1`: member 1 of member 3) through the object's own types. */
function walk(data: BtfData, root: number, access: string): Omit<Access, 'kind'> {
  const full = data.name(root);
  const steps = access.split(':').slice(1).map(Number);
  const names: string[] = [];
  let type = behindTypedefs(data, root);
  for (const step of steps) {
    if (data.kind(type) === BTF_KIND.ARRAY) {
      type = behindTypedefs(data, data.array(type).type);
      continue;
    }
    const member = data.members(type)[step];
    if (!member) throw new Error(`the relocation ${full} ${access} leads nowhere`);
    if (member.name !== '') names.push(member.name);
    type = behindTypedefs(data, member.type);
  }
  return {
    at: full.replace(/___.*$/, ''),
    name: names.join('.'),
    memberKind: data.kind(type),
    flavour: full.includes('___'),
  };
}

/** The type that typedefs and qualifiers stand for. */
export function behindTypedefs(data: BtfData, type: number): number {
  const names: readonly number[] = [
    ...[BTF_KIND.TYPEDEF, BTF_KIND.CONST, BTF_KIND.VOLATILE, BTF_KIND.RESTRICT, BTF_KIND.TYPE_TAG],
  ];
  let id = type;
  while (names.includes(data.kind(id))) id = data.typeOrSize(id);
  return id;
}

interface FunctionStart {
  insn: number;
  name: string;
}

function functionStarts(data: BtfData, extension: Buffer): Map<string, FunctionStart[]> {
  const starts = new Map<string, FunctionStart[]>();
  for (const { section, insn, body, at } of records(data, extension, 8)) {
    const list = starts.get(section) ?? [];
    list.push({ insn, name: data.name(body.readUInt32LE(at + FUNC_TYPE)) });
    starts.set(section, list);
  }
  for (const list of starts.values()) list.sort((a, b) => a.insn - b.insn);
  return starts;
}

function functionAt(starts: readonly FunctionStart[], insn: number): string {
  return starts.findLast((start) => start.insn <= insn)?.name ?? '';
}

/** Records of a table of .BTF.ext (struct btf_ext_header): func_info at 8, core_relo at 24 of the header. */
function* records(
  data: BtfData,
  extension: Buffer,
  table: 8 | 24,
): Generator<{ section: string; insn: number; body: Buffer; at: number }> {
  const header = extension.readUInt32LE(4);
  if (header < table + 8) return;
  const start = header + extension.readUInt32LE(table);
  const end = start + extension.readUInt32LE(table + 4);
  if (end === start) return;
  const size = extension.readUInt32LE(start);
  for (let at = start + 4; at < end;) {
    const section = data.string(extension.readUInt32LE(at));
    const count = extension.readUInt32LE(at + 4);
    at += 8;
    for (let i = 0; i < count; i++, at += size) {
      yield { section, insn: extension.readUInt32LE(at), body: extension, at };
    }
  }
}

