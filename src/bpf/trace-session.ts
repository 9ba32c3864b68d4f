import { closeSync } from 'node:fs';
import {
  type Attachment,
  type ProbeTarget,
  attachKprobe,
  attachKprobeMulti,
  attachKretprobe,
  attachRawTracepoint,
  attachTracepoint,
  attachTrampoline,
} from './attach.js';
import { KernelBtf } from './btf.js';
import { readCounters, readHits } from './counters.js';
import { encodeConfig, encodeKeys } from './filter.js';
import { MAP_SIZE } from './kernel-side.gen.js';
import { Libbpf } from './libbpf.js';
import { type LoadedObject, loadObject, OBJECT_FILE } from './object.js';
import { type ProgramPlan, planProgram } from './programs.js';
import { functionAddresses } from './symbols.js';
import { coreAccesses } from './synthesis/core-accesses.js';
import { lackingPrograms } from './synthesis/layout.js';
import { patchTemplate } from './template.js';
import {
  type AttachRequest,
  type AttachedProbe,
  type FailedProbe,
  MAX_PROBES,
  type ProbeCost,
  type TraceCounters,
  type TraceOptions,
  type TraceSession,
} from './types.js';

/** Needed even when no request has a program: the object must have something to load. */
const DEFAULT_TEMPLATE = 'packet_raw_1';

interface Planned {
  request: AttachRequest;
  plan: ProgramPlan;
}

/**
 * Loads the kernel side and attaches every probe that can be; what cannot be is told in `failed`. Attached programs
 * live as long as this process' descriptors: nothing is pinned.
 * @throws VdiagError (status 3) when nothing can be loaded at all; (status 2) for a filter that makes no sense
 */
export function openTrace(options: TraceOptions): TraceSession {
  const config = encodeConfig(options.filter, { autoWatch: options.autoWatch ?? false });
  const wanted = {
    devices: encodeKeys('devices', options.filter.ifindex ?? []),
    namespaces: encodeKeys('namespaces', options.filter.netns ?? []),
  };
  const failed: FailedProbe[] = [];
  const planned = withTypesFor(planAll(options.requests, failed), options, failed);
  const templates = new Set([DEFAULT_TEMPLATE]);
  for (const { plan } of planned) {
    templates.add(plan.template);
    if (plan.returnTemplate) templates.add(plan.returnTemplate);
  }
  const object = loadObject(templates, options.ringBytes, options.objectFile, options.btfFile);
  const session = new Session(object, options, failed);
  try {
    for (const map of ['devices', 'namespaces'] as const) {
      for (const key of wanted[map]) Libbpf.get().update(object.mapFd(map), key, Buffer.alloc(4));
    }
    // Quiet until all is attached: a packet that only the first probes see would seem to be lost on its way.
    session.configure(encodeConfig({}, { stop: true }));
    session.watch(options.watchTids ?? []);
    session.attachAll(planned, options.onProgress ?? (() => undefined));
    session.configure(options.paused ? encodeConfig({}, { stop: true }) : config);
    return session;
  } catch (error) {
    session.close();
    throw error;
  }
}

function planAll(requests: readonly AttachRequest[], failed: FailedProbe[]): Planned[] {
  return requests.flatMap((request) => {
    const { index } = request;
    if (!Number.isInteger(index) || index < 0 || index >= MAX_PROBES) {
      failed.push({ index, why: `a session has at most ${MAX_PROBES} probes` });
      return [];
    }
    const plan = planProgram(request);
    if (!('why' in plan)) return [{ request, plan }];
    failed.push({ index, why: plan.why });
    return [];
  });
}

/** Types that do not come from the kernel may not do for every program; one too many and the whole object is refused. */
function withTypesFor(planned: Planned[], options: TraceOptions, failed: FailedProbe[]): Planned[] {
  if (options.btfFile === undefined) return planned;
  const types = KernelBtf.load(options.btfFile).kernel;
  const lacking = lackingPrograms(types, coreAccesses(options.objectFile ?? OBJECT_FILE));
  return planned.filter(({ request, plan }) => {
    const why = lacking.get(plan.template) ?? lacking.get(plan.returnTemplate ?? '');
    if (why) failed.push({ index: request.index, why: `the given BTF does not do for it: ${why.join(', ')}` });
    return !why;
  });
}

class Session implements TraceSession {
  readonly attached: AttachedProbe[] = [];
  readonly ring;
  readonly #fds: number[] = [];
  readonly #config: number;
  readonly #costs: ProbeCost[] = [];
  #btf: KernelBtf | undefined;
  #open = true;
  #last: { counters: TraceCounters; hits: Map<number, number> } | undefined;

  constructor(
    readonly object: LoadedObject,
    readonly options: TraceOptions,
    readonly failed: FailedProbe[],
  ) {
    this.ring = { fd: object.mapFd('events'), size: object.ringBytes };
    this.#config = object.mapFd('config');
  }

