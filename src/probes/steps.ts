import { type AttachBackend, type AttachRequest, PROGRAM_ARGS, type ProgramName } from '../bpf/types.js';
import { type ArgumentPositions, findArguments } from './arguments.js';
import { isAskedFor, onlyBackends, type Step } from './backends.js';
import { needsReturn } from './catalogue.js';
import { NEEDS_NOTHING, classicTracepoint, type TracepointRecords } from './classic-tracepoints.js';
import type { KernelFunctions } from './kernel-functions.js';
import type { KernelTypes } from './kernel-types.js';
import { positionsOf } from './positions.js';
import { isSurelyAbsent } from './tracepoint-callers.js';
import type { Backend, KernelCapabilities, ProbeCause, ProbePoint } from './types.js';

/** What a point's steps depend on. */
export interface StepContext {
  capabilities: KernelCapabilities;
  /** Absent: there is no BTF. */
  types: KernelTypes | undefined;
  functions: KernelFunctions;
  /** What tracefs tells of classic tracepoints; absent: it is not mounted. */
  records?: TracepointRecords;
  /** Only these ways of attaching, in this order. */
  backends?: readonly Backend[];
}

/** Function arguments that are passed in registers, on x86-64 and as many as the kprobe programs read elsewhere. */
const REGISTER_ARGUMENTS = 6;

/**
 * Every way of attaching one point on this kernel, best first, with the reasons for what is left out in between. A raw
 * tracepoint costs least, the classic one more, a probe of a function still more; kprobe-multi attaches a thousand functions as fast as one; fexit sees
 * arguments and return value together, as a kprobe session does by one program for many functions; fentry detaches slowly (a grace period each), so it comes last.
 */
export function stepsOf(point: ProbePoint, index: number, wantReturn: boolean, context: StepContext): Step[] {
  const steps = [...tracepointSteps(point, index, context), ...classicSteps(point, index, context)];
  steps.push(...functionSteps(point, index, wantReturn, context));
  return context.backends ? onlyBackends(steps, context.backends) : steps;
}

function tracepointSteps(point: ProbePoint, index: number, context: StepContext): Step[] {
  if (!point.tracepoint) return [];
  if (!context.capabilities.rawTracepoint) return [{ cause: { code: 'no-raw-tracepoints' } }];
  const name = point.tracepoint.slice(point.tracepoint.indexOf(':') + 1);
  const expected = point.args?.tracepoint;
  const prototype = context.types?.tracepointArgs(name);
  const absent = prototype ? undefined : absentModule(point, context);
  if (absent) return [{ cause: absent }];
  if (!prototype && (isKnown(point, context.types) || isSurelyAbsent(point.tracepoint, context.functions))) {
    return [{ cause: { code: 'no-tracepoint', detail: point.tracepoint } }];
  }
  const found = prototype ? findArguments(program(point), prototype, expected) : withoutBtf(point, expected);
  if ('cause' in found) return [found];
  return [
    ...notes(found),
    { request: { ...base(point, index, found), backend: 'raw-tracepoint', target: point.tracepoint } },
  ];
}

/** A tracepoint that the kernel's types do not know is not in tracefs either. */
function classicSteps({ tracepoint, ...rest }: ProbePoint, index: number, context: StepContext): Step[] {
  if (!tracepoint || !isAskedFor('tracepoint', context.backends)) return [];
  const known = context.types?.tracepointArgs(tracepoint.slice(tracepoint.indexOf(':') + 1));
  const lacking = (): boolean =>
    isKnown(rest, context.types) || !!absentModule(rest, context) || isSurelyAbsent(tracepoint, context.functions);
  if (!known && lacking()) return [];
  return [classicTracepoint({ ...rest, tracepoint }, index, context.capabilities, context.records)];
}

function functionSteps(point: ProbePoint, index: number, wantReturn: boolean, context: StepContext): Step[] {
  const names = point.function ? [point.function, ...(point.aliases ?? [])] : [];
  const { capabilities, functions } = context;
  const present = names.filter((name) => functions.status(name, false) !== 'absent');
  if (present.length === 0) {
    if (names.length === 0) return [];
    const module = absentModule(point, context);
    return module
      ? [{ cause: module }]
      : [{ cause: { code: 'no-function', detail: names.join(', ') } }, ...misspelt(point, context)];
  }
  if (!capabilities.kprobe && !capabilities.fentry) {
    return [{ cause: { code: 'no-kprobes' } }, { cause: { code: 'no-fentry' } }];
  }
  return names.flatMap((plain) => {
    const name = inItsModule(plain, point, functions);
    const status = functions.status(name, false);
    if (status === 'absent') return [{ cause: { code: 'no-function', detail: name } }];
    if (status === 'compiler-changed') {
      return [{ cause: { code: 'compiler-changed', detail: functions.variant(name) ?? name } }];
    }
    if (status === 'ambiguous') return [{ cause: { code: 'ambiguous', detail: name } }];
    const prototype = context.types?.functionArgs(name);
    const expected = positionsOf(point, plain, capabilities.release);
    const found = prototype
      ? findArguments(program(point), prototype, expected)
      : isKnown(point, context.types)
        ? ({ cause: { code: 'no-prototype', detail: name } } as const)
        : withoutBtf(point, expected);
    if ('cause' in found) return [{ cause: { ...found.cause, ...(found.cause.detail === 'it' && { detail: name }) } }];
    const renamed: Step[] = plain === point.function ? [] : [{ cause: { code: 'other-name', detail: name } }];
    return [...renamed, ...notes(found), ...backendSteps(point, index, wantReturn, name, found, context)];
  });
}

