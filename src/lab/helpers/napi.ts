import { writeFileSync } from 'node:fs';
import { namesIn, textOf } from '../../evidence/processes.js';
import { runThreadAs } from './libc.js';
import type { HelperWords } from './words.js';

/**
 * Lets a thread take in what a device of this namespace receives (Documentation/networking/napi.rst, threaded NAPI), on
 * the CPU and with the nice value told. It stays so until the device goes.
 * @throws Error where the kernel has no such threads (before 5.12) or the driver has no NAPI just now
 */
export function threadNapi(told: HelperWords): void {
  writeFileSync(`/sys/class/net/${told.device}/threaded`, '1');
  const threads = namesIn('/proc').filter((pid) => textOf(`/proc/${pid}/comm`)?.startsWith(`napi/${told.device}-`));
  if (threads.length === 0) throw new Error(`${told.device} has no NAPI: switch generic receive offload on first`);
  for (const tid of threads) runThreadAs(Number(tid), told);
}
