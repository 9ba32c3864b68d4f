import type { KernelNames } from '../capture/types.js';

/**
 * Kernel names that answer the same question alike for the whole run, whatever is loaded meanwhile, and remember what
 * was answered, so that a recording can carry it and its replay speak the same names.
 */
export class RememberedNames implements KernelNames {
  readonly #names: KernelNames;
  readonly #answers = new Map<number, string | undefined>();
  #fresh: Record<string, string> = {};

  constructor(names: KernelNames) {
    this.#names = names;
  }

  symbol(address: number): string | undefined {
    if (this.#answers.has(address)) return this.#answers.get(address);
    const symbol = this.#names.symbol(address);
    this.#answers.set(address, symbol);
    if (symbol !== undefined) this.#fresh[String(address)] = symbol;
    return symbol;
  }

  dropReason(reason: number): string | undefined {
    return this.#names.dropReason(reason);
  }

  /** Address (decimal) → symbol of those that were first asked for since the last call. */
  takeFresh(): Record<string, string> {
    const fresh = this.#fresh;
    this.#fresh = {};
    return fresh;
  }
}

/** The names that a recording carries. */
export function recordedNames(symbols: ReadonlyMap<number, string>, dropReasons: Record<string, string>): KernelNames {
  const reasons = new Map(Object.entries(dropReasons).map(([number, name]) => [Number(number), name]));
  return {
    symbol: (address) => symbols.get(address),
    dropReason: (reason) => reasons.get(reason),
  };
}
