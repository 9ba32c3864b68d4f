import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { packagePath } from '../../src/base/package-root.js';

/** The kernels that the harness can boot: Debian's, by the version that a reader knows. */
export const KERNELS = ['5.10', '6.1', '6.12', 'newest'] as const;
export type KernelName = (typeof KERNELS)[number];

/** A kernel laid out by `scripts/fetch-kernel`, or one given by path. */
export interface Kernel {
  /** `uname -r`. */
  release: string;
  image: string;
  /** Folder that holds `<release>/` with the modules; undefined when all is built in. */
  modules?: string;
}

/** Where kernels, images and logs of failed boots are kept; ignored by git. */
export function cachePath(...parts: string[]): string {
  return join(process.env.VDIAG_KERNEL_CACHE ?? packagePath('.cache'), ...parts);
}

/** Fetches a kernel's Debian package if it is not in the cache. @throws with apt's words if it cannot be had. */
export async function fetchKernel(name: KernelName): Promise<Kernel> {
  const result = await execa('sh', [packagePath('scripts', 'fetch-kernel'), name], { reject: false, stdin: 'ignore' });
  if (result.exitCode !== 0) throw new Error(`kernel ${name} could not be fetched: ${result.stderr}`);
  const folder = cachePath('kernels', name);
  return {
    release: readFileSync(join(folder, 'release'), 'utf8').trim(),
    image: join(folder, 'vmlinuz'),
    modules: join(folder, 'modules'),
  };
}

let qemu: Promise<string> | undefined;

/**
 * The qemu that boots the kernels: this machine's own if it is new enough, else one that `scripts/fetch-qemu` fetches
 * beside it. @throws with apt's words if it cannot be had.
 */
export function qemuPath(): Promise<string> {
  qemu ??= execa('sh', [packagePath('scripts', 'fetch-qemu')], { reject: false, stdin: 'ignore' }).then((result) => {
    if (result.exitCode !== 0) throw new Error(`no qemu for the kernel tests: ${result.stderr}`);
    return result.stdout.trim();
  });
  return qemu;
}

/**
 * The files of the given modules and of what they depend on, in the order in which `insmod` must load them. A module
 * that is built into the kernel is left out.
 * @throws Error for a module that this kernel has in neither form.
 */
export function moduleLoadOrder(kernel: Kernel, names: readonly string[]): string[] {
  if (!kernel.modules) return [];
  const folder = join(kernel.modules, kernel.release);
  const dependencies = new Map<string, string[]>();
  for (const line of readFileSync(join(folder, 'modules.dep'), 'utf8').split('\n')) {
    const [file, rest] = line.split(':');
    if (rest !== undefined) dependencies.set(file, rest.trim().split(/\s+/).filter(Boolean));
  }
  const builtIn = new Set(readFileSync(join(folder, 'modules.builtin'), 'utf8').split('\n').map(moduleName));
  const fileOf = new Map([...dependencies.keys()].map((file) => [moduleName(file), file]));
  const order: string[] = [];
  const add = (file: string): void => {
    if (order.includes(file)) return;
    // modules.dep lists the direct and indirect dependencies, the deepest last.
    for (const needed of [...(dependencies.get(file) ?? [])].reverse()) add(needed);
    order.push(file);
  };
  for (const name of names) {
    const file = fileOf.get(moduleName(name));
    if (file) add(file);
    else if (!builtIn.has(moduleName(name))) throw new Error(`kernel ${kernel.release} has no module "${name}"`);
  }
  return order.map((file) => join(folder, file));
}

function moduleName(file: string): string {
  return file
    .slice(file.lastIndexOf('/') + 1)
    .replace(/\.ko.*$/, '')
    .replaceAll('-', '_');
}
