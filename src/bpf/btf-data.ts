/** Kinds of types in BTF (include/uapi/linux/btf.h). */
export const BTF_KIND = {
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

const MAGIC = 0xeb9f;

/** Bytes that follow a type's 12-byte head, by kind: a fixed part and a part for each of its `vlen` members. */
const EXTRA: Record<number, [fixed: number, each: number]> = {
  [BTF_KIND.INT]: [4, 0],
  [BTF_KIND.ARRAY]: [12, 0],
  [BTF_KIND.STRUCT]: [0, 12],
  [BTF_KIND.UNION]: [0, 12],
  [BTF_KIND.ENUM]: [0, 8],
  [BTF_KIND.FUNC_PROTO]: [0, 8],
  [BTF_KIND.VAR]: [4, 0],
  [BTF_KIND.DATASEC]: [0, 12],
  [BTF_KIND.DECL_TAG]: [4, 0],
  [BTF_KIND.ENUM64]: [0, 12],
};

/** A member of a struct or union. `offset` in bits; `bits` is the width of a bitfield. */
export interface BtfMember {
  name: string;
  type: number;
  offset: number;
  bits?: number;
}

/**
 * One blob of BTF, read in place: types by number, names by offset. With `base` it is a module's split BTF, whose
 * numbers go on where the kernel's own end.
 */
export class BtfData {
  readonly firstId: number;
  readonly endId: number;
  readonly #offsets: Uint32Array;
  readonly #view: DataView;
  readonly #bytes: Buffer;
  readonly #strings: number;
  readonly #stringsLength: number;
  readonly #firstString: number;
  #names: Map<string, number[]> | undefined;

  /** @throws Error if the blob is not BTF. */
  constructor(
    bytes: Buffer,
    readonly base?: BtfData,
  ) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < 24 || view.getUint16(0, true) !== MAGIC) throw new Error('not BTF: wrong magic number');
    const header = view.getUint32(4, true);
    const start = header + view.getUint32(8, true);
    const end = start + view.getUint32(12, true);
    this.#bytes = bytes;
    this.#view = view;
    this.#strings = header + view.getUint32(16, true);
    this.#stringsLength = view.getUint32(20, true);
    if (end > bytes.length || this.#strings + this.#stringsLength > bytes.length) throw new Error('BTF ends too early');
    this.#firstString = base ? base.#firstString + base.#stringsLength : 0;
    this.firstId = base ? base.endId : 1;
    const offsets: number[] = [];
    for (let at = start; at < end; ) {
      offsets.push(at);
      const info = view.getUint32(at + 4, true);
      const [fixed, each] = EXTRA[(info >>> 24) & 0x1f] ?? [0, 0];
      at += 12 + fixed + each * (info & 0xffff);
    }
    this.#offsets = Uint32Array.from(offsets);
    this.endId = this.firstId + offsets.length;
  }

  kind(id: number): number {
    return id === 0 ? 0 : (this.#head(id, 4) >>> 24) & 0x1f;
  }

  name(id: number): string {
    return id === 0 ? 'void' : this.string(this.#head(id, 0));
  }

  /** Of pointers, typedefs, qualifiers, functions: the type referred to. Of structs, unions, enums and integers: the size, bytes. */
  typeOrSize(id: number): number {
    return this.#head(id, 8);
  }

  /** Of integers: whether they are signed (1), characters (2), truth values (4). */
  encoding(id: number): number {
    return this.kind(id) === BTF_KIND.INT ? (this.#head(id, 12) >>> 24) & 0xf : 0;
  }

  /** Element type and count of an array. */
  array(id: number): { type: number; count: number } {
    const [data, at] = this.#place(id);
    return { type: data.#view.getUint32(at + 12, true), count: data.#view.getUint32(at + 20, true) };
  }

  /** Members of a struct or union. */
  members(id: number): BtfMember[] {
    const [data, at] = this.#place(id);
    const info = data.#view.getUint32(at + 4, true);
    const bitfields = info >>> 31 === 1;
    return Array.from({ length: info & 0xffff }, (_, i) => {
      const member = at + 12 + i * 12;
      const offset = data.#view.getUint32(member + 8, true);
      return {
        name: this.string(data.#view.getUint32(member, true)),
        type: data.#view.getUint32(member + 4, true),
        offset: bitfields ? offset & 0xffffff : offset,
        ...(bitfields && offset >>> 24 > 0 && { bits: offset >>> 24 }),
      };
    });
  }

  /** Parameters of a function prototype. */
  parameters(id: number): { name: string; type: number }[] {
    const [data, at] = this.#place(id);
    const count = data.#view.getUint32(at + 4, true) & 0xffff;
    return Array.from({ length: count }, (_, i) => ({
      name: this.string(data.#view.getUint32(at + 12 + i * 8, true)),
      type: data.#view.getUint32(at + 16 + i * 8, true),
    }));
  }

  /** Values of an enum (32 or 64 bits: the low 53 bits are exact). */
  enumValues(id: number): { name: string; value: number }[] {
    const [data, at] = this.#place(id);
    const info = data.#view.getUint32(at + 4, true);
    const wide = this.kind(id) === BTF_KIND.ENUM64;
    return Array.from({ length: info & 0xffff }, (_, i) => {
      const entry = at + 12 + i * (wide ? 12 : 8);
      const low = wide ? data.#view.getUint32(entry + 4, true) : data.#view.getInt32(entry + 4, true);
      const high = wide ? data.#view.getInt32(entry + 8, true) : 0;
      return { name: this.string(data.#view.getUint32(entry, true)), value: high * 2 ** 32 + low };
    });
  }

  /** Numbers of this blob's own types with that name (not the base's). */
  find(name: string): readonly number[] {
    this.#names ??= this.#index();
    return this.#names.get(name) ?? [];
  }

  #index(): Map<string, number[]> {
    const names = new Map<string, number[]>();
    for (let id = this.firstId; id < this.endId; id++) {
      const name = this.name(id);
      if (name === '') continue;
      const list = names.get(name);
      if (list) list.push(id);
      else names.set(name, [id]);
    }
    return names;
  }

  string(offset: number): string {
    if (offset < this.#firstString && this.base) return this.base.string(offset);
    const start = this.#strings + offset - this.#firstString;
    const end = this.#bytes.indexOf(0, start);
    return this.#bytes.toString('latin1', start, end);
  }

  #place(id: number): [BtfData, number] {
    if (id < this.firstId && this.base) return this.base.#place(id);
    const at = this.#offsets[id - this.firstId];
    if (at === undefined) throw new Error(`BTF has no type ${id}`);
    return [this, at];
  }

  #head(id: number, offset: number): number {
    const [data, at] = this.#place(id);
    return data.#view.getUint32(at + offset, true);
  }
}
