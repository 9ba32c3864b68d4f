import { VD_OPT } from './kernel-side.gen.js';
import type { TemplateConstants } from './template.js';
import { encodePlace } from './tracepoint-format.js';
import { type AttachRequest, PROGRAM_ARGS, type ProgramName } from './types.js';

/** How a request becomes a program: which template, which constants. */
export interface ProgramPlan {
  /** Template of the hit; of kretprobes, of the entry. */
  template: string;
  constants: TemplateConstants;
  /** Of kretprobes: the template of the return. */
  returnTemplate?: string;
  /** The program learns the probe's number from its attach cookie, so probes with equal other constants share it. */
  shared?: boolean;
}

/** What a kernel offers that decides between templates. */
interface KernelForms {
  /** Perf events have attach cookies, and the object has the templates for them. */
  cookies: boolean;
  /** BTF id of bpf_session_is_return, where there are kprobe sessions. */
  isReturn?: number;
}

type Slot = keyof TemplateConstants;

/** Family of templates of each program (bpf/vdiag.bpf.c). */
const FAMILY: Record<ProgramName, string> = {
  skb: 'packet',
  upcall: 'packet',
  execute: 'packet',
  free: 'packet',
  drop: 'packet',
  clone: 'clone',
  replace: 'clone',
  segments: 'clone',
  merge: 'clone',
  verdict: 'verdict',
  qdisc: 'packet',
  xmit: 'packet',
  socket: 'socket',
  icmp: 'packet',
  neigh: 'neigh',
  sched: 'sched',
  deliver: 'packet',
  point: 'point',
  count: 'point',
  failure: 'point',
};

const OPTIONS: Partial<Record<ProgramName, number>> = {
  upcall: VD_OPT.AWAY,
  execute: VD_OPT.BACK,
  free: VD_OPT.FREE | VD_OPT.NO_BEGIN,
  drop: VD_OPT.FREE | VD_OPT.DROP | VD_OPT.INT_RETURN,
  qdisc: VD_OPT.QDISC,
  xmit: VD_OPT.INT_RETURN | VD_OPT.GONE | VD_OPT.RECALL | VD_OPT.DEVICE,
  deliver: VD_OPT.DELIVER,
  replace: VD_OPT.GONE | VD_OPT.RECALL,
  segments: VD_OPT.LIST,
  merge: VD_OPT.GONE | VD_OPT.MERGE,
  count: VD_OPT.COUNT,
  failure: VD_OPT.FAILED,
};

/** What an argument of that name says about the others. */
const ARGUMENT_OPTIONS: Record<string, number> = {
  pskb: VD_OPT.REFERENCE,
  dev: VD_OPT.DEVICE,
  qdisc: VD_OPT.QDISC,
  napi: VD_OPT.OF_NAPI,
  socket: VD_OPT.OF_SOCKET,
  net: VD_OPT.OF_NET,
};

/** Where the kernel side expects each argument. */
const SLOTS: Record<string, Slot> = {
  skb: 'SKB',
  pskb: 'SKB',
  sk: 'SK',
  rc: 'RET',
  reason: 'RET',
  aux: 'AUX',
  location: 'AUX',
  a: 'A',
  old: 'A',
  type: 'A',
  preempt: 'A',
  b: 'B',
  new: 'B',
  code: 'B',
  c: 'C',
  d: 'D',
  len: 'C',
  packets: 'D',
  dev: 'OBJECT',
  qdisc: 'OBJECT',
  neigh: 'OBJECT',
  task: 'OBJECT',
  into: 'OBJECT',
  napi: 'OBJECT',
  socket: 'OBJECT',
  net: 'OBJECT',
  object: 'OBJECT',
  table: 'OBJECT',
  ebtable: 'OBJECT',
  chain: 'OBJECT',
  state: 'OTHER',
  prev: 'OTHER',
  next: 'THIRD',
  pkt: 'THIRD',
};

