import { BTF_KIND } from '../btf-data.js';

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** Linkage of a function (enum btf_func_linkage): whether it was static is not known, and does not matter. */
const GLOBAL = 1;

/** A member of a structure to write; `bits` only of bitfields. */
export interface WrittenMember {
  name: string;
  type: number;
  /** Bits from the start of the structure. */
  offset: number;
  bits?: number;
}

/** Builds raw BTF type by type (Documentation/bpf/btf.rst). Every method returns the new type's number; 0 is void. */
export class BtfWriter {
  readonly #types: Buffer[] = [];
  readonly #strings: Buffer[] = [Buffer.from([0])];
  readonly #offsets = new Map<string, number>([['', 0]]);
  #stringBytes = 1;

  int(name: string, bytes: number, signed: boolean): number {
    const SIGNED = 1;
    return this.#add(name, BTF_KIND.INT, 0, false, bytes, words(((signed ? SIGNED : 0) << 24) | (bytes * 8)));
  }

  pointer(to: number): number {
    return this.#add('', BTF_KIND.PTR, 0, false, to);
  }

  typedef(name: string, of: number): number {
    return this.#add(name, BTF_KIND.TYPEDEF, 0, false, of);
  }

  /** A structure of which nothing is known but its name. */
  forward(name: string): number {
    return this.#add(name, BTF_KIND.FWD, 0, false, 0);
  }

  /** An enum of 32 bits; mostly without values, for programs and plans ask for its name only. */
  enumeration(name: string, values: readonly [name: string, value: number][] = []): number {
    const body = values.flatMap(([value, number]) => [this.#string(value), number]);
    return this.#add(name, BTF_KIND.ENUM, values.length, false, 4, words(...body));
  }

  array(of: number, count: number, index: number): number {
    return this.#add('', BTF_KIND.ARRAY, 0, false, 0, words(of, index, count));
  }

  struct(name: string, bytes: number, members: readonly WrittenMember[]): number {
    const bitfields = members.some(({ bits }) => bits !== undefined);
    const body = members.flatMap(({ name: member, type, offset, bits = 0 }) => [
      this.#string(member),
      type,
      bitfields ? ((bits << 24) | offset) >>> 0 : offset,
    ]);
    return this.#add(name, BTF_KIND.STRUCT, members.length, bitfields, bytes, words(...body));
  }

  prototype(returns: number, parameters: readonly { name: string; type: number }[]): number {
    const body = parameters.flatMap(({ name, type }) => [this.#string(name), type]);
    return this.#add('', BTF_KIND.FUNC_PROTO, parameters.length, false, returns, words(...body));
  }

  function(name: string, prototype: number): number {
    return this.#add(name, BTF_KIND.FUNC, GLOBAL, false, prototype);
  }

  /** The whole blob, as the kernel has it in /sys/kernel/btf/vmlinux. */
  bytes(): Buffer {
    const types = Buffer.concat(this.#types);
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt16LE(MAGIC, 0);
    header.writeUInt8(1, 2);
    header.writeUInt32LE(HEADER_BYTES, 4);
    header.writeUInt32LE(types.length, 12);
    header.writeUInt32LE(types.length, 16);
    header.writeUInt32LE(this.#stringBytes, 20);
    return Buffer.concat([header, types, ...this.#strings]);
  }

  #add(name: string, kind: number, vlen: number, kindFlag: boolean, sizeOrType: number, extra?: Buffer): number {
    const info = ((kindFlag ? 0x80000000 : 0) | (kind << 24) | vlen) >>> 0;
    const head = words(this.#string(name), info, sizeOrType);
    this.#types.push(extra ? Buffer.concat([head, extra]) : head);
    return this.#types.length;
  }

  #string(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const at = this.#stringBytes;
    const bytes = Buffer.from(`${text}\0`, 'latin1');
    this.#strings.push(bytes);
    this.#stringBytes += bytes.length;
    this.#offsets.set(text, at);
    return at;
  }
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeUInt32LE(value >>> 0, i * 4));
  return bytes;
}
