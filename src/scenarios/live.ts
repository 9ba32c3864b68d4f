import { hostname } from 'node:os';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type LiveRunOptions, runLive } from '../analysis/run-live.js';
import type { Analysis } from '../analysis/types.js';
import { API_VERSION } from '../base/documents.js';
import type { Json } from '../base/json.js';
import { RecordingWriter } from '../capture/recording/writer.js';
import type { RunEnd, RunMeta, TraceFilter } from '../capture/types.js';
import { createLiveSource, createRecordingSource, type EvidenceEntry, snapshotBefore } from '../evidence/index.js';
import type { ProbeSelection } from '../probes/catalogue.js';
import { dropRulesFor, loadDropRules, probesOfDropRules } from '../probes/drop-rules.js';
import { HostKernelNames } from '../probes/kernel-names.js';
import type { Backend, KernelCapabilities, ProbeGroup, ProbeSet } from '../probes/types.js';
import type { Report } from '../report/types.js';
import { conclude } from './conclude.js';
import { resolveEndpoints } from './endpoints.js';
import type { DiscoveryWish } from './discovery.js';
import { attachProbes, type HostKernel, requireTracing } from './kernel.js';
import type { Library } from './library.js';
import { loadScenario, withBudgets } from './load.js';
import { hostNamespaces, namespaceInode, ownNetns } from './namespaces.js';
import { EVIDENCE, HOST_VIEW, type HostView, pipelineOptions, WIRE } from './pipeline-options.js';
import type { Scenario } from './types.js';

/** What a live run is asked. */
export interface LiveRequest {
  library: Library;
  /** vdiag's own version. */
  version: string;
  scenario: string;
  /** Address, prefix, device or libvirt domain. */
  ends: { src?: string; dst?: string };
  filter: Pick<TraceFilter, 'port' | 'proto' | 'mark' | 'pid' | 'inner'>;
  /** Only packets on these devices. */
  devices: string[];
  /** Name, path or pid. */
  netns?: string;
  durationSeconds?: number;
  /** The scenario's budgets are held to be so many times as large: on a slow or emulated host. Default 1. */
  budgetFactor?: number;
  /** Types of a kernel without BTF: a file, or the name of a shipped table. */
  btf?: string;
  /** Which compiled object traces; absent: what the kernel runs best. */
  flavour?: 'modern' | 'legacy';
  /** What `requireTracing` said of the kernel to an earlier run of this process, with the same `btf` and `flavour`. */
  kernel?: HostKernel;
  probes: {
    set?: ProbeSet;
    groups?: ProbeGroup[];
    require?: string[];
    /** Only these ways of attaching, in this order. */
    backends?: Backend[];
    /** Functions to watch beside the catalogue's points. */
    discover?: DiscoveryWish;
  };
  ringBytes: number;
  /** Count the programs' CPU time. */
  measureCost?: boolean;
  record?: { file: string; force: boolean };
  baseline?: { file: string; report: Report };
  signal?: AbortSignal;
  onProgress?: (progress: RunProgress) => void;
  /** What the user must know and the report does not say: the recording is not whole. */
  onWarning?: (text: string) => void;
  /** Namespaces to trace, and whose counters are read before; absent: those of the host. */
  netnsList?: number[];
  /** Runs beside the trace, which ends with it. */
  during?: () => Promise<void>;
  /** Called once when the trace has ended, whatever ended it. */
  afterwards?: () => void;
}

/** How far a run is. */
export interface RunProgress {
  phase: 'attaching' | 'tracing' | 'replaying' | 'diagnosing';
  done?: number;
  of?: number;
  events?: number;
  findings?: number;
}

/** ms that the last packets of `during` get to arrive. */
const SETTLE_MS = 500;

/**
 * Answers a scenario's question on this host: attaches, reads the counters, lets it run, detaches, diagnoses.
 * @throws VdiagError (2) for wrong use, (3) when this host cannot be traced
 */
