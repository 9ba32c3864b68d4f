import { Libbpf } from './libbpf.js';

/** struct bpf_prog_info (include/uapi/linux/bpf.h): bytes, and where the members are that are read here. */
const PROG_INFO = { bytes: 232, runTimeNs: 192, recursionMisses: 208, verifiedInstructions: 216 } as const;
/** struct bpf_link_info: its kinds' `missed`. */
const LINK_INFO = { bytes: 64, type: 0, perfEventType: 16, multiMissed: 32, probeMissed: 48 } as const;
/** enum bpf_link_type and enum bpf_perf_event_type. */
const LINK = { PERF_EVENT: 7, KPROBE_MULTI: 8 } as const;
const PERF_EVENT = { KPROBE: 3, KRETPROBE: 4 } as const;
/** Kernels whose structure is no longer than this count no misses of links (6.6). */
const LINK_INFO_WITHOUT_MISSED = 48;

/** Instructions that the verifier looked at (5.16+); undefined: this kernel does not tell. */
export function verifiedInstructions(program: number): number | undefined {
  const info = Libbpf.get().info(program, PROG_INFO.bytes);
  if (!info || info.length < PROG_INFO.verifiedInstructions + 4) return undefined;
  return info.readUInt32LE(PROG_INFO.verifiedInstructions);
}

/** ns of CPU time that a program has taken while run-time statistics were on (5.1+). */
export function runTimeNs(program: number): number {
  const info = Libbpf.get().info(program, PROG_INFO.bytes);
  if (!info || info.length < PROG_INFO.runTimeNs + 8) return 0;
  return Number(info.readBigUInt64LE(PROG_INFO.runTimeNs));
}

/** Hits for which a program was not run because one ran on that CPU already (5.12+). */
export function recursionMisses(program: number): number {
  const info = Libbpf.get().info(program, PROG_INFO.bytes);
  if (!info || info.length < PROG_INFO.recursionMisses + 8) return 0;
  return Number(info.readBigUInt64LE(PROG_INFO.recursionMisses));
}

/** Hits of a kprobe that were skipped: inside another kprobe, or for want of room for a return (6.7+). */
export function probeMisses(link: number): number {
  const info = Libbpf.get().info(link, LINK_INFO.bytes);
  if (!info || info.length <= LINK_INFO_WITHOUT_MISSED) return 0;
  const missedAt = whereMissed(info);
  return missedAt === undefined ? 0 : Number(info.readBigUInt64LE(missedAt));
}

function whereMissed(info: Buffer): number | undefined {
  const type = info.readUInt32LE(LINK_INFO.type);
  if (type === LINK.KPROBE_MULTI) return LINK_INFO.multiMissed;
  if (type !== LINK.PERF_EVENT) return undefined;
  const event = info.readUInt32LE(LINK_INFO.perfEventType);
  return event === PERF_EVENT.KPROBE || event === PERF_EVENT.KRETPROBE ? LINK_INFO.probeMissed : undefined;
}
