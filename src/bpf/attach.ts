import { closeSync, readFileSync } from 'node:fs';
import type { KernelBtf } from './btf.js';
import { ATTACH_TYPE, BpfCallError, Libbpf, PROG_TYPE } from './libbpf.js';
import { lastLines } from './object.js';
import { openTracefs } from './tracefs.js';

/** struct perf_event_attr, PERF_ATTR_SIZE_VER5 (include/uapi/linux/perf_event.h). */
const PERF_ATTR = { bytes: 112, type: 0, size: 4, config: 8, config1: 56, config2: 64 } as const;
const PERF_TYPE_TRACEPOINT = 2;
const PERF_IOC_ENABLE = 0x2400;
const PERF_IOC_SET_BPF = 0x40042408;

const KPROBE_PMU = '/sys/bus/event_source/devices/kprobe';

/** A program in its place: closing the descriptors takes it away again. */
export interface Attachment {
  fds: number[];
}

/** Loads a program for one raw tracepoint and attaches it. @throws Error with the reason as one plain sentence. */
export function attachRawTracepoint(tracepoint: string, name: string, instructions: Uint8Array): Attachment {
  const libbpf = Libbpf.get();
  return keeping((keep) => {
    const program = keep(load({ type: PROG_TYPE.RAW_TRACEPOINT, name, instructions }));
    keep(explained(() => libbpf.rawTracepointOpen(tracepoint.slice(tracepoint.indexOf(':') + 1), program)));
  });
}

/**
 * Loads a program for one classic tracepoint (`skb:kfree_skb`) and attaches it by perf, on all CPUs. @throws Error with
 * the reason.
 */
export function attachTracepoint(tracepoint: string, name: string, instructions: Uint8Array): Attachment {
  const tracefs = openTracefs();
  if (!tracefs) throw new Error('tracefs is not mounted');
  const id = tracefs.id(tracepoint);
  if (id === undefined) throw new Error(`tracefs has no tracepoint ${tracepoint}`);
  const attributes = Buffer.alloc(PERF_ATTR.bytes);
  attributes.writeUInt32LE(PERF_TYPE_TRACEPOINT, PERF_ATTR.type);
  attributes.writeUInt32LE(PERF_ATTR.bytes, PERF_ATTR.size);
  attributes.writeBigUInt64LE(BigInt(id), PERF_ATTR.config);
  return keeping((keep) => {
    const program = keep(load({ type: PROG_TYPE.TRACEPOINT, name, instructions }));
    attachToEvent(keep, program, (libbpf) => libbpf.perfEventOpen(attributes));
  });
}

/** Loads a program for one function's entry or exit (BPF trampoline) and attaches it. @throws Error with the reason. */
export function attachTrampoline(
  kind: 'fentry' | 'fexit',
  functionName: string,
  name: string,
  instructions: Uint8Array,
  btf: KernelBtf,
): Attachment {
  const libbpf = Libbpf.get();
  const found = btf.findFunction(functionName);
  if (!found) throw new Error(`BTF does not know the function ${functionName}`);
  const attachType = kind === 'fentry' ? ATTACH_TYPE.FENTRY : ATTACH_TYPE.FEXIT;
  const btfFd = found.module === undefined ? undefined : libbpf.moduleBtfFd(found.module, closeSync);
  if (found.module !== undefined && btfFd === undefined) {
    throw new Error(`the BTF of the module ${found.module} cannot be opened`);
  }
  try {
    return keeping((keep) => {
      const program = keep(
        load({
          type: PROG_TYPE.TRACING,
          name,
          instructions,
          attachType,
          attachBtfId: found.id,
          ...(btfFd !== undefined && { attachBtfFd: btfFd }),
        }),
      );
      keep(explained(() => libbpf.createLink(program, 0, attachType)));
    });
  } finally {
    if (btfFd !== undefined) closeSync(btfFd);
  }
}

/** Where a kprobe goes: by name, or by address where the kernel does not take the name (`x.constprop.0`). */
export type ProbeTarget = { symbol: string } | { address: bigint };

/** Loads a program and attaches it to a function's entry by the kprobe PMU. @throws Error with the reason. */
export function attachKprobe(target: ProbeTarget, name: string, instructions: Uint8Array): Attachment {
  return keeping((keep) => openProbe(keep, target, false, load({ type: PROG_TYPE.KPROBE, name, instructions })));
}

