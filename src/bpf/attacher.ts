import { closeSync } from 'node:fs';
import {
  attachProbe,
  attachProbeMulti,
  attachRawTracepoint,
  attachTracepoint,
  attachTrampoline,
  type ProbeTarget,
} from './attach.js';
import { KernelBtf } from './btf.js';
import { loadProgram, type LoadedProgram, type ProgramKind } from './load-program.js';
import type { ProgramPlan } from './programs.js';
import { probeMisses, recursionMisses, runTimeNs, verifiedInstructions } from './program-info.js';
import { functionAddresses } from './symbols.js';
import { patchTemplate } from './template.js';
import type { AttachBackend, AttachRequest, AttachedProbe, FailedProbe, MissedHits, ProbeCost } from './types.js';

/** A request, and the program that it becomes. */
export interface Planned {
  request: AttachRequest;
  plan: ProgramPlan;
}

/** Probes that are in their place together: one, or those of one kprobe.multi link. */
interface Placed {
  probes: number[];
  links: number[];
  programs: LoadedProgram[];
}

/** How many refusals in a row show that it is not the single function that the kernel refuses. */
const REFUSED_FOR_ALL = 16;

/**
 * Puts programs in their places. Probes that differ in nothing but their number share a program where the kernel tells
 * programs the number (attach cookies): loading one costs far more than attaching it.
 */
export class Attacher {
  readonly attached: AttachedProbe[] = [];
  readonly failed: FailedProbe[] = [];
  readonly costs: ProbeCost[] = [];
  /** Entries wait for their returns in a map. */
  watchesReturns = false;
  readonly #placed: Placed[] = [];
  readonly #shared = new Map<string, LoadedProgram>();
  readonly #programs: LoadedProgram[] = [];
  #btf: KernelBtf | undefined;

  /** @param template relocated instructions of a template */
  constructor(readonly template: (name: string) => Uint8Array) {}

  /** Attaches what can be; what cannot goes to `failed`, with the reason. `onProgress` gets how many are done. */
  attach(planned: readonly Planned[], onProgress: (count: number) => void): void {
    const addresses = addressesNeeded(planned);
    const multi = planned.filter(({ request }) => isMulti(request.backend));
    for (const group of groupsOfMulti(multi)) {
      this.#attachGroup(group, addresses);
      onProgress(group.length);
    }
    for (const one of planned) {
      if (isMulti(one.request.backend)) continue;
      this.#try([one.request], () => this.#attachOne(one, addresses));
      onProgress(1);
    }
  }

