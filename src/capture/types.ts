import type { Json } from '../base/json.js';
import type { KernelCapabilities, ProbePlan } from '../probes/types.js';

/**
 * Raw records, framed as the kernel's ring buffer frames them: a u32 header (bit 31 busy, bit 30 discarded, low 30 bits
 * the length), 4 bytes of padding, then the record, each frame padded to 8 bytes. A batch never starts or ends inside a
 * frame. The views are the ring itself: valid only during the call that hands the batch over.
 */
export interface Batch {
  u8: Uint8Array;
  u32: Uint32Array;
  /** Byte offsets of the first frame and of the end; multiples of 8. */
  start: number;
  end: number;
}

/** Kernel names that only the traced host knows; recorded, so that a replay speaks the same names. */
export interface KernelNames {
  /** `symbol+0x1f [module]` of a code address, or undefined. Addresses fit a Number (48 bits). */
  symbol(address: number): string | undefined;
  /** `NETFILTER_DROP` for a drop reason's number on this kernel, or undefined. */
  dropReason(reason: number): string | undefined;
}

/** What never reached the analysis, by cause. All zero on a good run; src/capture/loss.ts says what each can hide or forge. */
export interface CaptureLoss {
  /** The ring was full when the kernel side wanted to write. */
  ringFull: number;
  /** The perf buffer was full (kernels before 5.8). */
  perfLost: number;
  /** Hits within hits of one CPU: there was no work space left to look at the packet in. */
  noWorkSpace: number;
  /** Hits for which the kernel did not run the program: it was running on that CPU already. */
  missedHits: number;
  /** Return probes that the kernel skipped (maxactive), and entries without a return. */
  missedReturns: number;
  /** The map of followed packets was full, so a packet's identity was forgotten. */
  pathsForgotten: number;
  /** No room to remember by what a packet can be known again: its copies count as packets of their own. */
  copiesForgotten: number;
  /** Headers that could not be read or understood. */
  parseFailures: number;
  /** Records that arrived and could not be decoded: cut short, or of a kind or probe that is not known. */
  recordsUnreadable: number;
  /** The recording ended early: bytes that could not be replayed. */
  recordingCut: number;
}

/** What tracing took from the host between start and end. */
export interface RunCost {
  /** s of CPU time of vdiag's own threads. */
  ownCpuSeconds: number;
  /** s of CPU time of the programs in the kernel; absent where the kernel does not count it (kernel.bpf_stats_enabled). */
  kernelCpuSeconds?: number;
}

/** What a run was asked to trace: evaluated in the kernel. All given ones must match; absent: everything. */
export interface TraceFilter {
  /** Address or prefix; with both, the pair in either direction. */
  src?: string;
  dst?: string;
  /** Either port. */
  port?: number;
  proto?: 'tcp' | 'udp' | 'icmp' | 'icmp6' | 'arp' | number;
  /** Inode numbers of network namespaces: in any of these (at most 16). */
  netns?: number[];
  ifindex?: number[];
  mark?: { value: number; mask: number };
  pid?: number;
  /** `src`, `dst`, `port` and `proto` are those inside a tunnel; without them: every packet in a tunnel. */
  inner?: boolean;
}

/** Everything about a run that its report needs and that is not an event: the recording's head. */
export interface RunMeta {
  apiVersion: 'vdiag/v1';
  vdiag: string;
  host: string;
  kernel: KernelCapabilities;
  /** Wall clock at the start, ms since 1970, and the monotonic clock (ns) at that moment. */
  startedAt: number;
  startedMono: number;
  /** Minutes east of UTC on the traced host, so that a replay shows its clock. */
  utcOffset: number;
  scenario: string;
  /** The command line's choices that change the report. */
  parameters: { [key: string]: Json };
  filter: TraceFilter;
  plan: ProbePlan;
  /** Drop reason numbers of this kernel. */
  dropReasons: Record<string, string>;
  /** Which of the two compiled objects was loaded; absent in recordings of older versions: `modern`. */
  flavour?: 'modern' | 'legacy';
  /** Layout the records were written with: `struct.member` → [offset, size], bytes. */
  wire: { version: number; layout: Record<string, [number, number]> };
  /** Inode number of the network namespace that vdiag itself ran in. */
  ownNetns: number;
  /** Threads whose waits for a CPU would have been measured, had there been room; absent: none. */
  threadsNotWatched?: number;
  /** Base name of the recording, when one is written. */
  recording?: string;
}

/** Known when the run has ended. */
export interface RunEnd {
  endedAt: number;
  endedMono: number;
  loss: CaptureLoss;
  /** Hits per probe name, as counted by the kernel side. */
  hits: Record<string, number>;
  /** Of these and of what no hit was counted for, what was lost, per probe name, as far as it is known whose it was. */
  lostBy?: Record<string, number>;
  /** Absent in recordings of older versions. */
  cost?: RunCost;
  /** Why it ended: its time was up, Ctrl-C, the recording's end. */
  reason: 'duration' | 'interrupted' | 'cut';
}
