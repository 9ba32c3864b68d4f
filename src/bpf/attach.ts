import { closeSync, readFileSync } from 'node:fs';
import { ATTACH_TYPE, BpfCallError, Libbpf, type MultiWhere } from './libbpf.js';
import { explained } from './load-program.js';
import { openTracefs } from './tracefs.js';

/** struct perf_event_attr, PERF_ATTR_SIZE_VER5 (include/uapi/linux/perf_event.h). */
const PERF_ATTR = { bytes: 112, type: 0, size: 4, config: 8, config1: 56, config2: 64 } as const;
const PERF_TYPE_TRACEPOINT = 2;
const PERF_IOC_ENABLE = 0x2400;
const PERF_IOC_SET_BPF = 0x40042408;

const KPROBE_PMU = '/sys/bus/event_source/devices/kprobe';

/** Where a kprobe goes: by name, or by address where the kernel does not take the name (`x.constprop.0`). */
export type ProbeTarget = { symbol: string } | { address: bigint };

/*
 * Each function below puts a loaded program in its place and returns the one descriptor that keeps it there, with or
 * without the program's own. It throws an Error with the kernel's reason as one plain sentence.
 */

/** To one raw tracepoint, `subsystem:name` or the name alone. */
export function attachRawTracepoint(program: number, tracepoint: string): number {
  const name = tracepoint.slice(tracepoint.indexOf(':') + 1);
  return explained(() => Libbpf.get().rawTracepointOpen(name, program));
}

/** To one classic tracepoint (`skb:kfree_skb`) by perf, on all CPUs. */
export function attachTracepoint(program: number, tracepoint: string): number {
  const tracefs = openTracefs();
  if (!tracefs) throw new Error('tracefs is not mounted');
  const id = tracefs.id(tracepoint);
  if (id === undefined) throw new Error(`tracefs has no tracepoint ${tracepoint}`);
  const attributes = perfAttributes(PERF_TYPE_TRACEPOINT, BigInt(id));
  return attachToEvent(program, (libbpf) => libbpf.perfEventOpen(attributes));
}

/** To the function that an fentry or fexit program was loaded for (BPF trampoline). */
export function attachTrampoline(program: number, kind: 'fentry' | 'fexit'): number {
  const attachType = kind === 'fentry' ? ATTACH_TYPE.FENTRY : ATTACH_TYPE.FEXIT;
  return explained(() => Libbpf.get().createLink(program, 0, attachType));
}

/**
 * To a function's entry or return by the kprobe PMU.
 * @param cookie told to the program at each hit: only where {@link hasAttachCookies}
 */
export function attachProbe(program: number, target: ProbeTarget, isReturn: boolean, cookie?: number): number {
  return attachToEvent(program, (libbpf) => openProbeEvent(libbpf, target, isReturn), cookie);
}

/** To many functions at once; each hit gets the function's cookie. */
export function attachProbeMulti(
  program: number,
  targets: readonly { address: bigint; cookie: number }[],
  where: MultiWhere,
): number {
  const addresses = targets.map(({ address }) => address);
  const cookies = targets.map(({ cookie }) => BigInt(cookie));
  return explained(() => Libbpf.get().createMultiLink(program, { addresses, cookies, where }));
}

function perfAttributes(type: number, config: bigint): Buffer {
  const attributes = Buffer.alloc(PERF_ATTR.bytes);
  attributes.writeUInt32LE(type, PERF_ATTR.type);
  attributes.writeUInt32LE(PERF_ATTR.bytes, PERF_ATTR.size);
  attributes.writeBigUInt64LE(config, PERF_ATTR.config);
  return attributes;
}

function attachToEvent(program: number, open: (libbpf: Libbpf) => number, cookie?: number): number {
  const libbpf = Libbpf.get();
  const event = explained(() => open(libbpf));
  let keeper = event;
  try {
    explained(() => {
      try {
        keeper = libbpf.createLink(program, event, ATTACH_TYPE.PERF_EVENT, cookie);
      } catch (error) {
        if (!(error instanceof BpfCallError) || cookie !== undefined) throw error;
        // Before 5.15 perf events have no links: the program belongs to the event itself.
        libbpf.ioctl(event, PERF_IOC_SET_BPF, program);
      }
      libbpf.ioctl(event, PERF_IOC_ENABLE, 0);
    });
  } catch (error) {
    if (keeper !== event) closeSync(keeper);
    closeSync(event);
    throw error;
  }
  // A link keeps its event open.
  if (keeper !== event) closeSync(event);
  return keeper;
}

function openProbeEvent(libbpf: Libbpf, target: ProbeTarget, isReturn: boolean): number {
  const pmu = kprobePmu();
  const attributes = perfAttributes(pmu.type, isReturn ? pmu.returns : 0n);
  if ('address' in target) {
    attributes.writeBigUInt64LE(target.address, PERF_ATTR.config2);
    return libbpf.perfEventOpen(attributes);
  }
  const symbol = libbpf.cString(target.symbol);
  try {
    attributes.writeBigUInt64LE(symbol.address, PERF_ATTR.config1);
    return libbpf.perfEventOpen(attributes);
  } finally {
    symbol.free();
  }
}

let knownPmu: { type: number; returns: bigint } | undefined;

/** Its number, and the bit of perf_event_attr.config that makes a return probe (`config:0` in its format). */
function kprobePmu(): { type: number; returns: bigint } {
  if (knownPmu) return knownPmu;
  try {
    const type = Number(readFileSync(`${KPROBE_PMU}/type`, 'latin1'));
    const bit = /config:(\d+)/.exec(readFileSync(`${KPROBE_PMU}/format/retprobe`, 'latin1'))![1]!;
    return (knownPmu = { type, returns: 1n << BigInt(bit) });
  } catch (error) {
    throw new Error('this kernel has no kprobes (CONFIG_KPROBE_EVENTS)', { cause: error });
  }
}
