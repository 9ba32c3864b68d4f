/** How a probe is attached. The same words as `Backend` of src/probes/types.ts, which lies above this layer. */
export type AttachBackend =
  | 'raw-tracepoint'
  | 'tracepoint'
  | 'fentry'
  | 'fexit'
  | 'kprobe-multi'
  /** kprobe-multi for a function's entry and return by one program. */
  | 'kprobe-session'
  | 'kprobe'
  | 'kretprobe';

/**
 * The kernel-side programs (bpf/vdiag.bpf.c) that a catalogue entry may name in `program`, and the argument positions
 * each understands (names as in `AttachRequest.args`; a trailing `?` marks one that may be absent).
 */
export const PROGRAM_ARGS = {
  /**
   * A packet passes. `pskb`: the argument is a struct sk_buff **. `rc`: the tracepoint's own result, recorded as `ret`.
   * `a` … `d`: plain integers to record.
   */
  skb: ['skb?', 'pskb?', 'rc?', 'aux?', 'a?', 'b?', 'c?', 'd?'],
  /** Open vSwitch hands a copy to its daemon, which may send the packet back. */
  upcall: ['skb', 'rc?'],
  /** Open vSwitch does with the packet what a flow says; the daemon may have sent it back just now. */
  execute: ['skb', 'rc?'],
  /** Its life ends well. `location`: who freed it (6.5+). */
  free: ['skb', 'location?'],
  /** Its life ends in a drop. `reason`: 5.17+. */
  drop: ['skb', 'location?', 'reason?'],
  /** The return value is another skb made of this one (needs fexit or kretprobe). */
  clone: ['skb'],
  /** The same, where the function may free the one and return the other in its place. */
  replace: ['skb'],
  /** The return value is the first of a list of skbs, all parts of this one (GSO). */
  segments: ['skb'],
  /** GRO merged the skb into another one, `into`, unless the return value is an error. */
  merge: ['skb', 'into'],
  /**
   * Netfilter decided (needs fexit or kretprobe). `table`: struct xt_table *; `ebtable`: struct ebt_table *; `pkt` with
   * `chain`: struct nft_pktinfo * and struct nft_chain *; `state` alone: nf_hook_slow. `priv` is taken as the table or
   * chain that the target's name says.
   */
  verdict: ['skb?', 'state?', 'table?', 'ebtable?', 'pkt?', 'chain?', 'priv?'],
  /** qdisc_enqueue, qdisc_dequeue. a: handle, b: parent, c: packets in the queue, d: `packets`. */
  qdisc: ['skb', 'qdisc', 'packets?'],
  /**
   * The tracepoint net_dev_xmit: `rc` is recorded as `ret`; device and length come from its other arguments. The driver
   * may have freed the skb by then, so only packets that another probe has seen are recorded.
   */
  xmit: ['skb', 'rc'],
  /** A socket's event. a: `old`, b: `new`, aux: `skb`; without a socket but with an skb, that packet's event. */
  socket: ['sk?', 'skb?', 'old?', 'new?', 'rc?'],
  /** This host sends an ICMP error about the skb. a: `type`, b: `code`. */
  icmp: ['skb', 'type', 'code'],
  /** A neighbour's event. a: its state so far, b: `new`, ret: `rc`. */
  neigh: ['neigh', 'new?', 'rc?'],
  /** sched_wakeup, sched_waking, sched_wakeup_new: `task`. sched_switch: `preempt`, `prev`, `next`. */
  sched: ['task?', 'preempt?', 'prev?', 'next?'],
  /** A consumer copies the packet out; its thread is watched from then on when `autoWatch` is set. */
  deliver: ['skb'],
  /**
   * A place without a packet is passed, seldom. One of `dev`, `napi`, `qdisc`, `socket`, `net` or `sk` tells where; else
   * `object` is any pointer, recorded as `skb`. `a` … `d`: plain integers to record.
   */
  point: ['dev?', 'napi?', 'qdisc?', 'socket?', 'net?', 'sk?', 'object?', 'rc?', 'a?', 'b?', 'c?', 'd?'],
  /** The same, passed often: hits are only counted. */
  count: ['dev?', 'napi?', 'qdisc?', 'socket?', 'net?', 'sk?', 'object?', 'rc?', 'a?', 'b?', 'c?', 'd?'],
  /** The same, told only when the function returns an error (needs fexit or kretprobe). */
  failure: ['dev?', 'napi?', 'qdisc?', 'socket?', 'net?', 'sk?', 'object?', 'a?', 'b?', 'c?', 'd?'],
} as const satisfies Record<string, readonly string[]>;

