import { readFileSync } from 'node:fs';
import { distance } from 'fastest-levenshtein';

/** 2^32: the high half of an address as a Number. */
const HIGH = 0x1_0000_0000;

/**
 * The kernel's code symbols with their addresses, from the text of /proc/kallsyms, in typed arrays: some 150,000 of
 * them cost 3 MB beside the text itself. Addresses are the low 48 bits: exact as Numbers, as in the wire record.
 * Format: `ffffffff81000000 T name\t[module]` (kernel/kallsyms.c, s_show).
 */
export class Kallsyms {
  readonly #text: Buffer;
  readonly #addresses: Float64Array;
  /** Where each symbol's name starts in the text. */
  readonly #names: Uint32Array;
  /** All addresses read as zero: kernel.kptr_restrict hides them from this process. */
  readonly hidden: boolean;

  constructor(text: Buffer) {
    this.#text = text;
    const addresses: number[] = [];
    const names: number[] = [];
    let hidden = true;
    let sorted = true;
    forEachSymbol(text, (address, nameStart) => {
      if (address !== 0) hidden = false;
      if (addresses.length > 0 && address < addresses[addresses.length - 1]) sorted = false;
      addresses.push(address);
      names.push(nameStart);
    });
    this.hidden = hidden;
    if (sorted) {
      this.#addresses = Float64Array.from(addresses);
      this.#names = Uint32Array.from(names);
    } else {
      const order = Uint32Array.from(addresses.keys()).sort((a, b) => addresses[a] - addresses[b] || a - b);
      this.#addresses = Float64Array.from(order, (i) => addresses[i]);
      this.#names = Uint32Array.from(order, (i) => names[i]);
    }
  }

  /** Reads a kallsyms file (takes some 0.1 s). @throws the error of the file system. */
  static read(file = '/proc/kallsyms'): Kallsyms {
    return new Kallsyms(readFileSync(file));
  }

  /** Code symbols. */
  get size(): number {
    return this.#addresses.length;
  }

  /**
   * `symbol+0x1f [module]` of a code address (low 48 bits); undefined outside of all symbols, or when addresses are
   * hidden. An address more than 1 MB past its symbol is nobody's: BPF's trampolines, a module that was unloaded.
   */
  symbolise(address: number): string | undefined {
    if (this.hidden || this.size === 0) return undefined;
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#addresses[middle] <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    let at = low - 1;
    const start = this.#addresses[at];
    if (start === 0 || address - start > 0x10_0000) return undefined;
    while (at > 0 && this.#addresses[at - 1] === start) at--;
    const { name, module } = nameAt(this.#text, this.#names[at]);
    return `${name}+0x${(address - start).toString(16)}${module ? ` [${module}]` : ''}`;
  }
}

/** How often each of some names, also as `module:name` (or a variant of it made by the compiler) stands among the code symbols. */
export interface SymbolCensus {
  count: ReadonlyMap<string, number>;
  /** `x` → `x.constprop.0`. */
  variants: ReadonlyMap<string, string>;
}

/** Looks for names in the text of /proc/kallsyms without keeping the rest. Addresses may be hidden. */
export function censusOf(text: Buffer, wanted: ReadonlySet<string>): SymbolCensus {
  const count = new Map<string, number>();
  const variants = new Map<string, string>();
  forEachSymbol(text, (_address, nameStart) => {
    const { name, module } = nameAt(text, nameStart);
    if (wanted.has(name)) count.set(name, (count.get(name) ?? 0) + 1);
    const qualified = module === undefined ? '' : `${module}:${name}`;
    if (wanted.has(qualified)) count.set(qualified, (count.get(qualified) ?? 0) + 1);
    const dot = name.indexOf('.');
    if (dot <= 0) return;
    const base = name.slice(0, dot);
    // .cold is the rarely used part of a function that is there as well.
    if (wanted.has(base) && !name.startsWith('.cold', dot)) variants.set(base, name);
  });
  return { count, variants };
}

/** Letters that are wrong, missing or too many in a name that is nearly right. */
const SLIPS = 2;

/**
 * The symbol whose name is nearest to one that is not there, if it is near enough. Compares only names with the same
 * first letter and nearly as long: some 5,000 of 150,000.
 */
export function nearestSymbol(text: Buffer, wanted: string): string | undefined {
  let best: string | undefined;
  let least = Math.min(SLIPS, Math.floor(wanted.length / 3)) + 1;
  forEachSymbol(text, (_address, nameStart) => {
    if (text[nameStart] !== wanted.charCodeAt(0)) return;
    const { name } = nameAt(text, nameStart);
    if (Math.abs(name.length - wanted.length) >= least) return;
    const slips = distance(name, wanted);
    if (slips >= least) return;
    least = slips;
    best = name;
  });
  return best;
}

const NEWLINE = 10;
const SPACE = 32;
const TAB = 9;

/** Calls back for each code symbol (types t, T, w, W) with its address (low 48 bits) and the offset of its name. */
function forEachSymbol(text: Buffer, found: (address: number, nameStart: number) => void): void {
  let at = 0;
  while (at < text.length) {
    let low = 0;
    let high = 0;
    let i = at;
    // 16 hex digits on 64-bit kernels, 8 on 32-bit ones.
    for (let c = text[i]; c !== SPACE && i < text.length; c = text[++i]) {
      high = (high << 4) | (low >>> 28);
      low = (low << 4) | (c <= 57 ? c - 48 : (c | 32) - 87);
    }
    const type = text[i + 1] | 32;
    if (type === 116 || type === 119) found((high & 0xffff) * HIGH + (low >>> 0), i + 3);
    const end = text.indexOf(NEWLINE, i);
    if (end < 0) return;
    at = end + 1;
  }
}

function nameAt(text: Buffer, start: number): { name: string; module?: string } {
  let end = start;
  while (end < text.length && text[end] !== NEWLINE && text[end] !== TAB && text[end] !== SPACE) end++;
  const name = text.toString('latin1', start, end);
  if (text[end] !== TAB) return { name };
  const close = text.indexOf(93, end);
  return { name, module: text.toString('latin1', end + 2, close) };
}
