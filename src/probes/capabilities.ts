import type { Ability, KernelSupport } from '../bpf/types.js';
import type { KernelCapabilities } from './types.js';

/** Abilities of the kernel, by the name both KernelSupport and KernelCapabilities give them. */
type AbilityName = Exclude<keyof KernelSupport, 'release' | 'arch'>;

/** In the order that `doctor` shows them: what hides most first. */
const HIDES: readonly (readonly [AbilityName, string])[] = [
  ['btf', 'everything, unless a BTF file for this kernel is given with --btf: no program can be fitted to it'],
  ['rawTracepoint', 'devices, queues, drops, socket states: all that is seen through tracepoints'],
  ['kprobe', 'the inside of the kernel between its tracepoints: IP, bridges, firewalls, the protocols'],
  ['kretprobe', 'what functions return: which firewall table or chain decided, unless fexit can be used'],
  ['ringBuffer', 'nothing; events come through a buffer for each CPU, which costs a little more'],
  ['kprobeMulti', 'nothing; attaching many probes takes longer (some 20 ms each)'],
  ['kprobeSession', 'nothing; a return is watched by a second program'],
  ['fentry', 'nothing where kretprobes can be used: return values then cost a little more'],
  ['tracepoint', 'nothing; which functions may be traced is found out only by trying'],
  ['dropReasons', 'why packets are dropped: only where, by function'],
];

/**
 * What this kernel lets vdiag do, from what src/bpf tried (never from its version), with what each lack hides.
 */
export function capabilitiesOf(support: KernelSupport): KernelCapabilities {
  const lacks = HIDES.flatMap(([name, hides]) => {
    const ability: Ability = support[name];
    if (ability.ok) return [];
    return [
      {
        capability: name,
        why: ability.why ?? 'the kernel refused it',
        hides,
        ...(ability.cure !== undefined && { cure: ability.cure }),
      },
    ];
  });
  return {
    release: support.release,
    arch: support.arch,
    btf: support.btf.ok,
    ringBuffer: support.ringBuffer.ok,
    rawTracepoint: support.rawTracepoint.ok,
    tracepoint: support.tracepoint.ok,
    kprobe: support.kprobe.ok,
    kretprobe: support.kretprobe.ok,
    kprobeMulti: support.kprobeMulti.ok,
    kprobeSession: support.kprobeSession.ok,
    fentry: support.fentry.ok,
    dropReasons: support.dropReasons.ok,
    lacks,
  };
}
