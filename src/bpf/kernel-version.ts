import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { release } from 'node:os';

/** Head of the note of the vDSO that holds the version (arch/x86/entry/vdso/vdso-note.S): lengths, type 0, the name. */
const NOTE = Buffer.from('060000000400000000000000' + Buffer.from('Linux\0\0\0').toString('hex'), 'hex');
/** The vDSO is a few pages. */
const MOST_BYTES = 1 << 20;

let known: number | undefined;

/**
 * LINUX_VERSION_CODE of the running kernel, which kernels before 5.0 want to hear of every kprobe program. What uname says
 * is not always it (Debian's 4.19.0-21 is a 4.19.249), so the kernel's own note is asked first.
 */
export function kernelVersionCode(): number {
  return (known ??= versionOfVdso() ?? versionOfRelease(release()));
}

/** 4.19.90 → 0x04135a, as KERNEL_VERSION(4, 19, 90); 0 for what is no version. */
export function versionOfRelease(text: string): number {
  const [, major = 0, minor = 0, patch = 0] = (/^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? []).map(Number);
  return (major << 16) | (minor << 8) | Math.min(patch || 0, 255);
}

function versionOfVdso(): number | undefined {
  const range = /^([0-9a-f]+)-([0-9a-f]+) .*\[vdso\]$/m.exec(readFileSync('/proc/self/maps', 'latin1'));
  if (!range) return undefined;
  const start = BigInt(`0x${range[1]}`);
  const image = Buffer.alloc(Math.min(Number(BigInt(`0x${range[2]}`) - start), MOST_BYTES));
  const memory = openSync('/proc/self/mem', 'r');
  try {
    readSync(memory, image, 0, image.length, start);
  } finally {
    closeSync(memory);
  }
  const at = image.indexOf(NOTE);
  return at < 0 ? undefined : image.readUInt32LE(at + NOTE.length);
}
