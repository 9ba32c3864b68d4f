import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KernelBtf } from '../../src/bpf/btf.js';
import { elfSection } from '../../src/bpf/elf.js';
import { type KernelFunctions, readKernelFunctions } from '../../src/probes/kernel-functions.js';
import { symbolsOf, vmlinuxOf } from './kernel-image.js';
import { cachePath, type Kernel } from './vm-kernel.js';

/** What a kernel image and its modules tell of themselves without being booted. */
export interface KernelFacts {
  /** As `uname -r` and the folder of the cache name it. */
  release: string;
  types: KernelBtf;
  /** Functions of the kernel and of the modules that were asked for, as though these were loaded. */
  functionsAmong(names: Iterable<string>): KernelFunctions;
  /** Every symbol that was read. */
  symbolNames(): string[];
  /** Modules asked for that this kernel has as files. */
  modules: readonly string[];
}

/**
 * Types and symbols of a kernel that was fetched (scripts/fetch-kernel), with those of some modules. What was unpacked
 * is kept below .cache/btf/<release>. @throws Error when the image or a module cannot be read.
 */
export function kernelFacts(kernel: Kernel, modules: readonly string[]): KernelFacts {
  const folder = cachePath('btf', kernel.release);
  const btf = join(folder, 'btf');
  const symbols = join(folder, 'symbols');
  mkdirSync(btf, { recursive: true });
  mkdirSync(symbols, { recursive: true });
  if (!existsSync(join(symbols, 'vmlinux'))) {
    const vmlinux = vmlinuxOf(readFileSync(kernel.image));
    keepBtf(vmlinux, join(btf, 'vmlinux'));
    writeFileSync(join(symbols, 'vmlinux'), listing(symbolsOf(vmlinux)));
  }
  const files = moduleFiles(kernel);
  const present = modules.filter((name) => files.has(name));
  for (const name of present) {
    if (existsSync(join(symbols, name))) continue;
    const module = readFileSync(files.get(name)!);
    keepBtf(module, join(btf, name));
    writeFileSync(join(symbols, name), listing(moduleSymbols(module), name));
  }
  const kallsyms = join(folder, 'kallsyms');
  writeFileSync(kallsyms, ['vmlinux', ...present].map((name) => readFileSync(join(symbols, name), 'latin1')).join(''));
  return {
    release: kernel.release,
    types: KernelBtf.loadFolder(btf),
    modules: present,
    symbolNames: () =>
      readFileSync(kallsyms, 'latin1')
        .split('\n')
        .map((line) => line.split(/[ \t]/)[2] ?? ''),
    functionsAmong: (names) =>
      readKernelFunctions(names, {
        ...{ kallsyms, tracefs: [], modules: join(folder, 'none'), sysModule: join(folder, 'none') },
        libModules: join(kernel.modules ?? folder, kernel.release),
      }),
  };
}

/** Modules have BTF of their own since 5.11. */
function keepBtf(elf: Buffer, file: string): void {
  const section = elfSection(elf, '.BTF');
  if (section) writeFileSync(file, section);
}

/** As /proc/kallsyms has them, without addresses. */
function listing(symbols: readonly { type: string; name: string }[], module?: string): string {
  const suffix = module === undefined ? '' : `\t[${module}]`;
  return symbols.map(({ type, name }) => `0000000000000000 ${type} ${name}${suffix}\n`).join('');
}

/** Module → its file, of modules.dep; names with underscores, as the kernel shows them. */
function moduleFiles({ modules, release }: Kernel): Map<string, string> {
  if (modules === undefined) return new Map();
  const folder = join(modules, release);
  const files = readFileSync(join(folder, 'modules.dep'), 'utf8')
    .split('\n')
    .map((line) => line.slice(0, line.indexOf(':')))
    .filter((file) => file.endsWith('.ko'));
  return new Map(
    files.map((file) => [file.slice(file.lastIndexOf('/') + 1, -3).replaceAll('-', '_'), join(folder, file)]),
  );
}

const SYMBOL_BYTES = 24;
const STT_FUNC = 2;

/** The functions in a module's ELF symbols. */
function moduleSymbols(module: Buffer): { type: string; name: string }[] {
  const table = elfSection(module, '.symtab');
  const strings = elfSection(module, '.strtab');
  if (!table || !strings) throw new Error('a module without symbols');
  const found: { type: string; name: string }[] = [];
  for (let at = 0; at + SYMBOL_BYTES <= table.length; at += SYMBOL_BYTES) {
    const info = table[at + 4];
    if ((info & 0xf) !== STT_FUNC || table.readUInt16LE(at + 6) === 0) continue;
    const start = table.readUInt32LE(at);
    const name = strings.toString('latin1', start, strings.indexOf(0, start));
    found.push({ type: info >> 4 === 0 ? 't' : 'T', name });
  }
  return found;
}