  /** Links that are quick to close, and those whose closing takes a grace period or more each. */
  links(): { quick: number[]; slow: number[] } {
    const raw = new Set(this.attached.flatMap(({ index, backend }) => (backend === 'raw-tracepoint' ? [index] : [])));
    const quick: number[] = [];
    const slow: number[] = [];
    for (const { probes, links } of this.#placed) (raw.has(probes[0]!) ? quick : slow).push(...links);
    return { quick, slow };
  }

  /** What the kernel did not run the programs for, as far as it tells. */
  missed(): MissedHits[] {
    const byProgram = new Map<LoadedProgram, number[]>();
    const missed: MissedHits[] = [];
    for (const { probes, links, programs } of this.#placed) {
      const misses = links.reduce((sum, link) => sum + probeMisses(link), 0);
      if (misses > 0) missed.push({ probes, missed: misses });
      for (const program of programs) byProgram.set(program, [...(byProgram.get(program) ?? []), ...probes]);
    }
    for (const [program, probes] of byProgram) {
      const misses = recursionMisses(program.fd);
      if (misses > 0) missed.push({ probes, missed: misses });
    }
    return missed;
  }

  /** s of CPU time of all programs, as far as the kernel has counted it. */
  kernelCpuSeconds(): number {
    return this.#programs.reduce((sum, { fd }) => sum + runTimeNs(fd), 0) / 1e9;
  }

  /** Forgets links and closes the programs' descriptors: the links, wherever they are open, keep the programs. */
  release(): void {
    this.#placed.length = 0;
    this.#shared.clear();
    for (const { fd } of this.#programs.splice(0)) closeSync(fd);
  }

  /** Functions with one program: all at once; if the kernel refuses, each half by itself, down to the ones it refuses. */
  #attachGroup(group: readonly Planned[], addresses: ReadonlyMap<string, bigint[]>): void {
    const present: Planned[] = [];
    for (const one of group) {
      const { index, target } = one.request;
      if (addresses.has(target)) present.push(one);
      else this.failed.push({ index, why: unknownFunction(target) });
    }
    let refusedInARow = 0;
    let lastWord = '';
    const halve = (part: readonly Planned[]): void => {
      const requests = part.map(({ request }) => request);
      if (refusedInARow >= REFUSED_FOR_ALL) {
        for (const { index } of requests) this.failed.push({ index, why: lastWord });
        return;
      }
      try {
        this.#keep(requests, this.#attachTogether(part, addresses));
        refusedInARow = 0;
      } catch (error) {
        if (part.length === 1) {
          refusedInARow++;
          lastWord = (error as Error).message;
          this.failed.push({ index: requests[0]!.index, why: lastWord });
          return;
        }
        const middle = part.length >> 1;
        halve(part.slice(0, middle));
        halve(part.slice(middle));
      }
    };
    if (present.length > 0) halve(present);
  }

  #attachTogether(part: readonly Planned[], addresses: ReadonlyMap<string, bigint[]>): Placing {
    const placing = new Placing();
    const targets = part.flatMap(({ request }) =>
      addresses.get(request.target)!.map((address) => ({ address, cookie: request.index })),
    );
    return placing.during(() => {
      const { request, plan } = part[0]!;
      const isSession = request.backend === 'kprobe-session';
      const kind = isSession ? 'kprobe-session' : 'kprobe-multi';
      for (const { template, isReturn } of returnFirst(plan)) {
        const program = this.#load(placing, { kind }, template, { request, plan });
        const where = isSession ? 'session' : isReturn ? 'returns' : 'entries';
        placing.link(() => attachProbeMulti(program, targets, where), where !== 'entries');
      }
    });
  }

  #attachOne(one: Planned, addresses: ReadonlyMap<string, bigint[]>): Placing {
    const { request, plan } = one;
    const { backend, target, index } = request;
    const placing = new Placing();
    return placing.during(() => {
      switch (backend) {
        case 'raw-tracepoint': {
          const program = this.#load(placing, { kind: backend }, plan.template, one);
          return placing.link(() => attachRawTracepoint(program, target));
        }
        case 'tracepoint': {
          const program = this.#load(placing, { kind: backend }, plan.template, one);
          return placing.link(() => attachTracepoint(program, target));
        }
        case 'fentry':
        case 'fexit': {
          const btf = (this.#btf ??= KernelBtf.load());
          const program = this.#load(placing, { kind: backend, function: target, btf }, plan.template, one);
          return placing.link(() => attachTrampoline(program, backend));
        }
        default: {
          const place = probeTarget(target, addresses);
          for (const { template, isReturn } of returnFirst(plan)) {
            const program = this.#load(placing, { kind: 'kprobe' }, template, one);
            placing.link(() => attachProbe(program, place, isReturn, plan.shared ? index : undefined), isReturn);
          }
        }
      }
    });
  }

