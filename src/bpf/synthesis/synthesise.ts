import { SYNTHESISED_MARK } from '../btf.js';
import { BtfWriter, type WrittenMember } from './btf-writer.js';
import { type DeclaredType, parseMemberType, parsePrototype } from './declarations.js';
import type { OffsetsMember, OffsetsTable } from './offsets-table.js';

/**
 * Raw BTF out of an offsets table: its structures, with what lies between left out, and the prototypes of its functions
 * and tracepoints. CO-RE goes by names, kinds and offsets only.
 * @throws Error for a table that readOffsetsTable would not have passed
 */
export function synthesiseBtf(table: OffsetsTable): Buffer {
  return new Synthesis(table).bytes();
}

/** A structure being written: members by their first name, those with dots below it. */
interface Node {
  entry?: OffsetsMember;
  inner: Map<string, Node>;
}

class Synthesis {
  readonly #writer = new BtfWriter();
  readonly #ids = new Map<string, number>();

  constructor(private readonly table: OffsetsTable) {}

  bytes(): Buffer {
    this.#writer.struct(SYNTHESISED_MARK, 0, []);
    for (const [name, values] of Object.entries(this.table.enums ?? {})) {
      this.#ids.set(`enum ${name}`, this.#writer.enumeration(name, Object.entries(values)));
    }
    for (const [name, { size, members }] of Object.entries(this.table.structs)) {
      const root = treeOf(members);
      this.#ids.set(`struct ${name}`, this.#composite(name, root, 0, size));
    }
    for (const declaration of this.table.functions ?? []) {
      const { name, prototype } = this.#prototype(declaration, false);
      this.#writer.function(name, prototype);
    }
    for (const declaration of this.table.tracepoints ?? []) {
      const { name, prototype } = this.#prototype(declaration, true);
      this.#writer.typedef(`btf_trace_${name}`, this.#writer.pointer(prototype));
    }
    return this.#writer.bytes();
  }

  /** @param start bytes at which it begins in the outermost structure: what its members' offsets count from */
  #composite(name: string, node: Node, start: number, size?: number): number {
    const members: WrittenMember[] = [];
    let end = start;
    for (const [member, below] of node.inner) {
      const { entry } = below;
      if (below.inner.size > 0) {
        const from = entry?.offset ?? startOf(below);
        const bytes = Math.max(entry?.size ?? 0, endOf(below) - from);
        members.push({
          name: member,
          type: this.#composite('', below, from, bytes),
          offset: (from - start) * 8,
        });
        end = Math.max(end, from + bytes);
      } else if (entry) {
        const declared = memberType(entry);
        members.push({
          name: member,
          type: this.#type(declared),
          offset: (entry.offset - start) * 8 + (entry.bit ?? 0),
          ...(entry.bits !== undefined && { bits: entry.bits }),
        });
        end = Math.max(end, entry.offset + declared.bytes);
      }
    }
    return this.#writer.struct(name, size ?? end - start, members);
  }

  #prototype(declaration: string, tracepoint: boolean): { name: string; prototype: number } {
    const parsed = parsePrototype(declaration);
    if (!parsed) throw new Error(`"${declaration}" is no C declaration`);
    const parameters = parsed.parameters.map(({ name, type }) => ({ name, type: this.#type(type) }));
    // A tracepoint's own data, which programs do not get (include/trace/bpf_probe.h).
    if (tracepoint) parameters.unshift({ name: '__data', type: this.#type({ ...VOID, pointers: 1 }) });
    return { name: parsed.name, prototype: this.#writer.prototype(this.#type(parsed.returns), parameters) };
  }

  #type(type: DeclaredType): number {
    const { pointers, count } = type;
    if (count !== undefined) {
      const one = { ...type, count: undefined };
      const element = this.#type(one);
      const index = this.#type({ ...VOID, base: 'int', name: 'u32', baseBytes: 4 });
      return this.#once(`${key(one)}[${count}]`, () => this.#writer.array(element, count, index));
    }
    if (pointers > 0) {
      const to = this.#type({ ...type, pointers: pointers - 1 });
      return this.#once(key(type), () => this.#writer.pointer(to));
    }
    switch (type.base) {
      case 'void':
        return 0;
      case 'int':
        return this.#once(key(type), () => this.#writer.int(type.name, type.baseBytes, type.signed));
      case 'enum':
        return this.#once(key(type), () => this.#writer.enumeration(type.name));
      case 'struct':
        return type.baseBytes > 0
          ? this.#once(`embedded ${key(type)}`, () => this.#writer.struct('', type.baseBytes, []))
          : this.#once(key(type), () => this.#writer.forward(type.name));
    }
  }

  #once(name: string, make: () => number): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = make();
    this.#ids.set(name, id);
    return id;
  }
}

const VOID: DeclaredType = { base: 'void', name: 'void', baseBytes: 0, signed: false, pointers: 0, bytes: 0 };

function key({ base, name, pointers }: DeclaredType): string {
  return `${base === 'struct' ? 'struct ' : base === 'enum' ? 'enum ' : ''}${name}${'*'.repeat(pointers)}`;
}

function memberType(entry: OffsetsMember): DeclaredType {
  const type = parseMemberType(entry.type, entry.size);
  if ('expected' in type) throw new Error(`the type "${entry.type}"; expected ${type.expected}`);
  return type;
}

function treeOf(members: Record<string, OffsetsMember>): Node {
  const root: Node = { inner: new Map() };
  for (const [path, entry] of Object.entries(members)) {
    let node = root;
    for (const name of path.split('.')) {
      let next = node.inner.get(name);
      if (!next) node.inner.set(name, (next = { inner: new Map() }));
      node = next;
    }
    node.entry = entry;
  }
  return root;
}

/** Where an embedded structure of which only members are known begins at the latest. */
function startOf(node: Node): number {
  return Math.min(...[...node.inner.values()].map((below) => below.entry?.offset ?? startOf(below)));
}

function endOf(node: Node): number {
  const ends = [...node.inner.values()].map((below) =>
    below.inner.size > 0 ? endOf(below) : below.entry!.offset + memberType(below.entry!).bytes,
  );
  return Math.max(...ends);
}