export type ProgramName = keyof typeof PROGRAM_ARGS;

/** One probe to attach. */
export interface AttachRequest {
  /** Its number in the wire record: 0 … MAX_PROBES - 1, unique within the session. */
  index: number;
  /** One of PROGRAM_ARGS. */
  program: string;
  backend: AttachBackend;
  /** Tracepoint (`kfree_skb` or `skb:kfree_skb`) or function. */
  target: string;
  /** 0-based positions by name, as PROGRAM_ARGS lists them. */
  args: Record<string, number>;
  /** Of classic tracepoints, instead of positions: where the record has each, bytes (src/bpf/tracepoint-format.ts). */
  fields?: Record<string, { offset: number; size: number }>;
  /** Arguments that the tracepoint or function has in all. */
  nargs: number;
  /** Record the function's return value (fexit and kretprobe only). */
  wantReturn: boolean;
}

/** Most probes in one session: the size of the kernel side's `hits` map. */
export const MAX_PROBES = 4096;

/** What the kernel side lets through; structurally the TraceFilter of src/capture/types.ts. */
export interface KernelFilter {
  src?: string;
  dst?: string;
  port?: number;
  proto?: 'tcp' | 'udp' | 'icmp' | 'icmp6' | 'arp' | number;
  netns?: number[];
  ifindex?: number[];
  mark?: { value: number; mask: number };
  pid?: number;
  /** Addresses, port and protocol are those inside a tunnel; alone: every packet in a tunnel. */
  inner?: boolean;
}

/** A stretch of the ring, in whole frames; structurally the Batch of src/capture/types.ts. Valid only during the call that hands it over. */
export interface RingBatch {
  u8: Uint8Array;
  u32: Uint32Array;
  /** Byte offsets of the first frame and of the end; multiples of 8. */
  start: number;
  end: number;
}

/** An argument or parameter as BTF tells it. */
export interface BtfArgument {
  name: string;
  /** Name of the struct, union or enum; else the C base type (`int`, `void`, `unsigned int`). */
  type: string;
  pointer: boolean;
}

export interface TraceOptions {
  requests: AttachRequest[];
  filter: KernelFilter;
  /** Size of the ring, bytes; rounded up to a power of two. */
  ringBytes: number;
  /** Threads whose waits for a CPU are reported. */
  watchTids?: number[];
  /** Also watch each thread that copies out a matching packet. */
  autoWatch?: boolean;
  /** Attach, but let nothing through until `start`: attaching and reading counters takes a while on a busy host. */
  paused?: boolean;
  /** Have the kernel count the programs' run time (5.8+): it does so for every BPF program of the host meanwhile. */
  measureCost?: boolean;
  /** Which object is loaded; absent: what the kernel can do (src/bpf/flavour.ts). */
  flavour?: Flavour;
  /** Compiled object; the package's own of that flavour when absent. */
  objectFile?: string;
  /** BTF of this kernel, where it does not come from the kernel itself (src/bpf/synthesis/given-types.ts). */
  btfFile?: string;
  /** Called after each probe: attaching dozens of functions takes seconds on some kernels. */
  onProgress?: (done: number, of: number) => void;
}

export interface AttachedProbe {
  index: number;
  backend: AttachBackend;
  target: string;
}

export interface FailedProbe {
  index: number;
  /** One plain sentence. */
  why: string;
}

/**
 * Which of the two compiled objects. `modern`: ring buffer, from 5.8 on. `legacy`: for the kernels before, from 4.19 on;
 * it runs on later ones, too.
 */
export type Flavour = 'modern' | 'legacy';

/** What came of attaching. */
export interface AttachResults {
  attached: AttachedProbe[];
  failed: FailedProbe[];
}

/** Where the ring is, so that a Worker of this process can map it. */
export interface RingSource {
  fd: number;
  /** Bytes, as the kernel rounded it. */
  size: number;
}

