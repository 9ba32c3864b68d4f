/** The layer a probe belongs to. */
export type ProbeGroup = 'l2' | 'l3' | 'l4' | 'netfilter' | 'lifecycle' | 'socket' | 'sched' | 'virt';

/** How much is attached. Each set contains the one before. */
export type ProbeSet = 'basic' | 'standard' | 'full';

/** How a probe is attached. */
export type Backend =
  'raw-tracepoint' | 'tracepoint' | 'fentry' | 'fexit' | 'kprobe-multi' | 'kprobe-session' | 'kprobe' | 'kretprobe';

/**
 * What passing this point means for a packet. Segments, round trips and diagnoses speak of roles, so that another
 * probe with the same meaning can stand in on another kernel.
 */
export type ProbeRole =
  | 'receive' //     a device hands the packet to the stack (netif_receive_skb)
  | 'queue' //       the packet is given to a device's queueing discipline (net_dev_queue)
  | 'enqueue' //     a qdisc took it in
  | 'dequeue' //     a qdisc let it go
  | 'transmit' //    it is handed to the driver (net_dev_start_xmit)
  | 'transmitted' // the driver took it; on a tap it now lies in the ring (net_dev_xmit)
  | 'deliver' //     a consumer (socket reader, qemu, vhost) copied it out (skb_copy_datagram_iovec)
  | 'forward' //     a bridge, router or switch passes it on
  | 'local-in' //    the protocol handler of this host takes it
  | 'local-out' //   a socket of this host sends it
  | 'verdict' //     netfilter decided
  | 'free' //        its life ended well
  | 'drop' //        its life ended in a drop
  | 'clone' //       another skb came of it
  | 'retransmit'
  | 'icmp-error' //  this host answers with an ICMP error
  | 'socket-state'
  | 'neighbour'
  | 'sched'
  | 'other';

/**
 * What a report loses with a point: `core`, a layer's own entry and exit, firewall verdicts, ends of packets: there on
 * every kernel; `error`, where something goes wrong; `optimisation`, short cuts (GRO, GSO, XDP, early frees) that kernels
 * often inline; `detail`, the steps in between and the devices that not every host has.
 */
export type ProbeTier = 'core' | 'error' | 'optimisation' | 'detail';

/** What a return value (or a tracepoint's result argument) means. */
export type ReturnMeaning = 'none' | 'nf-verdict' | 'errno' | 'netdev-tx' | 'drop-reason' | 'bool' | 'pointer';

/** One entry of the catalogue `bpf/probes/*.yaml`. */
export interface ProbePoint {
  /** Unique; what rules name in `on:` and what reports print. */
  name: string;
  group: ProbeGroup;
  set: ProbeSet;
  role: ProbeRole;
  tier?: ProbeTier;
  /** `subsystem:name` of the tracepoint, where there is one. */
  tracepoint?: string;
  /** Function for kprobe/fentry, where there is one; tried first, then `aliases`. */
  function?: string;
  aliases?: string[];
  /** Module it lives in, when not always built in: tells "not loaded" from "unknown". */
  module?: string;
  /**
   * Program template of the kernel side (bpf/*.bpf.c) that handles the hit: `skb` for the generic one; `free`, `verdict`,
   * `clone`, `qdisc`, `socket`, `neighbour`, `sched` … for the few that read more.
   */
  program: string;
  /**
   * Which argument is which, 0-based, for tracepoint and function; absent: found by type in BTF. `otherwise`, first fit
   * first: what `function` is not right for: an alias by `name`, kernels `before` a version. No positions: not to be had
   * there. These serve where BTF does not tell; where it does, a test compares them with it.
   */
  args?: {
    tracepoint?: Record<string, number>;
    function?: Record<string, number>;
    otherwise?: OtherPositions[];
  };
  returns?: ReturnMeaning;
  /** Ask for the return value (needs fexit or kretprobe: dear, so only where a verdict needs it). */
  wantReturn?: boolean;
  /** What the generic numbers a, b, c, d and aux of the record are called for rules. */
  fields?: Partial<Record<'a' | 'b' | 'c' | 'd' | 'aux' | 'ret', string>>;
  /**
   * What a report cannot show without it: a phrase that follows "not seen: ", shared by points that show the same thing
   * (the coverage section names it once).
   */
  hides: string;
  /** The same in Chinese. */
  hidesZh?: string;
  /** Kernels it was seen on, e.g. `4.19+`, `6.1+`. */
  kernels?: string;
}

/** Positions for another name of a function, or for older kernels. */
export interface OtherPositions {
  name?: string;
  /** `5.16`: kernels older than that. */
  before?: string;
  args: Record<string, number>;
}

/** How one point is, or is not, attached. */
export interface PlannedProbe {
  /** Its number in the wire record. */
  index: number;
  point: ProbePoint;
  /** Absent: left out. */
  backend?: Backend;
  /** The tracepoint or function really used (an alias, perhaps). */
  target?: string;
  /** Why a better backend, or any, was not to be had; one plain sentence each. */
  reasons: string[];
  /** The same, for the coverage section to join and to say in other languages. */
  causes?: ProbeCause[];
}

/** What may stand between a probe point and a backend. */
export type CauseCode =
  | 'no-raw-tracepoints'
  | 'no-tracepoints'
  | 'no-kprobes'
  | 'no-kretprobes'
  | 'no-fentry'
  | 'no-btf'
  | 'not-asked-for' //     another backend was asked for
  | 'no-tracepoint' //     the kernel has no tracepoint of that name
  | 'no-record' //         what a classic tracepoint hands over does not have what the program needs
  | 'no-function' //       the kernel has no function of that name
  | 'nearest-function' //  ... but one whose name is nearly the same
  | 'module-not-loaded' // it lives in a module that is not loaded, so no packet passes there
  | 'module-absent' //     it lives in a module that this kernel does not have
  | 'compiler-changed' //  only a variant made by the compiler is there (.constprop, .isra, .part)
  | 'not-traceable' //     the function is there and may not be probed
  | 'ambiguous' //         several functions have the name
  | 'no-prototype' //      BTF does not tell its arguments
  | 'prototype-changed' // an argument that the program needs is not there
  | 'by-reference' //      it takes the packet as struct sk_buff **
  | 'argument-in-memory' // the argument is not in a register
  | 'return-lost' //       attached without the return value
  | 'other-name' //        found under another name
  | 'attach-refused'; //   the kernel refused it when it was attached

/** One reason of a planned probe, as data. */
export interface ProbeCause {
  code: CauseCode;
  /** The name or the kernel's words that the reason is about. */
  detail?: string;
}

/** The plan of a run, as recorded: index → what the point is and how it was attached. */
export interface ProbePlan {
  set: ProbeSet;
  probes: PlannedProbe[];
  /** Functions that discovery found, and how many of them were planned; absent when it was not asked for. */
  discovery?: { found: number; taken: number };
}

/** What this kernel lets vdiag do: asked, never derived from the version alone. */
export interface KernelCapabilities {
  release: string;
  arch: string;
  btf: boolean;
  ringBuffer: boolean;
  rawTracepoint: boolean;
  /** Classic tracepoints through perf need tracefs. */
  tracepoint: boolean;
  kprobe: boolean;
  kretprobe: boolean;
  kprobeMulti: boolean;
  /** Absent in recordings from before vdiag knew of them. */
  kprobeSession?: boolean;
  fentry: boolean;
  dropReasons: boolean;
  /** Why each false one is false, and the command that cures it where there is one. */
  lacks: { capability: string; why: string; hides: string; cure?: string }[];
}