/** A function that no kernel is known to have may be misspelt; of others the lack is this kernel's. */
function misspelt({ function: name, kernels }: ProbePoint, { functions }: StepContext): Step[] {
  const nearest = kernels === undefined && name !== undefined ? functions.nearest?.(name) : undefined;
  return nearest === undefined ? [] : [{ cause: { code: 'nearest-function', detail: nearest } }];
}

/** `ip_gre:gre_rcv` where several functions are called gre_rcv, and one of them is of the point's module. */
function inItsModule(name: string, { module }: ProbePoint, functions: KernelFunctions): string {
  if (module === undefined || functions.status(name, false) !== 'ambiguous') return name;
  const qualified = `${module}:${name}`;
  return functions.status(qualified, false) === 'attachable' ? qualified : name;
}

/** The ways of attaching one function whose arguments are known. */
function backendSteps(
  point: ProbePoint,
  index: number,
  wantReturn: boolean,
  target: string,
  found: ArgumentPositions,
  context: StepContext,
): Step[] {
  const { capabilities, functions } = context;
  const steps: Step[] = [];
  const traceable = functions.status(target, true) === 'attachable';
  // A trampoline (arch_prepare_bpf_trampoline) takes no function with arguments on the stack, wanted or not.
  const forTrampoline = found.nargs <= REGISTER_ARGUMENTS;
  const inRegisters = Object.values(found.args).every((position) => position < REGISTER_ARGUMENTS);
  const attach = (backend: AttachBackend, withReturn: boolean): void => {
    steps.push({ request: { ...base(point, index, found), backend, target, wantReturn: withReturn } });
  };
  const lack = (cause: ProbeCause): void => {
    steps.push({ cause });
  };
  if (wantReturn) {
    if (!capabilities.fentry) lack({ code: 'no-fentry' });
    else if (!traceable) lack({ code: 'not-traceable', detail: target });
    else if (!forTrampoline) lack({ code: 'argument-in-memory', detail: target });
    else if (context.types?.functionArgs(target)) attach('fexit', true);
    const multi = traceable && inRegisters && capabilities.kretprobe;
    if (multi && capabilities.kprobeSession) attach('kprobe-session', true);
    if (multi && capabilities.kprobeMulti) attach('kprobe-multi', true);
    if (!capabilities.kretprobe) lack({ code: 'no-kretprobes' });
    else if (inRegisters) attach('kretprobe', true);
    else lack({ code: 'argument-in-memory', detail: target });
    if (needsReturn(point)) return steps;
    lack({ code: 'return-lost' });
  }
  if (capabilities.kprobeMulti && traceable && inRegisters) attach('kprobe-multi', false);
  if (!capabilities.kprobe) lack({ code: 'no-kprobes' });
  else if (inRegisters) attach('kprobe', false);
  else lack({ code: 'argument-in-memory', detail: target });
  if (!capabilities.fentry) lack({ code: 'no-fentry' });
  else if (!traceable) lack({ code: 'not-traceable', detail: target });
  else if (!forTrampoline) lack({ code: 'argument-in-memory', detail: target });
  else if (context.types?.functionArgs(target)) attach('fentry', false);
  return steps;
}

function base(point: ProbePoint, index: number, found: ArgumentPositions): Omit<AttachRequest, 'backend' | 'target'> {
  return { index, program: point.program, args: found.args, nargs: found.nargs, wantReturn: false };
}

function notes(found: ArgumentPositions): Step[] {
  return found.notes.map((cause) => ({ cause }));
}

function program(point: ProbePoint): ProgramName {
  return point.program as ProgramName;
}

/** A module that is not there explains the absence of its tracepoints and functions. */
function absentModule(
  point: Pick<ProbePoint, 'module' | 'function' | 'aliases'>,
  context: StepContext,
): ProbeCause | undefined {
  if (!point.module) return undefined;
  const names = point.function ? [point.function, ...(point.aliases ?? [])] : [];
  if (names.some((name) => context.functions.status(name, false) !== 'absent')) return undefined;
  switch (context.functions.module(point.module)) {
    case 'present':
      return undefined;
    case 'not-loaded':
      return { code: 'module-not-loaded', detail: point.module };
    case 'absent':
      return { code: 'module-absent', detail: point.module };
  }
}

/** Whether BTF would tell a function of the point if it were as its source says: then the catalogue may not guess. */
function isKnown({ module }: Pick<ProbePoint, 'module'>, types: KernelTypes | undefined): boolean {
  if (!types || types.partial) return false;
  return module === undefined || (types.hasModule?.(module) ?? true);
}

/** Positions as the catalogue has them, for want of BTF. */
function withoutBtf(
  point: ProbePoint,
  expected: Readonly<Record<string, number>> | undefined,
): ArgumentPositions | { cause: ProbeCause } {
  // That it was passed is all that a point without a packet must tell.
  if (!expected && NEEDS_NOTHING.has(point.program)) return { args: {}, nargs: 0, notes: [] };
  if (!expected) return { cause: { code: 'no-btf' } };
  if (Object.keys(expected).length === 0) {
    return { cause: { code: 'prototype-changed', detail: "this kernel's are not those that are known" } };
  }
  const wanted: readonly string[] = PROGRAM_ARGS[program(point)];
  const known = wanted.map((name) => name.replace('?', ''));
  const args = Object.fromEntries(Object.entries(expected).filter(([name]) => known.includes(name)));
  return { args, nargs: Math.max(...Object.values(args)) + 1, notes: [] };
}
