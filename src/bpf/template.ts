import { VD_CONST } from './kernel-side.gen.js';

/**
 * Constants of a template by name (bpf/template.h); positions that are not given mean "no such argument". `IS_RETURN` is the
 * BTF id of the kernel function that is called in its place.
 */
export type TemplateConstants = Partial<Record<keyof typeof VD_CONST, number>>;

const MARK = 0x7d1a0000;
/** mov64 and mov32 of an immediate (include/uapi/linux/bpf.h: BPF_ALU64 or BPF_ALU, BPF_MOV, BPF_K). */
const MOVE_IMMEDIATE: readonly number[] = [0xb7, 0xb4];
/** Beyond the arguments that a template collects. */
const NO_ARGUMENT = 255;

/** The instruction that calls a kernel function (BPF_JMP | BPF_CALL, BPF_PSEUDO_KFUNC_CALL in the source register) by its BTF id. */
export function kernelFunctionCall(btfId: number): Uint8Array {
  const instruction = Buffer.from([0x85, 0x20, 0, 0, 0, 0, 0, 0]);
  instruction.writeUInt32LE(btfId, 4);
  return instruction;
}

/** A copy of a template's instructions with its constants put in. */
export function patchTemplate(instructions: Uint8Array, constants: TemplateConstants): Uint8Array {
  const values = new Map<number, number>();
  for (const name of Object.keys(VD_CONST) as (keyof typeof VD_CONST)[]) {
    values.set(MARK + VD_CONST[name], constants[name] ?? (name === 'PROBE' || name === 'OPTIONS' ? 0 : NO_ARGUMENT));
  }
  const patched = Uint8Array.from(instructions);
  const view = new DataView(patched.buffer);
  for (let at = 0; at + 8 <= patched.length; at += 8) {
    if (!MOVE_IMMEDIATE.includes(view.getUint8(at))) continue;
    const constant = view.getUint32(at + 4, true);
    const value = values.get(constant);
    if (value === undefined) continue;
    if (constant === MARK + VD_CONST.IS_RETURN) patched.set(kernelFunctionCall(value), at);
    else view.setUint32(at + 4, value, true);
  }
  return patched;
}