/** Where the perf buffers are, one a CPU, for the same purpose. */
export interface PerfSource {
  perf: { cpu: number; fd: number }[];
  /** Bytes of each. */
  size: number;
  /** One u64: events that were lost to a full buffer, as its readers come upon it. */
  lost: SharedArrayBuffer;
}

/** What records come out of. */
export type RecordSource = RingSource | PerfSource;

/** Reads records; src/bpf/reader.ts opens one. */
export interface RecordReader {
  /** Hands over what the kernel side has written, in stretches of whole frames; returns the bytes, frames included. */
  drain(onBatch: (batch: RingBatch) => void): number;
  /** Bytes written and not read yet. */
  pending(): number;
  /** Reads no more. */
  close(): void;
}

/** Counted by the kernel side since the session began. */
export interface TraceCounters {
  ringFull: number;
  /** Legacy flavour: a CPU's perf buffer was full. */
  perfLost: number;
  pathsForgotten: number;
  parseFailures: number;
  missedReturns: number;
  /** Hits within hits, for which there was no work space. */
  noWorkSpace: number;
  /** Packets of which copies cannot be known again, for want of room. */
  copiesForgotten: number;
  /**
   * Packets under way, or whose end was not seen, that made room for newer ones; only where there were some. Those that
   * were under way count as forgotten when they are known again.
   */
  tracksEvicted?: number;
  /** Events lost by probe index (ring full, no work space, no room for an entry); only where there were some. */
  lost?: Map<number, number>;
  /**
   * Hits for which the kernel did not run the program (a program ran on that CPU already, a kprobe was hit inside a
   * kprobe); only where there were some, and only as far as the kernel tells (bpf_prog_info 5.12+, bpf_link_info 6.7+).
   */
  missed?: MissedHits[];
  /** s of CPU time of the programs; only where the kernel has counted it (`measureCost`, kernel.bpf_stats_enabled). */
  kernelCpuSeconds?: number;
}

/** Probes that share a program share the count of its misses, too. */
export interface MissedHits {
  /** Indices of the probes. */
  probes: number[];
  missed: number;
}

/** What one probe cost to put in its place. A program that several probes share is counted with the first of them. */
export interface ProbeCost {
  index: number;
  /** Instructions of its programs as loaded; 0 when it shares another probe's. */
  instructions: number;
  /** Instructions that the verifier looked at (`verified_insns` of bpf_prog_info, 5.16+). */
  verifiedInstructions?: number;
  /** ms for loading its programs, of which the verifier is nearly all. */
  loadMs: number;
  /** ms for attaching; of probes that are attached together, an equal share each. */
  attachMs: number;
}

/** Programs in the kernel. Everything is tied to this process' file descriptors: when it dies, however, nothing is left. */
export interface TraceSession {
  attached: AttachedProbe[];
  failed: FailedProbe[];
  flavour: Flavour;
  ring: RecordSource;
  counters(): TraceCounters;
  /** Events emitted (or lost to a full ring) by probe index. */
  hits(): Map<number, number>;
  /** What each attached probe cost; also after `close`. */
  costs(): ProbeCost[];
  /** Attaches further probes, such as other ways for those that failed: `attached` and `failed` change accordingly. */
  attachMore(requests: readonly AttachRequest[]): AttachResults;
  /** Lets events through, if it was opened `paused`. */
  start(): void;
  /** Watch more threads. */
  watch(tids: readonly number[]): void;
  /** Detaches; the ring stays readable until `release`. Safe to call twice. */
  detach(): void;
  /** Detaches and gives everything back. Safe to call twice. */
  close(): void;
}

/** Whether one ability of this kernel can be used by this process; `why` when not, and the command that cures it where there is one. */
export interface Ability {
  ok: boolean;
  why?: string;
  cure?: string;
}

/** What this kernel lets this process do: tried, not derived from its version. */
export interface KernelSupport {
  release: string;
  arch: string;
  btf: Ability;
  ringBuffer: Ability;
  rawTracepoint: Ability;
  tracepoint: Ability;
  kprobe: Ability;
  kretprobe: Ability;
  kprobeMulti: Ability;
  kprobeSession: Ability;
  fentry: Ability;
  dropReasons: Ability;
}
