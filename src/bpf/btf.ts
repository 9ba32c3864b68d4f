import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { VdiagError } from '../base/errors.js';
import { BTF_KIND, BtfData } from './btf-data.js';
import { elfSection } from './elf.js';
import type { BtfArgument } from './types.js';

const KERNEL_BTF_FOLDER = '/sys/kernel/btf';

/** A type of this name marks BTF that vdiag made from an offsets table (src/bpf/synthesis). */
export const SYNTHESISED_MARK = 'vdiag_synthesised';

const SKIPPED: ReadonlySet<number> = new Set([
  BTF_KIND.TYPEDEF,
  BTF_KIND.CONST,
  BTF_KIND.VOLATILE,
  BTF_KIND.RESTRICT,
  BTF_KIND.TYPE_TAG,
]);

/** Where a function stands in BTF: in the kernel's own, or in a module's. */
export interface BtfFunction {
  id: number;
  data: BtfData;
  /** Absent: vmlinux. */
  module?: string;
}

/**
 * What the running kernel says of its own functions, tracepoints, structures and enums. Modules are read when they are
 * asked for, or when a name is not in the kernel proper.
 */
export class KernelBtf {
  /** The running kernel's own: 5 MB that do not change while it runs. */
  static #running: BtfData | undefined;

  readonly #modules = new Map<string, BtfData>();

  /** Made from an offsets table: it does not know all functions and tracepoints that the kernel has. */
  get partial(): boolean {
    return this.kernel.find(SYNTHESISED_MARK).length > 0;
  }

  private constructor(
    readonly kernel: BtfData,
    private readonly moduleFolder: string | undefined,
  ) {}