export async function answerLive(request: LiveRequest): Promise<Report> {
  const { library, onProgress = () => undefined } = request;
  const scenario = withBudgets(loadScenario(request.scenario), request.budgetFactor ?? 1);
  // First: who may not trace need not name the ends of a run.
  const kernel = request.kernel ?? requireTracing(request.btf, request.flavour);
  const own = ownNetns();
  const log = new EvidenceLog();
  const source = createRecordingSource(createLiveSource(), { ownNetns: own, onEntry: (entry) => log.add(entry) });
  const within = namespacesOf(request);
  const ends = await resolveEndpoints(scenario, request.ends, request.devices, source, within);
  const filter: TraceFilter = {
    ...withoutGaps(request.filter),
    ...ends.filter,
    ...(within && { netns: within }),
  };
  const { session, plan } = attachProbes(
    kernel,
    library.catalogue,
    selectionOf(request, scenario, kernel.capabilities),
    {
      filter,
      ringBytes: request.ringBytes,
      measureCost: request.measureCost ?? false,
      watchTids: ends.watchTids,
      autoWatch: true,
      paused: true,
      onProgress: (done, of) => onProgress({ phase: 'attaching', done, of }),
    },
  );
  try {
    await snapshotBefore(source, scenario.before, within ?? hostNamespaces());
    source.closeBefore();
    const seconds = request.durationSeconds ?? scenario.defaults.durationSeconds;
    const meta: RunMeta = {
      apiVersion: API_VERSION,
      vdiag: request.version,
      host: hostname(),
      kernel: kernel.capabilities,
      startedAt: Date.now(),
      startedMono: Number(process.hrtime.bigint()),
      utcOffset: -new Date().getTimezoneOffset(),
      scenario: scenario.id,
      parameters: parametersOf(request, seconds),
      filter,
      plan,
      flavour: session.flavour,
      dropReasons: new HostKernelNames(kernel.types).dropReasons(),
      wire: WIRE,
      ownNetns: own,
      ...(ends.threadsNotWatched > 0 && { threadsNotWatched: ends.threadsNotWatched }),
      ...(request.record && { recording: basename(request.record.file) }),
    };
    const view: HostView = { devices: ends.devices, first: ends.first };
    const recording = request.record && RecordingWriter.create(request.record.file, meta, request.record);
    try {
      recording?.writeJson(HOST_VIEW, view);
      log.writeTo(recording);
      const pipeline = pipelineOptions(meta, view, scenario, library);
      const { analysis, end } = await trace(request, { session, pipeline, recording }, seconds);
      session.close();
      onProgress({ phase: 'diagnosing' });
      const report = await conclude({ meta, end, scenario, analysis, source, library, baseline: request.baseline });
      log.writeTo(undefined);
      recording?.end(end);
      if (recording?.problem)
        request.onWarning?.(`the recording ${request.record!.file} is not whole: ${recording.problem}`);
      return report;
    } finally {
      recording?.abandon();
    }
  } finally {
    session.close();
  }
}

/** Lets it run for its time, until what runs beside it is done, or until it is interrupted. */
async function trace(
  request: LiveRequest,
  parts: Pick<LiveRunOptions, 'session' | 'pipeline' | 'recording'>,
  seconds: number,
): Promise<{ analysis: Analysis; end: RunEnd }> {
  const { signal, during, onProgress } = request;
  const started = performance.now();
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  signal?.addEventListener('abort', interrupt);
  if (signal?.aborted) interrupt();
  // A failure beside the trace ends it at once, and is the run's own failure below.
  const beside = during?.().then(
    () => delay(SETTLE_MS, undefined, { signal: stop.signal }).catch(() => undefined),
    (error: unknown) => error as Error,
  );
  void beside?.then(interrupt);
  try {
    const { analysis, end } = await runLive({
      ...parts,
      durationMs: seconds * 1000,
      signal: stop.signal,
      onProgress: ({ events, findings }) =>
        onProgress?.({ phase: 'tracing', done: (performance.now() - started) / 1000, of: seconds, events, findings }),
    });
    request.afterwards?.();
    const failure = await beside;
    if (failure instanceof Error) throw failure;
    return { analysis, end: { ...end, reason: signal?.aborted ? 'interrupted' : 'duration' } };
  } finally {
    request.afterwards?.();
    signal?.removeEventListener('abort', interrupt);
  }
}

