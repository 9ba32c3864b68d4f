import type { TraceSession } from '../bpf/types.js';
import type { Checkpoint } from '../capture/recording/contents.js';
import type { RecordingWriter } from '../capture/recording/writer.js';
import { lossOf } from '../capture/loss.js';
import type { RunEnd } from '../capture/types.js';
import type { ProbePlan } from '../probes/types.js';
import type { AnalysisProgress } from './job.js';
import type { PipelineOptions } from './pipeline.js';
import type { Analysis } from './types.js';
import { startAnalysis } from './worker-client.js';

/** ms between two checkpoints in a recording. */
const CHECKPOINT_INTERVAL_MS = 2000;

export interface LiveRunOptions {
  /** The attached probes; still to be closed by the caller afterwards. */
  session: TraceSession;
  pipeline: PipelineOptions;
  durationMs: number;
  /** Gets the events, symbols and checkpoints; still to be ended by the caller, once the evidence is in it too. */
  recording?: RecordingWriter;
  /** Ends the run before its time (Ctrl-C). What was seen is analysed all the same. */
  signal?: AbortSignal;
  onProgress?: (progress: AnalysisProgress) => void;
}

/**
 * Lets a trace run for its time, or until it is interrupted: the Worker drains and analyses; then the probes are
 * detached, what is left in the ring is taken in, and the analysis is finished.
 */
export async function runLive(options: LiveRunOptions): Promise<{ analysis: Analysis; end: RunEnd }> {
  const { session, recording, pipeline } = options;
  const running = startAnalysis(
    { source: { kind: 'live', ring: session.ring }, pipeline, recorder: recording?.handle },
    options.onProgress,
  );
  const cpuBefore = process.cpuUsage();
  session.start();
  const checkpoints = new Checkpoints(recording, () => countersOf(session, pipeline.plan));
  let interrupted: boolean;
  try {
    interrupted = await timeOrSignal(options.durationMs, options.signal, [running.result, checkpoints.failure]);
  } finally {
    checkpoints.stop();
    session.detach();
    running.stop();
  }
  const endedAt = Date.now();
  const endedMono = Number(process.hrtime.bigint());
  const analysis = await running.result;
  const { user, system } = process.cpuUsage(cpuBefore);
  const { kernelCpuSeconds } = session.counters();
  const cost = { ownCpuSeconds: (user + system) / 1e6, ...(kernelCpuSeconds !== undefined && { kernelCpuSeconds }) };
  const reason = interrupted ? 'interrupted' : 'duration';
  return { analysis, end: { endedAt, endedMono, ...countersOf(session, pipeline.plan), cost, reason } };
}

/** Waits for the run's time; true when the signal came first. Rejects if one of the run's parts fails meanwhile. */
async function timeOrSignal(
  ms: number,
  signal: AbortSignal | undefined,
  parts: readonly Promise<unknown>[],
): Promise<boolean> {
  if (signal?.aborted) return true;
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const over = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
    onAbort = () => resolve(true);
    signal?.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([over, ...parts.map((part) => part.then(() => false))]);
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener('abort', onAbort);
  }
}

/** Records the counters from time to time, for a replay of a recording that gets no end. */
class Checkpoints {
  /** Rejects when the counters cannot be read; pending otherwise. */
  readonly failure: Promise<never>;
  #timer: NodeJS.Timeout | undefined;

  constructor(recording: RecordingWriter | undefined, counters: () => Checkpoint) {
    this.failure = new Promise((_, reject) => {
      if (!recording) return;
      this.#timer = setInterval(() => {
        try {
          recording.checkpoint(counters());
        } catch (error) {
          this.stop();
          reject(error as Error);
        }
      }, CHECKPOINT_INTERVAL_MS);
    });
    // Also when nobody waits any more: the failure must not end the process.
    this.failure.catch(() => undefined);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** What the kernel side has counted: losses, and hits and losses by the probes' names. */
function countersOf(session: TraceSession, plan: ProbePlan): Checkpoint {
  const { lost, missed = [], ...causes } = session.counters();
  const byName = namedCounts(plan);
  const hits = byName(session.hits());
  // What a program of several probes missed is nobody's in particular.
  const ownMisses = missed.flatMap(({ probes, missed: count }) =>
    probes.length === 1 ? [[probes[0]!, count] as const] : [],
  );
  const lostBy = byName([...(lost ?? []), ...ownMisses]);
  const missedHits = missed.reduce((sum, one) => sum + one.missed, 0);
  return { loss: lossOf(causes, { missedHits }), hits, ...(Object.keys(lostBy).length > 0 && { lostBy }) };
}

/** From counts by index to sums by name, in the order of the indices. */
function namedCounts(plan: ProbePlan): (counts: Iterable<readonly [number, number]>) => Record<string, number> {
  const names = new Map(plan.probes.map(({ index, point }) => [index, point.name]));
  return (counts) => {
    const named: Record<string, number> = {};
    for (const [index, count] of [...counts].sort(([a], [b]) => a - b)) {
      const name = names.get(index);
      if (name !== undefined) named[name] = (named[name] ?? 0) + count;
    }
    return named;
  };
}
