import { readFileSync } from 'node:fs';
import { dropReasonsOf, dropSubsystemsOf } from './drop-reasons.js';
import { Kallsyms } from './kallsyms.js';
import type { KernelTypes } from './kernel-types.js';

/**
 * Names that only the traced host knows: symbols of code addresses and drop reasons. Structurally the KernelNames of
 * src/capture/types.ts. The symbols are read at the first question for one (some 0.1 s), so that a run without drops
 * never reads them.
 */
export class HostKernelNames {
  readonly #types: KernelTypes | undefined;
  readonly #file: string;
  readonly #reasons: ReadonlyMap<number, string>;
  readonly #subsystems: ReadonlyMap<number, string>;
  #symbols: Kallsyms | undefined;
  #symbolsWhy: string | undefined;
  #reread = 0;

  /** Why drop reasons have no names, if so. */
  readonly reasonsWhy: string | undefined;

  /**
   * @param types the kernel's BTF, where it has one
   * @param kallsyms its symbol file
   */
  constructor(types: KernelTypes | undefined, kallsyms = '/proc/kallsyms') {
    this.#types = types;
    this.#file = kallsyms;
    const reasons = dropReasonsOf(types);
    this.#reasons = reasons.names;
    this.reasonsWhy = reasons.why;
    this.#subsystems = dropSubsystemsOf(this.#types);
  }

  /** `symbol+0x1f [module]` of a code address (low 48 bits), or undefined; then {@link symbolsWhy} may say why. */
  symbol(address: number): string | undefined {
    const found = this.#read()?.symbolise(address);
    // A module may have been loaded since: look once more, but not for each address that is nobody's.
    if (found !== undefined || !this.#symbols || this.#symbols.hidden || this.#reread >= 3) return found;
    this.#reread++;
    this.#symbols = undefined;
    return this.#read()?.symbolise(address);
  }

  /** `NETFILTER_DROP` for a drop reason's number on this kernel, or undefined. */
  dropReason(reason: number): string | undefined {
    const known = this.#reasons.get(reason);
    if (known !== undefined || reason >>> 16 === 0) return known;
    const subsystem = this.#subsystems.get(reason >>> 16);
    return subsystem && `${subsystem}_${reason & 0xffff}`;
  }

  /**
   * All drop reasons of this kernel, as the head of a recording keeps them; under `subsystem << 16` the subsystem itself,
   * for those of its reasons that have no name here (its module was loaded later, or has no BTF).
   */
  dropReasons(): Record<string, string> {
    const subsystems = [...this.#subsystems].map(([number, name]): [number, string] => [(number << 16) >>> 0, name]);
    const all = [...subsystems.filter(([value]) => value !== 0), ...this.#reasons];
    return Object.fromEntries(all.map(([value, name]) => [String(value), name]));
  }

  /** Why addresses have no symbols, if so. */
  get symbolsWhy(): string | undefined {
    this.#read();
    return this.#symbolsWhy;
  }

  #read(): Kallsyms | undefined {
    if (this.#symbols || this.#symbolsWhy !== undefined) return this.#symbols;
    try {
      this.#symbols = new Kallsyms(readFileSync(this.#file));
    } catch (error) {
      this.#symbolsWhy = `cannot read ${this.#file}: ${(error as Error).message}`;
      return undefined;
    }
    if (this.#symbols.size === 0) this.#symbolsWhy = `${this.#file} has no code symbols`;
    else if (this.#symbols.hidden) {
      this.#symbolsWhy = `${this.#file} shows no addresses: kernel.kptr_restrict hides them`;
    }
    return this.#symbols;
  }
}
