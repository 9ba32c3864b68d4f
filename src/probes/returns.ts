import type { BtfArgument } from '../bpf/types.js';
import type { ReturnMeaning } from './types.js';

/** Since 6.2 ever more functions return the reason of a drop where they returned an error, a truth value or nothing. */
const DROP_REASON = 'skb_drop_reason';

/** Integers as C's base types are called in BTF; the enum of results of drivers' transmit functions. */
const INTEGERS = new Set(['int', 'unsigned int', 'long int', 'long unsigned int', 'netdev_tx', 'long long int']);

/**
 * What a function's return value means on this kernel: what the catalogue says, unless the function's type says that it
 * cannot be so.
 * @param type the function's return type by BTF; undefined when it is not known
 */
export function meaningOnKernel(
  meaning: ReturnMeaning | undefined,
  type: Pick<BtfArgument, 'type' | 'pointer'> | undefined,
): ReturnMeaning | undefined {
  if (meaning === undefined || type === undefined) return meaning;
  if (!type.pointer && type.type === DROP_REASON) return 'drop-reason';
  return fits(meaning, type) ? meaning : type.type === '_Bool' && !type.pointer ? 'bool' : 'none';
}

function fits(meaning: ReturnMeaning, { type, pointer }: Pick<BtfArgument, 'type' | 'pointer'>): boolean {
  switch (meaning) {
    case 'none':
      return true;
    case 'pointer':
      return pointer;
    case 'bool':
      return !pointer && (type === '_Bool' || type === 'short unsigned int' || INTEGERS.has(type));
    case 'drop-reason':
      return !pointer && type === DROP_REASON;
    case 'errno':
    case 'netdev-tx':
    case 'nf-verdict':
      return !pointer && INTEGERS.has(type);
  }
}
