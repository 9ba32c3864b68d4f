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

/**
 * Names out of plain data: a symbol table, and the drop reasons of the run's head. Live and replay name reasons through
 * this alike. Reasons of a subsystem (openvswitch, mac80211) are numbered from `subsystem << 16`
 * (include/net/dropreason.h); where that number has a name and the reason has none, it is `<subsystem>_<n>`.
 */
export function namesOf(symbol: KernelNames['symbol'], dropReasons: Record<string, string>): KernelNames {
  const reasons = new Map(Object.entries(dropReasons).map(([number, name]) => [Number(number), name]));
  return {
    symbol,
    dropReason(reason) {
      const name = reasons.get(reason);
      if (name !== undefined || reason >>> 16 === 0) return name;
      const subsystem = reasons.get((reason & 0xffff0000) >>> 0);
      return subsystem && `${subsystem}_${reason & 0xffff}`;
    },
  };
}
