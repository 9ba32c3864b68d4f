import { runInNewContext } from 'node:vm';
import { VdiagError } from '../base/errors.js';
import { didYouMean } from '../base/suggest.js';
import type { Catalogue } from './catalogue.js';
import type { KernelFunctions } from './kernel-functions.js';
import type { ProbeGroup, ProbePoint } from './types.js';

/** Which functions to look for. */
export interface DiscoveryRequest {
  /** Regular expression for the names; absent: every name. */
  pattern?: string;
  /** Only in these modules (`vmlinux`: the kernel proper), or in `all` modules; absent: kernel and modules alike. */
  modules?: readonly string[] | 'all';
  /** Most functions to take. */
  most: number;
}

/** A function with a packet among its arguments, as BTF tells it. */
export interface PacketFunction {
  name: string;
  /** Absent: the kernel proper. */
  module?: string;
}

/** What discovery asks of the kernel's types; KernelBtf of src/bpf answers it. */
export interface FunctionTypes {
  functionsTaking(struct: string): Iterable<PacketFunction & { position: number }>;
  /** Loaded modules that have types. */
  modules(): readonly string[];
}

/** What was found. */
export interface Discovery {
  /** At most so many as were wanted, in the order of their names. */
  points: ProbePoint[];
  /** Functions that match and can be probed, taken or not. */
  found: number;
  /** Names that match and are left out: the catalogue has them. */
  inCatalogue: number;
  /** Names that match and cannot be probed. */
  notTraceable: number;
}

/** Discovered points when nothing else is asked: so many are attached in seconds one by one. */
export const MOST_DISCOVERED = 400;

const PATTERN_LENGTH = 200;
/** A pattern that takes longer than this on some thousand names backtracks without end. */
const PATTERN_MS = 5000;

/** Arguments beyond the sixth are on the stack. */
const REGISTERS = 6;

/**
 * Not for probes: the bodies of tracepoints and their iterators, stubs that BTF or BPF need, hooks that BPF programs call
 * themselves, and what the compiler left of inlined callers.
 */
const NEVER =
  /^(__traceiter_|__probestub_|__bpf_trace_|__bpf_|bpf_|trace_event_raw_event_|perf_trace_|trace_raw_output_|__SCT__|__SCK__|__pfx_|__cfi_)/;

/**
 * Functions that take a packet (`struct sk_buff *`, among their first six arguments) and that this kernel lets be
 * probed, as probe points beside the catalogue's own.
 * @throws VdiagError (status 2) for a pattern that is none or takes too long, or a module that is not loaded
 */
export function discover(
  request: DiscoveryRequest,
  types: FunctionTypes,
  catalogue: Catalogue,
  functionsOf: (names: readonly string[]) => KernelFunctions,
): Discovery {
  const { modules } = request;
  if (Array.isArray(modules)) checkModules(modules as readonly string[], types.modules());
  const known = new Set(catalogue.points.flatMap((point) => [point.function ?? point.name, ...(point.aliases ?? [])]));
  const candidates = new Map<string, PacketFunction>();
  for (const { name, module, position } of types.functionsTaking('sk_buff')) {
    if (position >= REGISTERS || NEVER.test(name) || !inModules(module, modules)) continue;
    if (!candidates.has(name)) candidates.set(name, { name, ...(module !== undefined && { module }) });
  }
  const matching = matchingNames([...candidates.keys()], request.pattern).sort();
  const fresh = matching.filter((name) => !known.has(name));
  const functions = functionsOf(fresh);
  const probed = fresh.filter((name) => functions.status(name, true) === 'attachable');
  return {
    points: probed.slice(0, request.most).map((name) => pointOf(candidates.get(name)!)),
    found: probed.length,
    inCatalogue: matching.length - fresh.length,
    notTraceable: fresh.length - probed.length,
  };
}

function inModules(module: string | undefined, wanted: readonly string[] | 'all' | undefined): boolean {
  if (wanted === undefined) return true;
  return wanted === 'all' ? module !== undefined : wanted.includes(module ?? 'vmlinux');
}

function checkModules(wanted: readonly string[], loaded: readonly string[]): void {
  const known = ['vmlinux', ...loaded];
  const problems = wanted
    .filter((name) => !known.includes(name))
    .map((name) => ({
      message: `module "${name}" is not loaded, or has no BTF`,
      expected: 'a module below /sys/kernel/btf, vmlinux for the kernel itself, or all',
      hint: didYouMean(name, known) ?? `load it: modprobe ${/^[\w-]+$/.test(name) ? name : 'MODULE'}`,
    }));
  if (problems.length > 0) throw new VdiagError(problems, 2);
}

/**
 * Matched in a context of its own, because only there can it be ended: JavaScript's regular expressions may backtrack for
 * ever. The script is fixed; pattern and names are data.
 */
function matchingNames(names: readonly string[], pattern: string | undefined): string[] {
  if (pattern === undefined) return [...names];
  const wrong = (why: string): VdiagError =>
    new VdiagError({ message: `--probe-discover ${pattern.slice(0, PATTERN_LENGTH)}: ${why}` }, 2);
  if (pattern.length > PATTERN_LENGTH) throw wrong(`longer than ${PATTERN_LENGTH} characters`);
  let expression: RegExp;
  try {
    expression = new RegExp(pattern);
  } catch (error) {
    throw wrong((error as Error).message);
  }
  try {
    const context = { names, expression };
    return [
      ...(runInNewContext('names.filter((name) => expression.test(name))', context, {
        timeout: PATTERN_MS,
      }) as string[]),
    ];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw wrong(`it takes more than ${PATTERN_MS / 1000} s; nested repetitions, such as (a+)+, do that`);
  }
}

/** First match counts. */
const GROUPS: readonly (readonly [RegExp, ProbeGroup])[] = [
  [/^_*(ip_set|nf|nft|nfnl|ipt|ip6t|arpt|xt|ebt|iptable|ip_vs|nfqnl|nfulnl)_/, 'netfilter'],
  [/^_*(tun|tap|vhost|virtnet|virtio|xennet|macvtap|ovs|netvsc|veth)_/, 'virt'],
  [/^_*(tcp|udp|udplite|sctp|dccp|mptcp|tcp4|tcp6|udp4|udp6|udpv6|ping)_/, 'l4'],
  [
    /^_*(ip|ip4|ip6|ipv4|ipv6|icmp|icmpv6|icmp6|igmp|ndisc|arp|neigh|fib|fib6|inet|inet6|raw|rawv6|esp|ah|xfrm)[46]?_/,
    'l3',
  ],
  [/^_*(sock|sk|unix|packet|tpacket|netlink)_/, 'socket'],
  [/^_*(skb|kfree|consume|alloc|pskb|napi_consume|build)_/, 'lifecycle'],
];

function groupOf(name: string): ProbeGroup {
  return GROUPS.find(([pattern]) => pattern.test(name))?.[1] ?? 'l2';
}

function pointOf({ name, module }: PacketFunction): ProbePoint {
  return {
    name,
    group: groupOf(name),
    set: 'full',
    role: 'other',
    function: name,
    ...(module !== undefined && { module }),
    program: 'skb',
    hides: 'what the discovered functions do',
    hidesZh: '所发现的函数做了什么',
  };
}
