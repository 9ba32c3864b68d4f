import type { KernelTypes } from './kernel-types.js';

/**
 * Enums of the subsystems that have drop reasons of their own (include/net/dropreason.h, 6.4+): in the BTF of their
 * modules, net/openvswitch/drop.h and net/mac80211/drop.h; include/net/dropreason-qdisc.h (7.1+) in the kernel's.
 */
const SUBSYSTEM_ENUMS = [
  'ovs_drop_reason',
  'qdisc_drop_reason',
  'mac80211_drop_reason',
  '___mac80211_drop_reason',
] as const;

/** Enums that name the reasons of a kernel; those of subsystems in modules are not in the kernel's own BTF. */
export const DROP_REASON_ENUMS: readonly string[] = ['skb_drop_reason', 'skb_drop_reason_subsys', ...SUBSYSTEM_ENUMS];

/** Values of the core enum that are no reasons. */
const NOT_REASONS = new Set(['SKB_DROP_REASON_MAX', 'SKB_DROP_REASON_SUBSYS_MASK']);

/** Drop reasons of a kernel: number → name. */
export interface DropReasons {
  names: ReadonlyMap<number, string>;
  /** Why there are none. */
  why?: string;
}

/**
 * Reads the drop reasons from the kernel's BTF: their numbers differ from kernel to kernel, their names do not. Reasons
 * above 0xffff belong to subsystem `reason >> 16`; those whose enum is not known read as `OPENVSWITCH_3`.
 */
export function dropReasonsOf(types: KernelTypes | undefined): DropReasons {
  const names = new Map<number, string>();
  if (!types) return { names, why: 'there is no BTF to read the names of drop reasons from' };
  const core = types.enumValues('skb_drop_reason');
  if (core.size === 0) return { names, why: 'this kernel gives no reason for drops (5.17 and later do)' };
  for (const [value, name] of core) if (!NOT_REASONS.has(name)) names.set(value >>> 0, strip(name));
  for (const enumName of SUBSYSTEM_ENUMS) {
    for (const [value, name] of types.enumValues(enumName)) {
      // The first of each is a mark and no reason; mac80211 has each twice, once with underscores before it.
      const plain = name.replace(/^_+/, '');
      if (value >>> 16 === 0 || (value & 0xffff) === 0 || /_MAX$/.test(plain)) continue;
      if (!names.has(value >>> 0)) names.set(value >>> 0, plain);
    }
  }
  return { names };
}

/** Names of the subsystems by number: 0 is the core. */
export function dropSubsystemsOf(types: KernelTypes | undefined): ReadonlyMap<number, string> {
  const subsystems = new Map<number, string>();
  for (const [value, name] of types?.enumValues('skb_drop_reason_subsys') ?? []) {
    if (!name.endsWith('_NUM')) subsystems.set(value, name.replace(/^SKB_DROP_REASON_SUBSYS_/, ''));
  }
  return subsystems;
}

/** SKB_DROP_REASON_SKB_CSUM is SKB_CSUM; the two that are no drops, SKB_CONSUMED and SKB_NOT_DROPPED_YET, have no more. */
function strip(name: string): string {
  return name.replace(/^SKB_(DROP_REASON_)?/, '');
}
