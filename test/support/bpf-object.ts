import { readFileSync } from 'node:fs';
import { BTF_KIND, BtfData } from '../../src/bpf/btf-data.js';

/** One instruction (struct bpf_insn, include/uapi/linux/bpf.h). */
export interface Instruction {
  code: number;
  target: number;
  source: number;
  offset: number;
  immediate: number;
}

/** A program or subprogram as the compiler left it. */
export interface ObjectFunction {
  name: string;
  /** Section: `.text` for subprograms, else what the program is for. */
  section: string;
  instructions: Instruction[];
  /** Names of subprograms that it calls. */
  calls: Set<string>;
}

/** What can be read off a compiled object without loading it. */
export interface BpfObject {
  sections: Map<string, number>;
  functions: Map<string, ObjectFunction>;
  /** Type number of each map. */
  maps: Map<string, number>;
}

interface Section {
  name: string;
  type: number;
  content: Buffer;
  info: number;
}

interface Symbol {
  name: string;
  type: number;
  section: number;
  value: number;
  size: number;
}

const SYMTAB = 2;
const REL = 9;
const NOBITS = 8;
const FUNCTION = 2;
const SECTION_SYMBOL = 3;
export const CALL = 0x85;
export const EXIT = 0x95;
const PSEUDO_CALL = 1;

/** Reads a compiled eBPF object. */
export function readBpfObject(file: string): BpfObject {
  const bytes = readFileSync(file);
  const sections = readSections(bytes);
  const symbols = readSymbols(sections);
  const relocated = new Map<string, Symbol>();
  for (const { type, info, content } of sections) {
    for (let at = 0; type === REL && at < content.length; at += 16) {
      const symbol = symbols[content.readUInt32LE(at + 12)];
      if (symbol) relocated.set(`${info}:${content.readUInt32LE(at)}`, symbol);
    }
  }
  const text = sections.findIndex(({ name }) => name === '.text');
  const functions = new Map<string, ObjectFunction>();
  const all = symbols.filter(({ type }) => type === FUNCTION);
  const subprogramAt = (offset: number): string => {
    const found = all.find(({ section, value }) => section === text && value === offset);
    if (!found) throw new Error(`${file}: no subprogram at ${offset}`);
    return found.name;
  };
  for (const { name, section, value, size } of all) {
    const { content, name: sectionName } = sections[section]!;
    const instructions = Array.from({ length: size / 8 }, (_, index) => instructionAt(content, value + index * 8));
    const calls = new Set<string>();
    instructions.forEach(({ code, source, immediate }, index) => {
      if (code !== CALL || source !== PSEUDO_CALL) return;
      const at = value + index * 8;
      const symbol = relocated.get(`${section}:${at}`);
      if (!symbol) calls.add(subprogramAt(at + 8 + immediate * 8));
      else if (symbol.type === SECTION_SYMBOL) calls.add(subprogramAt((immediate + 1) * 8));
      else calls.add(symbol.name);
    });
    functions.set(name, { name, section: sectionName, instructions, calls });
  }
  return {
    sections: new Map(sections.map(({ name, content }) => [name, content.length])),
    functions,
    maps: readMaps(sections.find(({ name }) => name === '.BTF')!.content),
  };
}

/** The programs: what is not a subprogram. */
export function programsOf(object: BpfObject): ObjectFunction[] {
  return [...object.functions.values()].filter(({ section }) => section !== '.text');
}

/** A program and all subprograms that libbpf puts behind it. */
export function withSubprograms(object: BpfObject, program: ObjectFunction): ObjectFunction[] {
  const found = new Set([program]);
  for (const { calls } of found) for (const name of calls) found.add(object.functions.get(name)!);
  return [...found];
}

/** Ids of the helpers that a function calls. */
export function helpersOf({ instructions }: ObjectFunction): number[] {
  return instructions.flatMap(({ code, source, immediate }) => (code === CALL && source === 0 ? [immediate] : []));
}

/** Whether a function can come back to where it was: a loop, which kernels before 5.3 refuse. */
export function hasLoop({ instructions }: ObjectFunction): boolean {
  const UNSEEN = 0;
  const ON_THE_WAY = 1;
  const DONE = 2;
  const state = new Uint8Array(instructions.length);
  const stack: { at: number; next: number[] }[] = [];
  const enter = (at: number): void => {
    state[at] = ON_THE_WAY;
    stack.push({ at, next: successors(instructions, at) });
  };
  enter(0);
  while (stack.length > 0) {
    const top = stack[stack.length - 1]!;
    const next = top.next.pop();
    if (next === undefined) {
      state[top.at] = DONE;
      stack.pop();
    } else if (state[next] === ON_THE_WAY) {
      return true;
    } else if (state[next] === UNSEEN) {
      enter(next);
    }
  }
  return false;
}

