import { VdiagError } from '../base/errors.js';
import { openTracefs } from '../bpf/tracefs.js';
import type { AttachedProbe, AttachRequest, FailedProbe } from '../bpf/types.js';
import type { Step } from './backends.js';
import { type Catalogue, type ProbeSelection, selectPoints } from './catalogue.js';
import type { TracepointRecords } from './classic-tracepoints.js';
import { explainCause } from './causes.js';
import { type KernelFunctions, kernelFiles, readKernelFunctions } from './kernel-functions.js';
import type { KernelTypes } from './kernel-types.js';
import { meaningOnKernel } from './returns.js';
import { stepsOf } from './steps.js';
import { callerOf, SOME_CALLER } from './tracepoint-callers.js';
import type { KernelCapabilities, PlannedProbe, ProbeCause, ProbePlan, ProbePoint } from './types.js';

/** A plan, what to ask the kernel for, and what is left to try should it refuse. */
export interface AttachPlan {
  plan: ProbePlan;
  /** One for each probe of the plan that has a backend. */
  requests: AttachRequest[];
  /** By probe index: the steps that come after the current one. */
  untried: ReadonlyMap<number, readonly Step[]>;
}

/** What came of attaching, as a TraceSession tells it. */
export interface AttachResults {
  attached: readonly AttachedProbe[];
  failed: readonly FailedProbe[];
}

/**
 * Plans how each point of a selection is attached on this kernel. Nothing is attached: see {@link afterAttach}.
 * @param types the kernel's BTF; absent on kernels without it, where the catalogue's own argument positions must do
 * @param functions the kernel's functions; read from this host when absent
 * @param records what tracefs tells of classic tracepoints; read from this host when absent
 * @throws VdiagError (status 2) for probes, groups or sets that do not exist
 */
export function planProbes(
  catalogue: Catalogue,
  selection: ProbeSelection & {
    /** Points whose return value rules ask for, beside those that need it anyway. */
    wantReturn?: readonly string[];
  },
  capabilities: KernelCapabilities,
  types: KernelTypes | undefined,
  functions: KernelFunctions = functionsOfHost([...catalogue.points, ...(selection.extra ?? [])], capabilities.release),
  records: TracepointRecords | undefined = openTracefs(),
): AttachPlan {
  const points = [...selectPoints(catalogue, selection), ...(selection.extra ?? [])];
  const present = modulesWithFunctions(catalogue, functions);
  const context = {
    capabilities,
    types,
    ...(records && { records }),
    functions: {
      status: functions.status.bind(functions),
      variant: functions.variant.bind(functions),
      nearest: functions.nearest?.bind(functions),
      // Modules that are built in often have no trace but their functions.
      module: (name: string) => (present.has(name) ? ('present' as const) : functions.module(name)),
    },
    ...(selection.backends && { backends: selection.backends }),
  };
  const plan: ProbePlan = { set: selection.set, probes: [] };
  const requests: AttachRequest[] = [];
  const untried = new Map<number, readonly Step[]>();
  points.forEach((point, index) => {
    const wantReturn =
      point.function !== undefined &&
      (point.wantReturn === true || (selection.wantReturn?.includes(point.name) ?? false));
    const fitted = withReturnsOf(point, functions, types);
    const next = advance({ index, point: fitted, reasons: [] }, stepsOf(fitted, index, wantReturn, context));
    plan.probes.push(next.probe);
    if (next.request) requests.push(next.request);
    untried.set(index, next.rest);
  });
  return { plan, requests, untried };
}

/** The point as this kernel has it: what its function's return value means there. */
function withReturnsOf(point: ProbePoint, functions: KernelFunctions, types: KernelTypes | undefined): ProbePoint {
  if (point.returns === undefined || point.tracepoint !== undefined) return point;
  const name = functionNames([point]).find((known) => functions.status(known, false) !== 'absent');
  const returns = meaningOnKernel(point.returns, name === undefined ? undefined : types?.returnType?.(name));
  return returns === point.returns || returns === undefined ? point : { ...point, returns };
}

/** The functions that points name, as this host's kernel has them. */
export function functionsOfHost(points: readonly ProbePoint[], release: string): KernelFunctions {
  return readKernelFunctions(qualifiedNames(points), kernelFiles(release));
}

function modulesWithFunctions(catalogue: Catalogue, functions: KernelFunctions): Set<string> {
  const found = new Set<string>();
  for (const point of catalogue.points) {
    if (!point.module || found.has(point.module)) continue;
    if (functionNames([point]).some((name) => functions.status(name, false) !== 'absent')) found.add(point.module);
  }
  return found;
}