  start(): void {
    if (!this.options.paused || this.#fds.length === 0) return;
    this.configure(encodeConfig(this.options.filter, { autoWatch: this.options.autoWatch ?? false }));
  }

  configure(config: Buffer): void {
    Libbpf.get().update(this.#config, Buffer.alloc(4), config);
  }

  watch(tids: readonly number[]): void {
    const key = Buffer.alloc(4);
    for (const tid of tids) {
      key.writeUInt32LE(tid);
      Libbpf.get().update(this.object.mapFd('watched'), key, Buffer.alloc(MAP_SIZE.vd_watch));
    }
  }

  attachAll(planned: readonly Planned[], onProgress: (done: number, of: number) => void): void {
    const addresses = addressesNeeded(planned);
    const multi = planned.filter(({ request }) => request.backend === 'kprobe-multi');
    let done = 0;
    const step = (count: number): void => onProgress((done += count), planned.length);
    for (const group of groupsOfMulti(multi)) {
      this.#attachGroup(group, addresses);
      step(group.length);
    }
    for (const one of planned) {
      if (one.request.backend === 'kprobe-multi') continue;
      this.#try([one], () => this.#attachOne(one, addresses));
      step(1);
    }
  }

  counters(): TraceCounters {
    if (this.#last) return this.#last.counters;
    return readCounters(this.object, this.#watchesReturns());
  }

  hits(): Map<number, number> {
    if (this.#last) return this.#last.hits;
    return readHits(
      this.object,
      this.attached.map(({ index }) => index),
    );
  }

  costs(): ProbeCost[] {
    return [...this.#costs];
  }

  detach(): void {
    if (this.#fds.length === 0) return;
    // Closing can take a while for each: be quiet from now on.
    this.configure(encodeConfig({}, { stop: true }));
    for (const fd of this.#fds.splice(0).reverse()) closeSync(fd);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.detach();
    this.#last = { counters: readCounters(this.object, this.#watchesReturns()), hits: this.hits() };
    this.object.close();
  }

  #watchesReturns(): boolean {
    return this.attached.some(({ backend }) => backend === 'kretprobe');
  }

  /** Functions with one program: all at once, or, if the kernel refuses one of them, each by itself. */
  #attachGroup(group: readonly Planned[], addresses: ReadonlyMap<string, bigint[]>): void {
    const missing = group.filter(({ request }) => !addresses.has(request.target));
    for (const { request } of missing) this.failed.push({ index: request.index, why: unknownFunction(request.target) });
    const present = group.filter(({ request }) => addresses.has(request.target));
    if (present.length === 0) return;
    const attach = (part: readonly Planned[]): Attachment => {
      const { plan } = part[0]!;
      const instructions = patchTemplate(this.object.template(plan.template), plan.constants);
      const targets = part.flatMap(({ request }) =>
        addresses.get(request.target)!.map((address) => ({ address, cookie: request.index })),
      );
      return attachKprobeMulti(targets, 'vdiag_multi', instructions);
    };
    try {
      this.#keep(present, attach(present));
    } catch (error) {
      if (present.length === 1) this.failed.push({ index: present[0]!.request.index, why: (error as Error).message });
      else for (const one of present) this.#try([one], () => attach([one]));
    }
  }

  #attachOne({ request, plan }: Planned, addresses: ReadonlyMap<string, bigint[]>): Attachment {
    const instructions = patchTemplate(this.object.template(plan.template), plan.constants);
    // The kernel keeps 15 letters of a program's name.
    const name = `vd_${request.index}_${request.target.replace(/\W/g, '_')}`.slice(0, 15);
    switch (request.backend) {
      case 'raw-tracepoint':
        return attachRawTracepoint(request.target, name, instructions);
      case 'tracepoint':
        return attachTracepoint(request.target, name, instructions);
      case 'fentry':
      case 'fexit':
        this.#btf ??= KernelBtf.load();
        return attachTrampoline(request.backend, request.target, name, instructions, this.#btf);
      default: {
        const target = probeTarget(request.target, addresses);
        if (!plan.returnTemplate) return attachKprobe(target, name, instructions);
        const back = patchTemplate(this.object.template(plan.returnTemplate), plan.constants);
        return attachKretprobe(target, name, instructions, back);
      }
    }
  }

  #try(probes: readonly Planned[], attach: () => Attachment): void {
    try {
      this.#keep(probes, attach());
    } catch (error) {
      for (const { request } of probes) this.failed.push({ index: request.index, why: (error as Error).message });
    }
  }

  #keep(probes: readonly Planned[], attachment: Attachment): void {
    this.#fds.push(...attachment.fds);
    for (const { request, plan } of probes) {
      const backend = plan.returnTemplate ? 'kretprobe' : request.backend;
      this.attached.push({ index: request.index, backend, target: request.target });
    }
  }
}

/** kprobe.multi takes addresses; kprobes only for names with a dot, which the kprobe PMU does not take. */
function addressesNeeded(planned: readonly Planned[]): Map<string, bigint[]> {
  const names = planned.flatMap(({ request: { backend, target } }) =>
    backend === 'kprobe-multi' || (isProbe(backend) && target.includes('.')) ? [target] : [],
  );
  return names.length > 0 ? functionAddresses(new Set(names)) : new Map<string, bigint[]>();
}

function isProbe(backend: string): boolean {
  return backend === 'kprobe' || backend === 'kretprobe';
}

function probeTarget(name: string, addresses: ReadonlyMap<string, bigint[]>): ProbeTarget {
  if (!name.includes('.')) return { symbol: name };
  const address = addresses.get(name)?.[0];
  if (address === undefined) throw new Error(unknownFunction(name));
  return { address };
}

function unknownFunction(name: string): string {
  return `the kernel has no function ${name} that can be seen in /proc/kallsyms`;
}

/** Probes that differ in nothing but their number share a program. */
function groupsOfMulti(planned: readonly Planned[]): Planned[][] {
  const groups = new Map<string, Planned[]>();
  for (const one of planned) {
    const constants = { ...one.plan.constants, PROBE: 0 };
    const key = JSON.stringify([one.plan.template, Object.entries(constants).sort()]);
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return [...groups.values()];
}