/** Bytes of stack that a function and the deepest chain of its calls take, each rounded up to 32 as the verifier does. */
export function stackDepth(object: BpfObject, { instructions, calls }: ObjectFunction): number {
  const FRAME_POINTER = 10;
  let own = 0;
  instructions.forEach(({ code, source, target, offset }, index) => {
    const kind = code & 7;
    if (kind === 1 && source === FRAME_POINTER) own = Math.max(own, -offset);
    if ((kind === 2 || kind === 3) && target === FRAME_POINTER) own = Math.max(own, -offset);
    const after = instructions[index + 1];
    const moves = code === 0xbf && source === FRAME_POINTER;
    if (moves && after?.code === 0x07 && after.target === target) own = Math.max(own, -after.immediate);
  });
  const deepest = [...calls].map((name) => stackDepth(object, object.functions.get(name)!));
  return Math.max(32, Math.ceil(own / 32) * 32) + Math.max(0, ...deepest);
}

/** Whether an instruction is a jump within the function. */
export function isJump({ code }: Instruction): boolean {
  return ((code & 7) === 5 || (code & 7) === 6) && code !== CALL && code !== EXIT;
}

function successors(instructions: readonly Instruction[], at: number): number[] {
  const one = instructions[at]!;
  const ALWAYS = 0x05;
  const WIDE_LOAD = 0x18;
  if (one.code === EXIT) return [];
  if (one.code === ALWAYS) return [at + 1 + one.offset];
  if (one.code === WIDE_LOAD) return [at + 2];
  return isJump(one) ? [at + 1 + one.offset, at + 1] : [at + 1];
}

function instructionAt(code: Buffer, at: number): Instruction {
  const registers = code.readUInt8(at + 1);
  return {
    code: code.readUInt8(at),
    target: registers & 0xf,
    source: registers >> 4,
    offset: code.readInt16LE(at + 2),
    immediate: code.readInt32LE(at + 4),
  };
}

function readSections(bytes: Buffer): Section[] {
  const start = Number(bytes.readBigUInt64LE(0x28));
  const count = bytes.readUInt16LE(0x3c);
  const names = Number(bytes.readBigUInt64LE(start + 64 * bytes.readUInt16LE(0x3e) + 0x18));
  return Array.from({ length: count }, (_, index) => {
    const at = start + 64 * index;
    const name = names + bytes.readUInt32LE(at);
    const type = bytes.readUInt32LE(at + 4);
    const offset = Number(bytes.readBigUInt64LE(at + 0x18));
    const size = type === NOBITS ? 0 : Number(bytes.readBigUInt64LE(at + 0x20));
    return {
      name: bytes.toString('latin1', name, bytes.indexOf(0, name)),
      type,
      info: bytes.readUInt32LE(at + 0x2c),
      content: bytes.subarray(offset, offset + size),
    };
  });
}

function readSymbols(sections: readonly Section[]): Symbol[] {
  const table = sections.find(({ type }) => type === SYMTAB)!.content;
  const names = sections.find(({ name }) => name === '.strtab')!.content;
  return Array.from({ length: table.length / 24 }, (_, index) => {
    const at = index * 24;
    const name = table.readUInt32LE(at);
    return {
      name: names.toString('latin1', name, names.indexOf(0, name)),
      type: table.readUInt8(at + 4) & 0xf,
      section: table.readUInt16LE(at + 6),
      value: Number(table.readBigUInt64LE(at + 8)),
      size: Number(table.readBigUInt64LE(at + 16)),
    };
  });
}

/** `__uint(type, N)` is a pointer to an array of N. */
function readMaps(btf: Buffer): Map<string, number> {
  const data = new BtfData(btf);
  const maps = new Map<string, number>();
  for (let id = data.firstId; id < data.endId; id++) {
    if (data.kind(id) !== BTF_KIND.VAR || data.kind(data.typeOrSize(id)) !== BTF_KIND.STRUCT) continue;
    const type = data.members(data.typeOrSize(id)).find(({ name }) => name === 'type');
    if (type) maps.set(data.name(id), data.array(data.typeOrSize(type.type)).count);
  }
  return maps;
}