  /**
   * BTF of the running kernel, or of a file (raw BTF, or an ELF file with a .BTF section).
   * @throws VdiagError (status 3) when there is none or it cannot be read.
   */
  static load(file = join(KERNEL_BTF_FOLDER, 'vmlinux')): KernelBtf {
    const running = file === join(KERNEL_BTF_FOLDER, 'vmlinux');
    if (running && KernelBtf.#running) return new KernelBtf(KernelBtf.#running, KERNEL_BTF_FOLDER);
    try {
      const bytes = readFileSync(file);
      const isElf = bytes.length > 4 && bytes.readUInt32BE(0) === 0x7f454c46;
      const data = isElf ? elfSection(bytes, '.BTF') : bytes;
      if (!data) throw new Error('it has no .BTF section');
      const parsed = new BtfData(data);
      if (!running) return new KernelBtf(parsed, undefined);
      KernelBtf.#running = parsed;
      return new KernelBtf(parsed, KERNEL_BTF_FOLDER);
    } catch (error) {
      const missing = running && !existsSync(file);
      throw new VdiagError(
        {
          message: missing
            ? 'this kernel has no BTF: /sys/kernel/btf/vmlinux is not there'
            : `cannot read BTF from ${file}: ${(error as Error).message}`,
          expected: missing ? 'a kernel built with CONFIG_DEBUG_INFO_BTF (5.4 and later)' : undefined,
        },
        3,
        { cause: error },
      );
    }
  }

  /**
   * BTF of some kernel whose files lie in a folder as the running kernel's do in /sys/kernel/btf: `vmlinux` and one file a
   * module. @throws the error of the file system, or Error when a file is not BTF.
   */
  static loadFolder(folder: string): KernelBtf {
    return new KernelBtf(new BtfData(readFileSync(join(folder, 'vmlinux'))), folder);
  }

  /** Arguments of a raw tracepoint's program, in order; undefined when there is no such tracepoint. */
  tracepointArgs(name: string): BtfArgument[] | undefined {
    const typedefName = `btf_trace_${name.slice(name.indexOf(':') + 1)}`;
    for (const { data } of this.#blobs()) {
      for (const id of data.find(typedefName)) {
        if (data.kind(id) !== BTF_KIND.TYPEDEF) continue;
        const proto = data.typeOrSize(data.typeOrSize(id));
        // The first parameter is the tracepoint's own data, which programs do not get.
        if (data.kind(proto) === BTF_KIND.FUNC_PROTO) return argumentsOf(data, proto).slice(1);
      }
    }
    return undefined;
  }

  /** Arguments of a kernel function; undefined when BTF does not know it. */
  functionArgs(name: string): BtfArgument[] | undefined {
    const found = this.findFunction(name);
    return found && argumentsOf(found.data, found.data.typeOrSize(found.id));
  }

  /** Return type of a kernel function; undefined when BTF does not know it. */
  returnType(name: string): BtfArgument | undefined {
    const found = this.findFunction(name);
    return found && describe(found.data, '', found.data.typeOrSize(found.data.typeOrSize(found.id)));
  }

  /** Whether that module is loaded and has BTF of its own (5.11 and later). */
  hasModule(name: string): boolean {
    return this.moduleFolder !== undefined && existsSync(join(this.moduleFolder, name));
  }

  /** A function, in the kernel or else in a loaded module; `module:name` only there. */
  findFunction(name: string): BtfFunction | undefined {
    const colon = name.indexOf(':');
    const only = colon < 0 ? undefined : name.slice(0, colon);
    for (const { data, module } of this.#blobs()) {
      if (only !== undefined && module !== only) continue;
      for (const id of data.find(name.slice(colon + 1))) {
        if (data.kind(id) === BTF_KIND.FUNC) return module === undefined ? { id, data } : { id, data, module };
      }
    }
    return undefined;
  }

  /** Number → name of an enum's values; empty when there is no such enum. Of two names for a value the first is kept. */
  enumValues(enumName: string): Map<number, string> {
    const values = new Map<number, string>();
    for (const { data } of this.#blobs()) {
      for (const id of data.find(enumName)) {
        if (data.kind(id) !== BTF_KIND.ENUM && data.kind(id) !== BTF_KIND.ENUM64) continue;
        for (const { name, value } of data.enumValues(id)) if (!values.has(value)) values.set(value, name);
      }
      if (values.size > 0) return values;
    }
    return values;
  }

  /** Whether a structure has a member of that name, also inside its anonymous structs and unions. */
  hasMember(struct: string, member: string): boolean {
    for (const { data } of this.#blobs()) {
      for (const id of data.find(struct)) {
        if (isComposite(data, id)) return holds(data, id, member);
      }
    }
    return false;
  }

  /** Loaded modules that have types. */
  modules(): string[] {
    if (this.moduleFolder === undefined) return [];
    return readdirSync(this.moduleFolder).filter((name) => name !== 'vmlinux');
  }

  /** Every function (kernel and loaded modules) with an argument that is a pointer to that structure. */
  *functionsTaking(struct: string): Generator<{ name: string; position: number; nargs: number; module?: string }> {
    for (const { data, module } of this.#blobs()) {
      for (let id = data.firstId; id < data.endId; id++) {
        if (data.kind(id) !== BTF_KIND.FUNC) continue;
        const args = argumentsOf(data, data.typeOrSize(id));
        const position = args.findIndex((arg) => arg.pointer && arg.type === struct);
        if (position >= 0) yield { name: data.name(id), position, nargs: args.length, ...(module !== undefined && { module }) };
      }
    }
  }

  /** The kernel's own BTF first, then each loaded module's, read when it is its turn. */
  *#blobs(): Generator<{ data: BtfData; module?: string }> {
    yield { data: this.kernel };
    if (this.moduleFolder === undefined) return;
    for (const module of readdirSync(this.moduleFolder).sort()) {
      if (module === 'vmlinux') continue;
      const data = this.#module(module);
      if (data) yield { data, module };
    }
  }

  #module(name: string): BtfData | undefined {
    const known = this.#modules.get(name);
    if (known) return known;
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(this.moduleFolder!, name));
    } catch (error) {
      // It was unloaded since the folder was listed.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const data = new BtfData(bytes, this.kernel);
    this.#modules.set(name, data);
    return data;
  }
}

function argumentsOf(data: BtfData, proto: number): BtfArgument[] {
  return data.parameters(proto).map(({ name, type }) => describe(data, name, type));
}

function describe(data: BtfData, name: string, type: number): BtfArgument {
  let id = strip(data, type);
  const pointer = data.kind(id) === BTF_KIND.PTR;
  if (pointer) {
    id = strip(data, data.typeOrSize(id));
    if (data.kind(id) === BTF_KIND.PTR) return { name, type: 'void *', pointer };
  }
  return { name, type: data.name(id), pointer };
}

function strip(data: BtfData, type: number): number {
  let id = type;
  while (SKIPPED.has(data.kind(id))) id = data.typeOrSize(id);
  return id;
}

function isComposite(data: BtfData, id: number): boolean {
  return data.kind(id) === BTF_KIND.STRUCT || data.kind(id) === BTF_KIND.UNION;
}

function holds(data: BtfData, struct: number, member: string): boolean {
  return data.members(struct).some((part) => {
    if (part.name === member) return true;
    const type = strip(data, part.type);
    return part.name === '' && isComposite(data, type) && holds(data, type, member);
  });
}
