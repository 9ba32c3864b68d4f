import { type BtfArgument, PROGRAM_ARGS, type ProgramName } from '../bpf/types.js';
import type { ProbeCause } from './types.js';

/** Where a program finds its arguments in a tracepoint or function. */
export interface ArgumentPositions {
  /** 0-based positions by the names of PROGRAM_ARGS. */
  args: Record<string, number>;
  /** Arguments in all. */
  nargs: number;
  /** What is not as the catalogue says, though the probe works. */
  notes: ProbeCause[];
}

/** Arguments that their type tells: everything else (integers, void pointers) has its position in the catalogue. */
const BY_TYPE: Record<string, { type: string; pointer: boolean; nth?: number }> = {
  skb: { type: 'sk_buff', pointer: true },
  sk: { type: 'sock', pointer: true },
  into: { type: 'sk_buff', pointer: true, nth: 0 },
  state: { type: 'nf_hook_state', pointer: true },
  table: { type: 'xt_table', pointer: true },
  ebtable: { type: 'ebt_table', pointer: true },
  pkt: { type: 'nft_pktinfo', pointer: true },
  chain: { type: 'nft_chain', pointer: true },
  qdisc: { type: 'Qdisc', pointer: true },
  neigh: { type: 'neighbour', pointer: true },
  task: { type: 'task_struct', pointer: true },
  prev: { type: 'task_struct', pointer: true, nth: 0 },
  next: { type: 'task_struct', pointer: true, nth: 1 },
  reason: { type: 'skb_drop_reason', pointer: false },
  dev: { type: 'net_device', pointer: true },
  napi: { type: 'napi_struct', pointer: true },
  socket: { type: 'socket', pointer: true },
  net: { type: 'net', pointer: true },
};

/** Of a point without a packet, the arguments that tell where it is: the record has room for one, the first that is there. */
const PLACES = ['object', 'dev', 'napi', 'qdisc', 'socket', 'net'];

/** Programs with only optional arguments still need one of these combinations. */
const NEEDS_ONE_OF: Partial<Record<ProgramName, string[][]>> = {
  skb: [['skb'], ['pskb']],
  socket: [['sk'], ['skb']],
  verdict: [['skb'], ['pkt']],
  sched: [['task'], ['prev', 'next']],
};

/** Arguments without a type of their own that are pointers to void: code addresses, a hook's private data. */
const POINTER_NUMBERS = new Set(['location', 'priv', 'aux']);

/** Programs of points without a packet (bpf/point.h). */
const POINTS: ReadonlySet<ProgramName> = new Set<ProgramName>(['point', 'count', 'failure']);

/**
 * Finds the arguments of a program by their types in BTF. The catalogue's positions (`expected`) serve for what types do
 * not tell, and only while what types do tell stands where the catalogue has it: a prototype that was changed in one
 * place may have changed in others, and a wrong number must not pass for data.
 */
export function findArguments(
  program: ProgramName,
  prototype: readonly BtfArgument[],
  expected: Readonly<Record<string, number>> = {},
): ArgumentPositions | { cause: ProbeCause } {
  const wanted = PROGRAM_ARGS[program].map((name) => ({
    name: name.replace('?', ''),
    optional: name.endsWith('?'),
  }));
  const args: Record<string, number> = {};
  const moved: string[] = [];
  for (const { name } of wanted) {
    const position = positionByType(name, prototype);
    if (position === undefined) continue;
    if (name === 'pskb' && args.skb !== undefined) continue;
    args[name] = position;
    if (expected[name] !== undefined && expected[name] !== position) moved.push(name);
  }
  const lost: string[] = [];
  for (const { name } of wanted) {
    if (args[name] !== undefined || expected[name] === undefined) continue;
    const argument = prototype[expected[name]];
    // An older kernel has fewer: that is no change of what is there.
    if (!argument) continue;
    if (moved.length === 0 && isAsExpected(name, argument)) args[name] = expected[name];
    else lost.push(name);
  }
  if (program === 'sched' && args.prev !== undefined && args.next === undefined) delete args.prev;
  if (args.next !== undefined) delete args.task;
  if (POINTS.has(program)) keepOnePlace(args, expected);

  const missing = wanted.filter(({ name, optional }) => !optional && args[name] === undefined);
  const choices = NEEDS_ONE_OF[program];
  if (missing.length > 0 || (choices && !choices.some((names) => names.every((name) => args[name] !== undefined)))) {
    return { cause: whyMissing(missing[0]?.name ?? choices?.[0][0] ?? 'skb', prototype) };
  }
  const notes: ProbeCause[] = [];
  // iptables before 5.16 has the table as an argument of its own type: then the void pointer is not missed.
  const missed = lost.filter((name) => name !== 'priv' || (args.table === undefined && args.ebtable === undefined));
  if (missed.length > 0) {
    notes.push({ code: 'prototype-changed', detail: `(${describe(prototype)}); ${missed.join(', ')} not recorded` });
  }
  return { args, nargs: prototype.length, notes };
}

function keepOnePlace(args: Record<string, number>, expected: Readonly<Record<string, number>>): void {
  const kept = PLACES.find((name) => args[name] !== undefined && expected[name] !== undefined);
  const first = kept ?? PLACES.find((name) => args[name] !== undefined);
  for (const name of PLACES) if (name !== first) delete args[name];
}

function positionByType(name: string, prototype: readonly BtfArgument[]): number | undefined {
  if (name === 'pskb') {
    const position = prototype.findIndex(isByReference);
    return position < 0 ? undefined : position;
  }
  const sought = BY_TYPE[name];
  if (!sought) return undefined;
  const positions = prototype.flatMap((argument, i) =>
    argument.type === sought.type && argument.pointer === sought.pointer ? [i] : [],
  );
  if (sought.nth !== undefined) return positions[sought.nth];
  // skb_gro_receive(p, skb): the one that has the name says it best.
  return positions.find((i) => prototype[i].name === name) ?? positions[0];
}

/** `struct sk_buff **pskb`: BTF arguments tell a pointer to a pointer, and the kernel's naming to what. */
function isByReference(argument: BtfArgument): boolean {
  return argument.type === 'void *' && (argument.name === 'pskb' || argument.name === 'skbp');
}

function isAsExpected(name: string, argument: BtfArgument): boolean {
  if (name === 'object') return argument.pointer;
  // What its type would tell is not here: a number in its place must not be read as a pointer.
  if (BY_TYPE[name]?.pointer) return false;
  return !argument.pointer || (POINTER_NUMBERS.has(name) && argument.type === 'void');
}

function whyMissing(name: string, prototype: readonly BtfArgument[]): ProbeCause {
  const byReference = prototype.find(isByReference);
  if (name === 'skb' && byReference) return { code: 'by-reference', detail: 'it' };
  return { code: 'prototype-changed', detail: `(${describe(prototype)}) has no ${BY_TYPE[name]?.type ?? name}` };
}

function describe(prototype: readonly BtfArgument[]): string {
  const words = prototype.map(({ name, type, pointer }) => {
    const stars = pointer ? (type.endsWith('*') ? '*' : ' *') : ' ';
    return `${type}${stars}${name}`.trim();
  });
  return words.join(', ') || 'none';
}
