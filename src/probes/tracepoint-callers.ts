import type { KernelFunctions } from './kernel-functions.js';

/**
 * The function that calls a tracepoint's probes (include/linux/tracepoint.h, since 5.10): where types do not tell whether
 * a tracepoint is there, as those of modules before 5.11, it does.
 */
export function callerOf(tracepoint: string): string {
  return `__traceiter_${tracepoint.slice(tracepoint.indexOf(':') + 1)}`;
}

/** The caller of a tracepoint that every kernel has: is it not there either, then callers tell nothing. */
export const SOME_CALLER = callerOf('skb:kfree_skb');

/** Whether the kernel surely does not have a tracepoint. */
export function isSurelyAbsent(tracepoint: string, functions: KernelFunctions): boolean {
  const has = (name: string): boolean => functions.status(name, false) !== 'absent';
  return has(SOME_CALLER) && !has(callerOf(tracepoint));
}
