import { closeSync } from 'node:fs';
import { Attacher, type Planned } from './attacher.js';
import { KernelBtf } from './btf.js';
import { readCounters, readHits } from './counters.js';
import { encodeConfig, encodeKeys } from './filter.js';
import { MAP_SIZE } from './kernel-side.gen.js';
import { Libbpf } from './libbpf.js';
import { LinkKeeper } from './link-keeper.js';
import { flavourOfKernel, objectFile } from './flavour.js';
import { type LoadedObject, loadObject } from './object.js';
import { planProgram } from './programs.js';
import { coreAccesses } from './synthesis/core-accesses.js';
import { lackingPrograms } from './synthesis/layout.js';
import { hasAttachCookies } from './support.js';
import {
  type AttachRequest,
  type AttachedProbe,
  type FailedProbe,
  type Flavour,
  MAX_PROBES,
  type MissedHits,
  type ProbeCost,
  type TraceCounters,
  type TraceOptions,
  type TraceSession,
} from './types.js';

/** Needed even when no request has a program: the object must have something to load. */
const DEFAULT_TEMPLATE = 'packet_raw_1';

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
  const flavour = options.flavour ?? flavourOfKernel();
  const file = options.objectFile ?? objectFile(flavour);
  const planned = withTypesFor(planAll(options.requests, flavour, failed), { ...options, file }, failed);
  const templates = new Set([DEFAULT_TEMPLATE]);
  for (const { plan } of planned) {
    templates.add(plan.template);
    if (plan.returnTemplate) templates.add(plan.returnTemplate);
  }
  const object = loadObject({ templates, flavour, ringBytes: options.ringBytes, file, btfFile: options.btfFile });
  const session = new Session(object, options, flavour, failed);
  try {
    for (const map of ['devices', 'namespaces'] as const) {
      for (const key of wanted[map]) Libbpf.get().update(object.mapFd(map), key, Buffer.alloc(4));
    }
    // Quiet until all is attached: a packet that only the first probes see would seem to be lost on its way.
    session.configure(encodeConfig({}, { stop: true }));
    session.watch(options.watchTids ?? []);
    session.attachAll(planned);
    session.configure(options.paused ? encodeConfig({}, { stop: true }) : config);
    return session;
  } catch (error) {
    session.close();
    throw error;
  }
}

function planAll(requests: readonly AttachRequest[], flavour: Flavour, failed: FailedProbe[]): Planned[] {
  // The legacy object has none of the programs that ask for their cookie.
  const cookies = flavour === 'modern' && hasAttachCookies();
  return requests.flatMap((request) => {
    const { index } = request;
    if (!Number.isInteger(index) || index < 0 || index >= MAX_PROBES) {
      failed.push({ index, why: `a session has at most ${MAX_PROBES} probes` });
      return [];
    }
    if (flavour === 'legacy' && request.backend === 'kprobe-multi') {
      failed.push({ index, why: 'the legacy flavour has no programs for kprobe.multi' });
      return [];
    }
    const plan = planProgram(request, { cookies });
    if (!('why' in plan)) return [{ request, plan }];
    failed.push({ index, why: plan.why });
    return [];
  });
}

/** Types that do not come from the kernel may not do for every program; one too many and the whole object is refused. */
function withTypesFor(
  planned: Planned[],
  { btfFile, file }: { btfFile?: string; file: string },
  failed: FailedProbe[],
): Planned[] {
  if (btfFile === undefined) return planned;
  const types = KernelBtf.load(btfFile).kernel;
  const lacking = lackingPrograms(types, coreAccesses(file));
  return planned.filter(({ request, plan }) => {
    const why = lacking.get(plan.template) ?? lacking.get(plan.returnTemplate ?? '');
    if (why) failed.push({ index: request.index, why: `the given BTF does not do for it: ${why.join(', ')}` });
    return !why;
  });
}

class Session implements TraceSession {
  readonly ring;
  readonly #config: number;
  readonly #attacher: Attacher;
  readonly #keeper = new LinkKeeper();
  #open = true;
  #detached = false;
  /** Misses are told by the descriptors that `detach` closes. */
  #missed: MissedHits[] | undefined;
  #last: { counters: TraceCounters; hits: Map<number, number> } | undefined;

  constructor(
    readonly object: LoadedObject,
    readonly options: TraceOptions,
    readonly flavour: Flavour,
    readonly failed: FailedProbe[],
  ) {
    this.ring = object.records;
    this.#config = object.mapFd('config');
    this.#attacher = new Attacher((name) => object.template(name));
  }

  get attached(): AttachedProbe[] {
    return this.#attacher.attached;
  }

  start(): void {
    if (!this.options.paused || this.#detached) return;
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

  attachAll(planned: readonly Planned[]): void {
    let done = 0;
    this.#attacher.attach(planned, (count) => this.options.onProgress?.((done += count), planned.length));
    this.failed.push(...this.#attacher.failed);
    this.#keeper.keep(this.#attacher.links().slow);
  }

  counters(): TraceCounters {
    if (this.#last) return this.#last.counters;
    const missed = this.#missed ?? this.#attacher.missed();
    return { ...readCounters(this.object, this.#watchesReturns()), ...(missed.length > 0 && { missed }) };
  }

  hits(): Map<number, number> {
    if (this.#last) return this.#last.hits;
    return readHits(
      this.object,
      this.attached.map(({ index }) => index),
    );
  }

  costs(): ProbeCost[] {
    return [...this.#attacher.costs];
  }

  detach(): void {
    if (this.#detached) return;
    this.#detached = true;
    // Closing can take a while for each: be quiet from now on.
    this.configure(encodeConfig({}, { stop: true }));
    this.#missed = this.#attacher.missed();
    const { quick, slow } = this.#attacher.links();
    for (const fd of [...quick, ...slow].reverse()) closeSync(fd);
    this.#attacher.release();
    this.#keeper.release();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.detach();
    this.#last = { counters: this.counters(), hits: this.hits() };
    this.object.close();
  }

  #watchesReturns(): boolean {
    return this.#attacher.watchesReturns;
  }
}