/** The same, and with their modules' names, for those whose name others have as well; and what calls tracepoints' probes. */
export function qualifiedNames(points: readonly ProbePoint[]): string[] {
  const names = points.flatMap((point) => {
    const own = functionNames([point]);
    const qualified = point.module === undefined ? [] : own.map((name) => `${point.module}:${name}`);
    return [...own, ...qualified, ...(point.tracepoint === undefined ? [] : [callerOf(point.tracepoint)])];
  });
  return [...names, SOME_CALLER];
}

/** Every function and alias that points name. */
export function functionNames(points: readonly ProbePoint[]): string[] {
  return points.flatMap((point) => [...(point.function ? [point.function] : []), ...(point.aliases ?? [])]);
}

/**
 * Takes in what the kernel said. Probes that it refused go on to their next way of attaching, with the refusal among
 * their reasons, or are left out. `retry` lists only the changed requests, `requests` all: attach again with the latter
 * (or keep the session and do without the former) until `retry` is empty.
 */
export function afterAttach(before: AttachPlan, results: AttachResults): AttachPlan & { retry: AttachRequest[] } {
  const refusals = new Map(results.failed.map((failure) => [failure.index, failure.why]));
  const used = new Map(results.attached.map((probe) => [probe.index, probe]));
  const current = new Map(before.requests.map((request) => [request.index, request]));
  const untried = new Map(before.untried);
  const retry: AttachRequest[] = [];
  const probes = before.plan.probes.map((probe): PlannedProbe => {
    const refusal = refusals.get(probe.index);
    if (refusal === undefined || !probe.backend) {
      const attached = used.get(probe.index);
      return attached ? { ...probe, backend: attached.backend, target: attached.target } : probe;
    }
    current.delete(probe.index);
    const cause: ProbeCause = { code: 'attach-refused', detail: `${probe.target} by ${probe.backend}: ${refusal}` };
    const next = advance(withCause(probe, cause), untried.get(probe.index) ?? []);
    untried.set(probe.index, next.rest);
    if (next.request) {
      retry.push(next.request);
      current.set(probe.index, next.request);
    }
    return next.probe;
  });
  const requests = probes.flatMap((probe) => current.get(probe.index) ?? []);
  return { plan: { ...before.plan, probes }, requests, untried, retry };
}

/** The plan when no more is tried: probes that would still have had a retry are left out. */
export function withoutRetries(after: AttachPlan & { retry: readonly AttachRequest[] }): ProbePlan {
  const waiting = new Set(after.retry.map(({ index }) => index));
  return {
    ...after.plan,
    probes: after.plan.probes.map((probe) => (waiting.has(probe.index) ? detached(probe) : probe)),
  };
}

/**
 * Ends a run whose question cannot be answered.
 * @throws VdiagError (status 3) naming each required probe that has no backend, and why.
 */
export function requireAttached(plan: ProbePlan, names: readonly string[]): void {
  const problems = plan.probes
    .filter((probe) => !probe.backend && names.includes(probe.point.name))
    .map(({ point, reasons }) => ({
      message: `probe "${point.name}" is required and cannot be attached: ${reasons.join('; ')}`,
      hint: 'vdiag doctor says what this host allows',
    }));
  if (problems.length > 0) throw new VdiagError(problems, 3);
}

/** Walks along the steps to the next thing to try, collecting the reasons on the way. */
function advance(
  probe: PlannedProbe,
  steps: readonly Step[],
): { probe: PlannedProbe; request?: AttachRequest; rest: readonly Step[] } {
  let planned = detached(probe);
  for (const [i, step] of steps.entries()) {
    if ('request' in step) {
      const { backend, target } = step.request;
      return { probe: { ...planned, backend, target }, request: step.request, rest: steps.slice(i + 1) };
    }
    planned = withCause(planned, step.cause);
  }
  return { probe: planned, rest: [] };
}

function detached({ index, point, reasons, causes }: PlannedProbe): PlannedProbe {
  return { index, point, reasons, ...(causes && { causes }) };
}

function withCause(probe: PlannedProbe, cause: ProbeCause): PlannedProbe {
  const causes = probe.causes ?? [];
  if (causes.some(({ code, detail }) => code === cause.code && detail === cause.detail)) return probe;
  return { ...probe, reasons: [...probe.reasons, explainCause(cause)], causes: [...causes, cause] };
}