/** Evidence that is read before there is a recording to write it to is kept until there is one. */
class EvidenceLog {
  #kept: EvidenceEntry[] = [];
  /** Characters of their answers. */
  #size = 0;
  #recording: RecordingWriter | undefined;

  add(entry: EvidenceEntry): void {
    this.#kept.push(entry);
    this.#size += entry.answer.status === 'ok' ? entry.answer.text.length : 0;
    if (this.#size >= EVIDENCE_CHUNK) this.#write();
  }

  /** From now on to this recording, what was kept first; without one, what is kept goes to the last one. */
  writeTo(recording: RecordingWriter | undefined): void {
    if (recording) this.#recording = recording;
    this.#write();
    this.#recording = recording;
  }

  /** Many answers are alike: together they compress to a quarter. */
  #write(): void {
    if (!this.#recording) return;
    for (let at = 0; at < this.#kept.length;) {
      const end = endOfChunk(this.#kept, at);
      this.#recording.writeJson(EVIDENCE, this.#kept.slice(at, end));
      at = end;
    }
    this.#kept = [];
    this.#size = 0;
  }
}

/** Characters of evidence that go into one chunk of a recording, unless a single answer is longer. */
const EVIDENCE_CHUNK = 1 << 20;

/** Index after the last entry that fits into a chunk which begins with the entry at an index. */
function endOfChunk(entries: readonly EvidenceEntry[], at: number): number {
  let size = 0;
  let end = at;
  do {
    const { answer } = entries[end++];
    size += answer.status === 'ok' ? answer.text.length : 0;
  } while (end < entries.length && size < EVIDENCE_CHUNK);
  return end;
}

/** The namespaces that are traced; undefined: all. */
function namespacesOf({ netns, netnsList }: LiveRequest): number[] | undefined {
  return netns === undefined ? netnsList : [namespaceInode(netns)];
}

function selectionOf(
  { probes }: LiveRequest,
  scenario: Scenario,
  kernel: KernelCapabilities,
): ProbeSelection & { wantReturn?: string[]; discover?: DiscoveryWish } {
  const set = probes.set ?? scenario.probes.set;
  return {
    set,
    ...(set !== 'basic' && besides(scenario, kernel)),
    groups: probes.groups ?? scenario.probes.groups,
    require: [...(scenario.probes.require ?? []), ...(probes.require ?? [])],
    ...(probes.backends && { backends: probes.backends }),
    ...(probes.discover && { discover: probes.discover }),
  };
}

/** What the scenario wants beside its set; and what tells why packets are dropped, on a kernel that does not say so itself. */
function besides(
  { probes: { also = [] } }: Scenario,
  kernel: KernelCapabilities,
): Pick<ProbeSelection, 'also'> & { wantReturn?: string[] } {
  if (kernel.dropReasons) return { also };
  const { probes, wantReturn } = probesOfDropRules(dropRulesFor(loadDropRules(), kernel.release));
  return { also: [...also, ...probes], wantReturn };
}

/** The command line's choices that change the report, as it tells them. */
function parametersOf(
  { ends, filter, devices, netns, probes, btf, flavour, budgetFactor }: LiveRequest,
  seconds: number,
): { [key: string]: Json } {
  return withoutGaps({
    ...{
      src: ends.src,
      dst: ends.dst,
      ...filter,
      netns,
      btf,
      flavour,
      set: probes.set,
      groups: probes.groups,
      backends: probes.backends,
      budgetFactor,
      discover: probes.discover && withoutGaps({ ...probes.discover }),
      seconds,
    },
    ...(devices.length > 0 && { devices }),
  }) as { [key: string]: Json };
}

function withoutGaps<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}
