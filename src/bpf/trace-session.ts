import { closeSync } from 'node:fs';
import { Attacher, type Planned } from './attacher.js';
import { readCounters, readHits } from './counters.js';
import { encodeConfig, encodeKeys } from './filter.js';
import { flavourOfKernel, objectFile } from './flavour.js';
import { MAP_SIZE } from './kernel-side.gen.js';
import { Libbpf } from './libbpf.js';
import { LinkKeeper } from './link-keeper.js';
import type { LoadedObject } from './object.js';
import { loadTemplates, planAll, templatesOf, withoutRefused, withTypesFor } from './planned-requests.js';
import type {
  AttachRequest,
  AttachResults,
  AttachedProbe,
  FailedProbe,
  Flavour,
  MissedHits,
  ProbeCost,
  TraceCounters,
  TraceOptions,
  TraceSession,
} from './types.js';

/** Quiet: no program does anything. */
const STOPPED = encodeConfig({}, { stop: true });

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
  const { object, refused } = loadTemplates(templatesOf(planned), {
    ...{ flavour, ringBytes: options.ringBytes, file },
    ...(options.btfFile !== undefined && { btfFile: options.btfFile }),
  });
  const session = new Session(object, { ...options, flavour, file }, config, failed);
  try {
    for (const map of ['devices', 'namespaces'] as const) {
      for (const key of wanted[map]) Libbpf.get().update(object.mapFd(map), key, Buffer.alloc(4));
    }
    session.watch(options.watchTids ?? []);
    session.attachQuietly(withoutRefused(planned, refused, failed), failed);
    if (!options.paused) session.start();
    return session;
  } catch (error) {
    session.close();
    throw error;
  }
}

class Session implements TraceSession {
  readonly ring;
  readonly flavour: Flavour;
  readonly #attacher: Attacher;
  readonly #keeper = new LinkKeeper();
  #started = false;
  #open = true;
  #detached = false;
  /** Told by the descriptors that `detach` closes. */
  #told: { missed: MissedHits[]; kernelCpuSeconds: number } | undefined;
  /** While it is open the kernel counts the programs' run time. */
  #statistics: number | undefined;
  #last: { counters: TraceCounters; hits: Map<number, number> } | undefined;

  constructor(
    readonly object: LoadedObject,
    readonly options: TraceOptions & { flavour: Flavour; file: string },
    readonly config: Buffer,
    readonly failed: FailedProbe[],
  ) {
    this.ring = object.records;
    this.flavour = options.flavour;
    this.#attacher = new Attacher((name) => object.template(name));
  }

  get attached(): AttachedProbe[] {
    return this.#attacher.attached;
  }

  start(): void {
    if (this.#detached) return;
    this.#started = true;
    if (this.options.measureCost) this.#statistics ??= Libbpf.get().enableRunTimeStatistics();
    this.#configure(this.config);
  }

  watch(tids: readonly number[]): void {
    const key = Buffer.alloc(4);
    for (const tid of tids) {
      key.writeUInt32LE(tid);
      Libbpf.get().update(this.object.mapFd('watched'), key, Buffer.alloc(MAP_SIZE.vd_watch));
    }
  }

  attachMore(requests: readonly AttachRequest[]): AttachResults {
    const failed: FailedProbe[] = [];
    const before = this.attached.length;
    const planned = withTypesFor(planAll(requests, this.flavour, failed), this.options, failed);
    const refused = this.object.more(templatesOf(planned));
    this.attachQuietly(withoutRefused(planned, refused, failed), failed);
    if (this.#started) this.#configure(this.config);
    const tried = new Set(requests.map(({ index }) => index));
    const others = this.failed.filter(({ index }) => !tried.has(index));
    this.failed.splice(0, this.failed.length, ...others, ...failed);
    return { attached: this.attached.slice(before), failed };
  }

  /** Quiet until all is attached: a packet that only the first probes see would seem to be lost on its way. */
  attachQuietly(planned: readonly Planned[], failed: FailedProbe[]): void {
    this.#configure(STOPPED);
    let done = 0;
    const before = this.#attacher.links().slow.length;
    this.#attacher.attach(planned, (count) => this.options.onProgress?.((done += count), planned.length));
    failed.push(...this.#attacher.failed.splice(0));
    this.#keeper.keep(this.#attacher.links().slow.slice(before));
  }

  counters(): TraceCounters {
    if (this.#last) return this.#last.counters;
    const { missed, kernelCpuSeconds } = this.#told ?? this.#tell();
    return {
      ...readCounters(this.object, this.#attacher.watchesReturns),
      ...(missed.length > 0 && { missed }),
      ...(kernelCpuSeconds > 0 && { kernelCpuSeconds }),
    };
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
    this.#configure(STOPPED);
    this.#told = this.#tell();
    if (this.#statistics !== undefined) closeSync(this.#statistics);
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

  #tell(): { missed: MissedHits[]; kernelCpuSeconds: number } {
    return { missed: this.#attacher.missed(), kernelCpuSeconds: this.#attacher.kernelCpuSeconds() };
  }

  #configure(config: Buffer): void {
    Libbpf.get().update(this.object.mapFd('config'), Buffer.alloc(4), config);
  }
}
