import { arch, release } from 'node:os';
import { KernelBtf } from '../bpf/btf.js';
import { Libbpf } from '../bpf/libbpf.js';
import { dropReasonsBy, kernelSupport } from '../bpf/support.js';
import { openTrace } from '../bpf/trace-session.js';
import type { Flavour, KernelSupport, TraceOptions, TraceSession } from '../bpf/types.js';
import { VdiagError } from '../base/errors.js';
import type { DoctorInput } from '../probes/doctor.js';
import { capabilitiesOf } from '../probes/capabilities.js';
import { type Catalogue, type ProbeSelection, selectPoints } from '../probes/catalogue.js';
import { discoverFunctions, type DiscoveryWish } from './discovery.js';
import { afterAttach, planProbes, requireAttached, withoutRetries } from '../probes/plan.js';
import type { KernelTypes } from '../probes/kernel-types.js';
import type { KernelCapabilities, ProbePlan } from '../probes/types.js';
import type { GivenTypes } from '../bpf/synthesis/given-types.js';
import { fittingTypes, tableFor, withEnumsOf } from './given-kernel.js';

/** What this kernel allows, and its types. */
export interface HostKernel {
  /** Which compiled object runs here. */
  flavour: Flavour;
  capabilities: KernelCapabilities;
  types: KernelTypes | undefined;
  /** Where programs get the kernel's types, when not from the kernel itself. */
  btfFile?: string;
}

/**
 * Asks the kernel what it allows.
 * @param btf types for a kernel without BTF, as `--btf` names them; they are checked on packets of vdiag's own
 * @param wanted the object to run; absent: the modern one where the kernel can make a ring buffer, else the legacy one
 * @throws VdiagError (3) without libbpf, for types that are not this kernel's, or when the kernel cannot run what is
 *   wanted; (2) for a file that has no types
 */
export function examineKernel(btf?: string, wanted?: Flavour): HostKernel {
  const support = kernelSupport();
  const flavour = chooseFlavour(support, wanted);
  const given = btf === undefined ? shippedTypes(support, flavour) : fittingTypes(btf, support.release, flavour);
  if (given) {
    const dropReasons = dropReasonsBy(given.types);
    return {
      flavour,
      capabilities: capabilitiesOf({ ...support, btf: { ok: true }, ...(!support.btf.ok && { dropReasons }) }),
      types: support.btf.ok ? withEnumsOf(given.types, KernelBtf.load()) : given.types,
      btfFile: given.file,
    };
  }
  const capabilities = capabilitiesOf(support);
  return { flavour, capabilities, types: capabilities.btf ? KernelBtf.load() : undefined };
}

/** Which object runs; what the legacy one cannot do is then a lack. */
function chooseFlavour(support: KernelSupport, wanted?: Flavour): Flavour {
  const flavour = wanted ?? (support.ringBuffer.ok ? 'modern' : 'legacy');
  if (flavour === 'modern' && wanted && !support.ringBuffer.ok) {
    throw new VdiagError(
      {
        message: `the modern flavour does not run here: ${support.ringBuffer.why ?? 'no ring buffer'}`,
        hint: 'leave --flavour out, or force --flavour legacy',
      },
      3,
    );
  }
  if (flavour === 'legacy' && support.kprobeMulti.ok) {
    const lacking = { ok: false, why: 'the legacy flavour has no programs for kprobe-multi' };
    Object.assign(support, { kprobeMulti: lacking, kprobeSession: lacking });
  }
  return flavour;
}

/** For a kernel without BTF, the table that ships for its release; if it does not fit after all, that is why there is none. */
function shippedTypes(support: KernelSupport, flavour: Flavour): GivenTypes | undefined {
  const name = support.btf.ok ? undefined : tableFor(support.release);
  if (name === undefined) return undefined;
  try {
    return fittingTypes(name, support.release, flavour);
  } catch (error) {
    if (!(error instanceof VdiagError)) throw error;
    support.btf.why = `${support.btf.why ?? 'no BTF'}; ${error.problems[0]!.message}`;
    return undefined;
  }
}

/** Examines the kernel. @throws VdiagError (3) without libbpf, or when this process can trace nothing here */
export function requireTracing(btf?: string, flavour?: Flavour): HostKernel {
  const kernel = examineKernel(btf, flavour);
  if (!kernel.capabilities.rawTracepoint && !kernel.capabilities.kprobe) throw cannotTrace(kernel.capabilities);
  return kernel;
}

/** How often a refused probe may fall back to its next backend. */
const MAX_ROUNDS = 4;

/**
 * Attaches a selection of probes, and what is discovered beside it: each by the best way that the kernel does not refuse.
 * @throws VdiagError (3) if nothing at all can be attached, or a required point cannot
 */
export function attachProbes(
  kernel: HostKernel,
  catalogue: Catalogue,
  selection: ProbeSelection & { wantReturn?: readonly string[]; discover?: DiscoveryWish },
  options: Omit<TraceOptions, 'requests'>,
): { session: TraceSession; plan: ProbePlan } {
  const { capabilities, types, btfFile, flavour } = kernel;
  const { discover } = selection;
  const discovery =
    discover && discoverFunctions(kernel, catalogue, discover, selectPoints(catalogue, selection).length);
  const extra = discovery && { extra: discovery.points };
  const planned = planProbes(catalogue, { ...selection, ...extra }, capabilities, types);
  if (discovery) planned.plan.discovery = { found: discovery.found, taken: discovery.points.length };
  const required = selection.require ?? [];
  requireAttached(planned.plan, required);
  const session = openTrace({ ...options, requests: planned.requests, btfFile, flavour });
  try {
    let next = afterAttach(planned, session);
    for (let round = 1; next.retry.length > 0 && round < MAX_ROUNDS; round++) {
      session.attachMore(next.retry);
      next = afterAttach(next, session);
    }
    const plan = withoutRetries(next);
    requireAttached(plan, required);
    if (session.attached.length === 0) throw cannotTrace(capabilities);
    return { session, plan };
  } catch (error) {
    session.close();
    throw error;
  }
}

function cannotTrace({ lacks }: KernelCapabilities): VdiagError {
  const lack = lacks.find(({ capability }) => capability === 'rawTracepoint');
  return new VdiagError(
    {
      message: `nothing can be traced here: ${lack?.why ?? 'the kernel refused every probe'}`,
      hint: lack?.cure ?? 'vdiag doctor says what this host lacks; a recording can be replayed without any of it',
    },
    3,
  );
}

/** What `vdiag doctor` looks at; a library that is missing is a finding there, not an error. */
export function hostForDoctor(btf?: string): DoctorInput {
  let libbpf: string;
  try {
    libbpf = Libbpf.get().version;
  } catch (error) {
    const why = 'libbpf.so.1 cannot be loaded';
    const message = error instanceof VdiagError ? error.problems[0].message : (error as Error).message;
    return { capabilities: capabilitiesOf(noSupport(why)), types: undefined, libbpf: new Error(message) };
  }
  return { ...examineKernel(btf), libbpf };
}

function noSupport(why: string): KernelSupport {
  const no = { ok: false, why };
  return {
    ...{ release: release(), arch: arch(), btf: no, ringBuffer: no, rawTracepoint: no, tracepoint: no },
    ...{ kprobe: no, kretprobe: no, kprobeMulti: no, kprobeSession: no, fentry: no, dropReasons: no },
  };
}
