import { closeSync, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import {
  attachKprobe,
  attachKprobeMulti,
  attachKretprobe,
  attachRawTracepoint,
  attachTracepoint,
  attachTrampoline,
} from './attach.js';
import type { Attachment } from './attach.js';
import { KernelBtf } from './btf.js';
import { Libbpf } from './libbpf.js';
import { openTracefs } from './tracefs.js';
import { functionAddresses } from './symbols.js';
import type { Ability, KernelSupport } from './types.js';

/** `r0 = 0; exit`: the smallest program that the verifier takes. */
const EMPTY_PROGRAM = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

/** Functions that every kernel with IPv4 has under this name, to try probes on; they are hit seldom. */
const TRIAL_FUNCTIONS = ['inet_listen', 'tcp_disconnect', 'ip_rcv'];
const TRIAL_TRACEPOINT = 'sched_process_exit';

/** Bits of capability(7). */
const CAP = { SYS_ADMIN: 21n, PERFMON: 38n, BPF: 39n };

const LOCKDOWN = '/sys/kernel/security/lockdown';

/**
 * Asks the kernel what it lets this process do, by doing it: each kind of program is loaded, attached and removed again.
 * Takes some tens of ms. @throws VdiagError (status 3) when libbpf is not installed.
 */
export function kernelSupport(): KernelSupport {
  Libbpf.get();
  const hasBtf = existsSync('/sys/kernel/btf/vmlinux');
  const btf = hasBtf ? KernelBtf.load() : undefined;
  const noBtf: Ability = {
    ok: false,
    why: 'this kernel has no BTF (/sys/kernel/btf/vmlinux)',
    cure: 'boot a kernel built with CONFIG_DEBUG_INFO_BTF=y',
  };
  return {
    release: release(),
    arch: process.arch,
    btf: hasBtf ? { ok: true } : noBtf,
    ringBuffer: ringBuffer(),
    rawTracepoint: trial(() => attachRawTracepoint(TRIAL_TRACEPOINT, 'vdiag_try', EMPTY_PROGRAM)),
    tracepoint: tracefs(),
    kprobe: kprobes(() => attachKprobe({ symbol: trialFunction(btf) }, 'vdiag_try', EMPTY_PROGRAM)),
    kretprobe: kprobes(() =>
      attachKretprobe({ symbol: trialFunction(btf) }, 'vdiag_try', EMPTY_PROGRAM, EMPTY_PROGRAM),
    ),
    kprobeMulti: kprobes(() => {
      const addresses = functionAddresses(new Set([trialFunction(btf)]));
      const [address] = [...addresses.values()].flat();
      if (address === undefined) throw new Error('/proc/kallsyms shows no addresses to this process');
      return attachKprobeMulti([{ address, cookie: 0 }], 'vdiag_try', EMPTY_PROGRAM);
    }),
    fentry: btf
      ? trial(() => attachTrampoline('fentry', trialFunction(btf), 'vdiag_try', EMPTY_PROGRAM, btf))
      : noBtf,
    dropReasons: dropReasons(btf, noBtf),
  };
}

function ringBuffer(): Ability {
  const answer = Libbpf.get().hasRingBuffer();
  if (answer) return { ok: true };
  const may = trial(() => attachRawTracepoint(TRIAL_TRACEPOINT, 'vdiag_try', EMPTY_PROGRAM));
  if (!may.ok) return may;
  return { ok: false, why: 'this kernel has no BPF ring buffer', cure: 'boot a kernel of 5.8 or later' };
}

function tracefs(): Ability {
  if (openTracefs()) return trial(() => attachTracepoint(`sched:${TRIAL_TRACEPOINT}`, 'vdiag_try', EMPTY_PROGRAM));
  return { ok: false, why: 'tracefs is not mounted or cannot be read', cure: 'mount -t tracefs none /sys/kernel/tracing' };
}

function dropReasons(btf: KernelBtf | undefined, noBtf: Ability): Ability {
  return btf ? dropReasonsBy(btf) : noBtf;
}

/** Whether the tracepoint kfree_skb tells why a packet is dropped, by what these types say of it. */
export function dropReasonsBy(btf: KernelBtf): Ability {
  const given = btf.tracepointArgs('kfree_skb')?.some(({ type }) => type === 'skb_drop_reason');
  if (given) return { ok: true };
  return { ok: false, why: 'the tracepoint kfree_skb of this kernel gives no reason', cure: 'boot a kernel of 5.17 or later' };
}

/** A function to try probes on: one that BTF, or else kallsyms, knows. */
function trialFunction(btf?: KernelBtf): string {
  const known = btf
    ? TRIAL_FUNCTIONS.find((name) => btf.findFunction(name))
    : [...functionAddresses(new Set(TRIAL_FUNCTIONS)).keys()][0];
  return known ?? TRIAL_FUNCTIONS[0]!;
}

function kprobes(attach: () => Attachment): Ability {
  if (existsSync('/sys/bus/event_source/devices/kprobe')) return trial(attach);
  return {
    ok: false,
    why: 'this kernel has no kprobes',
    cure: 'boot a kernel built with CONFIG_KPROBES=y and CONFIG_KPROBE_EVENTS=y',
  };
}

/** Does it, takes it away again, and says why it could not be done. */
function trial(attach: () => Attachment): Ability {
  try {
    for (const fd of attach().fds.reverse()) closeSync(fd);
    return { ok: true };
  } catch (error) {
    const why = (error as Error).message;
    return /\b(EPERM|EACCES)\b/.test(why) ? notPermitted(why) : { ok: false, why };
  }
}

function notPermitted(why: string): Ability {
  const locked = lockdown();
  if (locked) return { ok: false, why: `${why}: the kernel is locked down (${locked})`, cure: 'boot without lockdown=' };
  if (process.geteuid?.() === 0) {
    if (hasCapabilities()) return { ok: false, why };
    return {
      ok: false,
      why: `${why}: this process is root without CAP_BPF and CAP_PERFMON`,
      cure: 'run it outside the container, or start that with --privileged --pid=host',
    };
  }
  return {
    ok: false,
    why: `${why}: this process is not privileged`,
    cure: 'run it with sudo, or give it CAP_BPF, CAP_PERFMON and CAP_SYSLOG',
  };
}

/** Whether this process has CAP_SYS_ADMIN, or CAP_PERFMON with CAP_BPF: root in a container often has none. */
function hasCapabilities(): boolean {
  const mask = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`);
  const has = (bit: bigint): boolean => ((mask >> bit) & 1n) === 1n;
  return has(CAP.SYS_ADMIN) || (has(CAP.PERFMON) && has(CAP.BPF));
}

/** `integrity` or `confidentiality` when the kernel is locked down. */
function lockdown(): string | undefined {
  if (!existsSync(LOCKDOWN)) return undefined;
  const mode = /\[(\w+)\]/.exec(readFileSync(LOCKDOWN, 'latin1'))?.[1];
  return mode === 'none' ? undefined : mode;
}
