import { closeSync } from 'node:fs';
import type { KernelBtf } from './btf.js';
import { ATTACH_TYPE, BpfCallError, Libbpf, PROG_TYPE, type ProgramLoad } from './libbpf.js';
import { lastLines } from './object.js';

/** A program in the kernel. It lives as long as a descriptor or a link of it. */
export interface LoadedProgram {
  fd: number;
  /** As loaded. */
  instructions: number;
  loadMs: number;
}

/** Where a program may be attached, which the kernel wants to know when it loads it. */
export type ProgramKind =
  | { kind: 'raw-tracepoint' | 'tracepoint' | 'kprobe' | 'kprobe-multi' | 'kprobe-session' }
  | { kind: 'fentry' | 'fexit'; function: string; btf: KernelBtf };

/** Loads a program. @throws Error with the reason as one plain sentence */
export function loadProgram(target: ProgramKind, name: string, instructions: Uint8Array): LoadedProgram {
  const before = performance.now();
  const fd = load(target, name, instructions);
  return { fd, instructions: instructions.length / 8, loadMs: performance.now() - before };
}

function load(target: ProgramKind, name: string, instructions: Uint8Array): number {
  switch (target.kind) {
    case 'raw-tracepoint':
      return tried({ type: PROG_TYPE.RAW_TRACEPOINT, name, instructions });
    case 'tracepoint':
      return tried({ type: PROG_TYPE.TRACEPOINT, name, instructions });
    case 'kprobe':
      return tried({ type: PROG_TYPE.KPROBE, name, instructions });
    case 'kprobe-multi':
      return tried({ type: PROG_TYPE.KPROBE, name, instructions, attachType: ATTACH_TYPE.KPROBE_MULTI });
    case 'kprobe-session':
      return tried({ type: PROG_TYPE.KPROBE, name, instructions, attachType: ATTACH_TYPE.KPROBE_SESSION });
    default:
      return loadForFunction(target, name, instructions);
  }
}

/** fentry and fexit programs are loaded for one function, which BTF must know. */
function loadForFunction(
  { kind, function: functionName, btf }: Extract<ProgramKind, { function: string }>,
  name: string,
  instructions: Uint8Array,
): number {
  const found = btf.findFunction(functionName);
  if (!found) throw new Error(`BTF does not know the function ${functionName}`);
  const attachType = kind === 'fentry' ? ATTACH_TYPE.FENTRY : ATTACH_TYPE.FEXIT;
  const program = { type: PROG_TYPE.TRACING, name, instructions, attachType, attachBtfId: found.id };
  if (found.module === undefined) return tried(program);
  const attachBtfFd = Libbpf.get().moduleBtfFd(found.module, closeSync);
  if (attachBtfFd === undefined) throw new Error(`the BTF of the module ${found.module} cannot be opened`);
  try {
    return tried({ ...program, attachBtfFd });
  } finally {
    closeSync(attachBtfFd);
  }
}

function tried(program: ProgramLoad): number {
  return explained(() => Libbpf.get().loadProgram(program));
}

/** Turns a refusal into a sentence that a report can show: the errno, and the verifier's last word. */
export function explained<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof BpfCallError)) throw error;
    const log = lastLines(error.log, 1);
    throw new Error(log ? `${error.message} (${log})` : error.message, { cause: error });
  }
}
