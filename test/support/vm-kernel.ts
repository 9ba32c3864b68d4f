import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { execa } from 'execa';
import { packagePath } from '../../src/base/package-root.js';

/** The kernels that the harness can boot: Debian's, by the version that a reader knows. */
export const KERNELS = ['5.10', '6.1', '6.12', 'newest'] as const;
export type KernelName = (typeof KERNELS)[number];

export function isKernelName(name: string): name is KernelName {
  return (KERNELS as readonly string[]).includes(name);
}

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

/** Bytes of a bzImage that hold its boot header and the text of its version (Documentation/arch/x86/boot.rst). */
const HEADER_BYTES = 0x10000;
const MAGIC_AT = 0x202;
const VERSION_AT = 0x20e;
const SETUP_START = 0x200;

/**
 * A kernel by the path of its image. It must have virtio-pci, virtio-blk, ext4 and tmpfs, built in or as modules.
 * @param modules folder with its modules: `/lib/modules`, or the release's own folder in it
 * @throws Error when the file is no x86 kernel image or the folder does not have its modules.
 */
export function givenKernel(image: string, modules?: string): Kernel {
  const header = Buffer.alloc(HEADER_BYTES);
  const file = openSync(image, 'r');
  try {
    readSync(file, header, 0, HEADER_BYTES, 0);
  } finally {
    closeSync(file);
  }
  if (header.toString('latin1', MAGIC_AT, MAGIC_AT + 4) !== 'HdrS')
    throw new Error(`${image} is not a bzImage (the form that a boot loader takes, arch/x86/boot/bzImage)`);
  const at = header.readUInt16LE(VERSION_AT) + SETUP_START;
  const release = header.toString('latin1', at, header.indexOf(0, at)).split(' ')[0]!;
  const kernel = { release, image: resolve(image) };
  if (modules === undefined) return kernel;
  const folders = [join(modules, 'lib/modules'), modules, dirname(resolve(modules))];
  const folder = folders.find((each) => existsSync(join(each, release, 'modules.dep')));
  if (!folder) throw new Error(`${modules} has no modules of kernel ${release} (no ${release}/modules.dep)`);
  return { ...kernel, modules: resolve(folder) };
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
