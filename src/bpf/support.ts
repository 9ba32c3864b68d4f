import { closeSync, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { attachProbe, attachProbeMulti, attachRawTracepoint, attachTracepoint, attachTrampoline } from './attach.js';
import { KernelBtf } from './btf.js';
import { Libbpf } from './libbpf.js';
import { loadProgram, type ProgramKind } from './load-program.js';
import { kernelFunctionCall } from './template.js';
import { openTracefs } from './tracefs.js';
import { functionAddresses } from './symbols.js';
import type { Ability, KernelSupport } from './types.js';

/** `r0 = 0; exit`: the smallest program that the verifier takes. */
const EMPTY_PROGRAM = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

/** `call bpf_get_attach_cookie; r0 = 0; exit`. */
const COOKIE_PROGRAM = Uint8Array.of(0x85, 0, 0, 0, 174, 0, 0, 0, ...EMPTY_PROGRAM);

let attachCookies: boolean | undefined;

/**
 * Whether each hit of a kprobe tells the program a number that it was attached with. The helper and the links that carry
 * the number came to the kernel together (5.15).
 */
export function hasAttachCookies(): boolean {
  if (attachCookies !== undefined) return attachCookies;
  try {
    closeSync(loadProgram({ kind: 'kprobe' }, 'vdiag_try', COOKIE_PROGRAM).fd);
    return (attachCookies = true);
  } catch {
    // The verifier does not know the helper, or this process may load nothing: then nothing is attached anyway.
    return (attachCookies = false);
  }
}

const NO_SESSIONS = 'this kernel has no kprobe sessions, which came with 6.10';

let sessionCall: { id: number } | { why: string } | undefined;

/**
 * What a kprobe session's program asks whether it is called for a return (bpf_session_is_return, kernel/trace/bpf_trace.c,
 * 6.10): its BTF id; undefined where there are no kprobe sessions.
 */
export function sessionIsReturn(): number | undefined {
  const call = (sessionCall ??= findSessionCall());
  return 'id' in call ? call.id : undefined;
}

function findSessionCall(): { id: number } | { why: string } {
  if (!existsSync(KERNEL_BTF)) return { why: NO_SESSIONS };
  const found = KernelBtf.load().findFunction('bpf_session_is_return');
  if (!found || found.module !== undefined) return { why: NO_SESSIONS };
  const calling = Uint8Array.of(...kernelFunctionCall(found.id), ...EMPTY_PROGRAM);
  try {
    closeSync(loadProgram({ kind: 'kprobe-session' }, 'vdiag_try', calling).fd);
    return { id: found.id };
  } catch (error) {
    return { why: (error as Error).message };
  }
}

function sessions(): Ability {
  const call = (sessionCall ??= findSessionCall());
  return 'id' in call ? { ok: true } : { ok: false, why: call.why };
}

/** Functions that every kernel with IPv4 has under this name, to try probes on; they are hit seldom. */
const TRIAL_FUNCTIONS = ['inet_listen', 'tcp_disconnect', 'ip_rcv'];
const TRIAL_TRACEPOINT = 'sched_process_exit';

/** Bits of capability(7). */
const CAP = { SYS_ADMIN: 21n, PERFMON: 38n, BPF: 39n };

const KERNEL_BTF = '/sys/kernel/btf/vmlinux';
const LOCKDOWN = '/sys/kernel/security/lockdown';

/**
 * Asks the kernel what it lets this process do, by doing it: each kind of program is loaded, attached and removed again.
 * Takes some tens of ms. @throws VdiagError (status 3) when libbpf is not installed.
 */
export function kernelSupport(): KernelSupport {
  Libbpf.get();
  const hasBtf = existsSync(KERNEL_BTF);
  const btf = hasBtf ? KernelBtf.load() : undefined;
  const noBtf: Ability = {
    ok: false,
    why: `this kernel has no BTF (${KERNEL_BTF})`,
    cure: 'boot a kernel built with CONFIG_DEBUG_INFO_BTF=y',
  };
  return {
    release: release(),
    arch: process.arch,
    btf: hasBtf ? { ok: true } : noBtf,
    ringBuffer: ringBuffer(),
    rawTracepoint: rawTracepoint(),
    tracepoint: tracefs(),
    kprobe: kprobes({ kind: 'kprobe' }, (program) => attachProbe(program, { symbol: trialFunction(btf) }, false)),
    kretprobe: kprobes({ kind: 'kprobe' }, (program) => attachProbe(program, { symbol: trialFunction(btf) }, true)),
    kprobeMulti: kprobes({ kind: 'kprobe-multi' }, (program) => {
      const addresses = functionAddresses(new Set([trialFunction(btf)]));
      const [address] = [...addresses.values()].flat();
      if (address === undefined) throw new Error('/proc/kallsyms shows no addresses to this process');
      return attachProbeMulti(program, [{ address, cookie: 0 }], 'entries');
    }),
    kprobeSession: sessions(),
    fentry: btf
      ? trial({ kind: 'fentry', function: trialFunction(btf), btf }, (program) => attachTrampoline(program, 'fentry'))
      : noBtf,
    dropReasons: dropReasons(btf, noBtf),
  };
}

function rawTracepoint(): Ability {
  return trial({ kind: 'raw-tracepoint' }, (program) => attachRawTracepoint(program, TRIAL_TRACEPOINT));
}

function ringBuffer(): Ability {
  const answer = Libbpf.get().hasRingBuffer();
  if (answer) return { ok: true };
  const may = rawTracepoint();
  if (!may.ok) return may;
  return { ok: false, why: 'this kernel has no BPF ring buffer, which came with 5.8' };
}

function tracefs(): Ability {
  if (openTracefs()) {
    return trial({ kind: 'tracepoint' }, (program) => attachTracepoint(program, `sched:${TRIAL_TRACEPOINT}`));
  }
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

function kprobes(kind: ProgramKind, attach: (program: number) => number): Ability {
  if (existsSync('/sys/bus/event_source/devices/kprobe')) return trial(kind, attach);
  return {
    ok: false,
    why: 'this kernel has no kprobes',
    cure: 'boot a kernel built with CONFIG_KPROBES=y and CONFIG_KPROBE_EVENTS=y',
  };
}

/** Does it, takes it away again, and says why it could not be done. */
function trial(kind: ProgramKind, attach: (program: number) => number): Ability {
  try {
    const { fd } = loadProgram(kind, 'vdiag_try', EMPTY_PROGRAM);
    try {
      closeSync(attach(fd));
    } finally {
      closeSync(fd);
    }
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