/** Loads a pair of programs and attaches them to a function's entry and return. @throws Error with the reason. */
export function attachKretprobe(
  target: ProbeTarget,
  name: string,
  entryInstructions: Uint8Array,
  returnInstructions: Uint8Array,
): Attachment {
  return keeping((keep) => {
    // The return first: an entry whose return is not watched yet would never be matched.
    openProbe(keep, target, true, load({ type: PROG_TYPE.KPROBE, name, instructions: returnInstructions }));
    openProbe(keep, target, false, load({ type: PROG_TYPE.KPROBE, name, instructions: entryInstructions }));
  });
}

/** Loads one program and attaches it to many functions at once; each hit gets the function's cookie. @throws Error with the reason. */
export function attachKprobeMulti(
  targets: readonly { address: bigint; cookie: number }[],
  name: string,
  instructions: Uint8Array,
): Attachment {
  const libbpf = Libbpf.get();
  return keeping((keep) => {
    const attachType = ATTACH_TYPE.KPROBE_MULTI;
    const program = keep(load({ type: PROG_TYPE.KPROBE, name, instructions, attachType }));
    const addresses = targets.map(({ address }) => address);
    const cookies = targets.map(({ cookie }) => BigInt(cookie));
    keep(explained(() => libbpf.createLink(program, 0, attachType, { addresses, cookies })));
  });
}

type Keep = (fd: number) => number;

/** Collects descriptors; closes them all when a later step fails. */
function keeping(steps: (keep: Keep) => void): Attachment {
  const fds: number[] = [];
  try {
    steps((fd) => {
      fds.push(fd);
      return fd;
    });
    return { fds };
  } catch (error) {
    for (const fd of fds.reverse()) closeSync(fd);
    throw error;
  }
}

function load(program: Parameters<Libbpf['loadProgram']>[0]): number {
  return explained(() => Libbpf.get().loadProgram(program));
}

function openProbe(keep: Keep, target: ProbeTarget, isReturn: boolean, program: number): void {
  keep(program);
  attachToEvent(keep, program, (libbpf) => openProbeEvent(libbpf, target, isReturn));
}

function attachToEvent(keep: Keep, program: number, open: (libbpf: Libbpf) => number): void {
  const libbpf = Libbpf.get();
  const event = keep(explained(() => open(libbpf)));
  explained(() => {
    try {
      keep(libbpf.createLink(program, event, ATTACH_TYPE.PERF_EVENT));
    } catch (error) {
      if (!(error instanceof BpfCallError)) throw error;
      // Before 5.15 perf events have no links: the program belongs to the event itself.
      libbpf.ioctl(event, PERF_IOC_SET_BPF, program);
    }
    libbpf.ioctl(event, PERF_IOC_ENABLE, 0);
  });
}

function openProbeEvent(libbpf: Libbpf, target: ProbeTarget, isReturn: boolean): number {
  const attributes = Buffer.alloc(PERF_ATTR.bytes);
  attributes.writeUInt32LE(kprobePmuType(), PERF_ATTR.type);
  attributes.writeUInt32LE(PERF_ATTR.bytes, PERF_ATTR.size);
  attributes.writeBigUInt64LE(isReturn ? 1n << BigInt(returnBit()) : 0n, PERF_ATTR.config);
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

function kprobePmuType(): number {
  try {
    return Number(readFileSync(`${KPROBE_PMU}/type`, 'latin1'));
  } catch (error) {
    throw new Error('this kernel has no kprobes (CONFIG_KPROBE_EVENTS)', { cause: error });
  }
}

/** `config:0`: the bit of perf_event_attr.config that makes it a return probe. */
function returnBit(): number {
  return Number(/config:(\d+)/.exec(readFileSync(`${KPROBE_PMU}/format/retprobe`, 'latin1'))![1]);
}

/** Turns a refusal into a sentence that a report can show: the errno, and the verifier's last word. */
function explained<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof BpfCallError)) throw error;
    const log = lastLines(error.log, 1);
    throw new Error(log ? `${error.message} (${log})` : error.message, { cause: error });
  }
}