  /** A program of its own, or the one that others have already. */
  #load(placing: Placing, kind: ProgramKind, template: string, { request, plan }: Planned): number {
    const key = plan.shared && JSON.stringify([kind.kind, template, constantsOf(plan)]);
    const known = key ? this.#shared.get(key) : undefined;
    if (known) {
      placing.programs.push(known);
      return known.fd;
    }
    // The kernel keeps 15 letters of a program's name.
    const name = plan.shared ? `vd_${template}` : `vd_${request.index}_${request.target.replace(/\W/g, '_')}`;
    const instructions = patchTemplate(this.template(template), plan.constants);
    const program = loadProgram(kind, name.slice(0, 15), instructions);
    // Kept if attaching fails: the next one of its kind needs it.
    this.#programs.push(program);
    if (key) this.#shared.set(key, program);
    placing.programs.push(program);
    placing.loaded.push(program);
    return program.fd;
  }

  #try(requests: readonly AttachRequest[], attach: () => Placing): void {
    try {
      this.#keep(requests, attach());
    } catch (error) {
      for (const { index } of requests) this.failed.push({ index, why: (error as Error).message });
    }
  }

  #keep(requests: readonly AttachRequest[], placing: Placing): void {
    const { links, programs, loaded, returns } = placing;
    this.watchesReturns ||= returns;
    this.#placed.push({ probes: requests.map(({ index }) => index), links, programs });
    const verified = loaded.map(({ fd }) => verifiedInstructions(fd));
    const known = verified.filter((count) => count !== undefined);
    requests.forEach(({ index, backend, target }, i) => {
      this.attached.push({ index, backend: backend === 'kprobe' && returns ? 'kretprobe' : backend, target });
      const first = i === 0;
      this.costs.push({
        index,
        instructions: first ? loaded.reduce((sum, { instructions }) => sum + instructions, 0) : 0,
        ...(first && known.length > 0 && { verifiedInstructions: known.reduce((sum, count) => sum + count, 0) }),
        loadMs: first ? loaded.reduce((sum, { loadMs }) => sum + loadMs, 0) : 0,
        attachMs: placing.attachMs / requests.length,
      });
    });
  }
}

/** One step of attaching: what it opened, to be closed again should it fail half-way. */
class Placing {
  readonly links: number[] = [];
  readonly programs: LoadedProgram[] = [];
  /** Of these, those that were loaded for it. */
  readonly loaded: LoadedProgram[] = [];
  /** A return is watched. */
  returns = false;
  attachMs = 0;

  during(steps: () => void): this {
    try {
      steps();
      return this;
    } catch (error) {
      for (const fd of this.links.reverse()) closeSync(fd);
      throw error;
    }
  }

  link(attach: () => number, isReturn = false): void {
    const before = performance.now();
    this.links.push(attach());
    this.attachMs += performance.now() - before;
    this.returns ||= isReturn;
  }
}

/** The return first: an entry whose return is not watched yet would never be matched. */
function returnFirst({ template, returnTemplate }: ProgramPlan): { template: string; isReturn: boolean }[] {
  const entry = { template, isReturn: false };
  return returnTemplate === undefined ? [entry] : [{ template: returnTemplate, isReturn: true }, entry];
}

/** kprobe.multi takes addresses; kprobes only for names with a dot or a module, which the kprobe PMU does not take. */
function addressesNeeded(planned: readonly Planned[]): Map<string, bigint[]> {
  const names = planned.flatMap(({ request: { backend, target } }) =>
    isMulti(backend) || (isProbe(backend) && /[.:]/.test(target)) ? [target] : [],
  );
  return names.length > 0 ? functionAddresses(new Set(names)) : new Map<string, bigint[]>();
}

function isMulti(backend: AttachBackend): backend is 'kprobe-multi' | 'kprobe-session' {
  return backend === 'kprobe-multi' || backend === 'kprobe-session';
}

function isProbe(backend: string): boolean {
  return backend === 'kprobe' || backend === 'kretprobe';
}

function probeTarget(name: string, addresses: ReadonlyMap<string, bigint[]>): ProbeTarget {
  if (!/[.:]/.test(name)) return { symbol: name };
  const address = addresses.get(name)?.[0];
  if (address === undefined) throw new Error(unknownFunction(name));
  return { address };
}

function unknownFunction(name: string): string {
  return `the kernel has no function ${name} that can be seen in /proc/kallsyms`;
}

function constantsOf(plan: ProgramPlan): unknown[] {
  return Object.entries({ ...plan.constants, PROBE: 0 }).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Probes that differ in nothing but their number share a program. */
function groupsOfMulti(planned: readonly Planned[]): Planned[][] {
  const groups = new Map<string, Planned[]>();
  for (const one of planned) {
    const key = JSON.stringify([one.plan.template, one.plan.returnTemplate, constantsOf(one.plan)]);
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return [...groups.values()];
}