/** Templates by number of words exist for so many (bpf/vdiag.bpf.c). */
const WORDS: Record<string, [least: number, most: number]> = {
  packet: [1, 7],
  clone: [2, 5],
  verdict: [2, 5],
  socket: [1, 7],
  neigh: [1, 7],
  sched: [1, 4],
  point: [1, 7],
};

const NEEDS_RETURN: ReadonlySet<string> = new Set(['clone', 'verdict']);
const HAS_RETURN_PROBE: ReadonlySet<string> = new Set(['packet', 'clone', 'verdict', 'point']);

/** A record has no pointers to anything but skbs and sockets; a point can do without. */
const HAS_RECORD: ReadonlySet<string> = new Set(['packet', 'socket', 'point']);

/** Registers that carry arguments: six on x86-64, of which a kprobe reads no more elsewhere either. */
const MAX_REGISTER_ARGS = 6;
const NOT_IN_REGISTERS = `only the first ${MAX_REGISTER_ARGS} arguments are in registers`;

/**
 * Chooses template and constants for a request.
 * @returns the reason, a plain sentence, when the kernel side has no program for it.
 */
export function planProgram(
  request: AttachRequest,
  kernel: KernelForms = { cookies: false },
): ProgramPlan | { why: string } {
  if (!Object.hasOwn(FAMILY, request.program)) return { why: `there is no program "${request.program}"` };
  const program = request.program as ProgramName;
  const family = FAMILY[program];
  const args = namedArguments(request, program);
  const missing = PROGRAM_ARGS[program].filter((name) => !name.endsWith('?') && args[name] === undefined);
  if (missing.length > 0) return { why: `the position of ${missing.join(' and ')} among its arguments is not known` };
  if (program === 'skb' && args.skb === undefined && args.pskb === undefined) {
    return { why: 'the position of skb among its arguments is not known' };
  }
  const unknown = Object.keys(args).filter((name) => SLOTS[name] === undefined);
  if (unknown.length > 0) return { why: `the program "${program}" has no argument "${unknown[0]}"` };
  const wantReturn = request.wantReturn || NEEDS_RETURN.has(family) || program === 'failure';
  const constants: TemplateConstants = { PROBE: request.index, OPTIONS: optionsOf(request, program, args, wantReturn) };
  for (const [name, position] of Object.entries(args)) constants[SLOTS[name]!] = position;
  return templateFor(request, family, wantReturn, constants, kernel);
}

function templateFor(
  request: AttachRequest,
  family: string,
  wantReturn: boolean,
  constants: TemplateConstants,
  { cookies, isReturn }: KernelForms,
): ProgramPlan | { why: string } {
  const positions = Object.entries(constants).flatMap(([slot, at]) => (slot === 'PROBE' || slot === 'OPTIONS' ? [] : [at]));
  const used = Math.max(0, ...positions) + 1;
  switch (request.backend) {
    case 'raw-tracepoint':
    case 'fentry':
      if (NEEDS_RETURN.has(family) || request.program === 'failure') return { why: 'it needs the return value, so a return probe' };
      return words(family, used, constants);
    case 'fexit':
      if (family === 'sched') return { why: 'the scheduler is watched by its tracepoints' };
      return words(family, request.nargs + 1, { ...constants, RET: request.nargs });
    case 'kprobe-session':
      if (used > MAX_REGISTER_ARGS) return { why: NOT_IN_REGISTERS };
      if (isReturn === undefined) return { why: 'this kernel has no kprobe sessions' };
      if (!HAS_RETURN_PROBE.has(family)) return { why: `the program "${request.program}" takes no return value` };
      return { template: `${family}_session_multi`, constants: { ...constants, IS_RETURN: isReturn }, shared: true };
    case 'kprobe':
    case 'kprobe-multi':
    case 'kretprobe': {
      if (used > MAX_REGISTER_ARGS) return { why: NOT_IN_REGISTERS };
      const shared = cookies || request.backend === 'kprobe-multi';
      const form = shared ? 'multi' : 'regs';
      if (request.backend === 'kretprobe' || wantReturn) {
        if (!HAS_RETURN_PROBE.has(family)) return { why: `the program "${request.program}" takes no return value` };
        return { template: `${family}_enter_${form}`, returnTemplate: `${family}_leave_${form}`, constants, shared };
      }
      if (family === 'sched') return { why: 'the scheduler is watched by its tracepoints' };
      return { template: `${family}_${form}`, constants, shared };
    }
    case 'tracepoint':
      if (!HAS_RECORD.has(family)) return { why: `the record of ${request.target} does not have what it needs` };
      return { template: `${family}_record`, constants };
  }
}

