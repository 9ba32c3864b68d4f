import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KernelBtf } from '../../src/bpf/btf.js';

/** Structures that the kernel's prototypes name; BTF keeps their names whatever is in them. */
const STRUCTS = [
  'sk_buff',
  'sock',
  'net',
  'net_device',
  'nf_hook_state',
  'xt_table',
  'nft_pktinfo',
  'neighbour',
  'Qdisc',
  'netdev_queue',
  'task_struct',
];

/**
 * BTF as a kernel would have it, out of C prototypes: functions as `int ip_rcv(struct sk_buff *skb)`, tracepoints as
 * `TRACEPOINT(net_dev_queue, struct sk_buff *skb)`. Made by clang, read by the code that reads the kernel's own.
 */
export function smallBtf(prototypes: readonly string[]): KernelBtf {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-btf-'));
  try {
    const lines = prototypes.map((line) => (line.startsWith('TRACEPOINT') ? `${line};` : `${line} { return 0; }`));
    writeFileSync(
      join(folder, 'kernel.c'),
      [
        'typedef _Bool bool; typedef unsigned char u8; typedef unsigned int u32;',
        ...STRUCTS.map((name) => `struct ${name} { int member; };`),
        'enum skb_drop_reason { SKB_NOT_DROPPED_YET };',
        '#define TRACEPOINT(name, ...) typedef void (*btf_trace_##name)(void *, __VA_ARGS__); btf_trace_##name keep_##name',
        ...lines,
      ].join('\n'),
    );
    execFileSync('clang', ['-target', 'bpf', '-g', '-O2', '-c', 'kernel.c', '-o', 'kernel.o'], {
      cwd: folder,
      stdio: 'pipe',
    });
    return KernelBtf.load(join(folder, 'kernel.o'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