function words(family: string, count: number, constants: TemplateConstants): ProgramPlan | { why: string } {
  const [least, most] = WORDS[family]!;
  if (count > most) return { why: `it has more arguments (${count - 1}) than the program can take` };
  return { template: `${family}_raw_${Math.max(least, count)}`, constants };
}

/** net_dev_xmit(skb, rc, dev, skb_len) (include/trace/events/net.h), the same since 2.6. */
const XMIT_TRACEPOINT = { dev: 2, len: 3 };

/** Arguments of a classic tracepoint's record, as its templates take them: the device of net_dev_xmit by its name. */
function recordArguments(request: AttachRequest): Record<string, number> {
  return Object.fromEntries(Object.entries(request.fields ?? {}).map(([name, place]) => [name, encodePlace(place)]));
}

/** What a catalogue need not say. `priv` of a netfilter function is a table or a chain: its name says which. */
function namedArguments(request: AttachRequest, program: ProgramName): Record<string, number> {
  if (request.backend === 'tracepoint') return recordArguments(request);
  if (program === 'xmit' && request.backend === 'raw-tracepoint') return { ...XMIT_TRACEPOINT, ...request.args };
  const { priv, ...args } = request.args;
  if (program !== 'verdict' || priv === undefined) return request.args;
  if (request.target.startsWith('nft_')) return { ...args, chain: priv };
  if (request.target.startsWith('ebt_')) return { ...args, ebtable: priv };
  return /^(ip|ip6|arp)t_/.test(request.target) ? { ...args, table: priv } : args;
}

function optionsOf(
  request: AttachRequest,
  program: ProgramName,
  args: Record<string, number>,
  wantReturn: boolean,
): number {
  let options = OPTIONS[program] ?? 0;
  if (program === 'xmit' && request.backend === 'tracepoint' && args.dev !== undefined) options |= VD_OPT.DEVICE_NAME;
  if (args.rc !== undefined) options |= VD_OPT.INT_RETURN;
  for (const name of Object.keys(args)) options |= ARGUMENT_OPTIONS[name] ?? 0;
  // Of a failure the kernel side looks at the whole register: the function may return a pointer.
  if (program === 'failure') options |= VD_OPT.RETURN;
  else if (wantReturn && FAMILY[program] !== 'clone') options |= VD_OPT.RETURN | VD_OPT.INT_RETURN;
  // After the function the skb may be gone, and its address another packet's.
  if ((program === 'skb' || program === 'execute') && request.backend === 'fexit') options |= VD_OPT.GONE;
  if (program === 'verdict') {
    if (args.table !== undefined) options |= VD_OPT.TABLE;
    if (args.ebtable !== undefined) options |= VD_OPT.EBTABLE;
    if (args.chain !== undefined) options |= VD_OPT.CHAIN;
    if (request.target.startsWith('nf_hook_slow')) options |= VD_OPT.HOOK_SLOW;
  }
  if (program === 'socket' && args.old === undefined) {
    options |= VD_OPT.STATE;
    if (args.new === undefined) options |= VD_OPT.STATE_STAYS;
  }
  if (args.prev !== undefined && args.next !== undefined) options |= VD_OPT.SWITCH;
  return options;
}
