import { Worker } from 'node:worker_threads';
import { VdiagError } from '../base/errors.js';
import { StopSignal } from '../capture/live.js';
import type { AnalysisJob, AnalysisProgress, WorkerMessage } from './job.js';
import type { Analysis } from './types.js';

/** MB of heap that the analysis may take before it is ended with a message, rather than the host's memory. */
const MAX_HEAP_MB = 1024;

/** An analysis under way in its Worker. */
export interface RunningAnalysis {
  /**
   * What it found. Rejects with a VdiagError for the user's and the host's errors, with the thread's own error otherwise.
   */
  result: Promise<Analysis>;
  /** Ends it: a live one after the probes are detached (what is in the ring is still taken in), a replay at once. */
  stop(): void;
}

/** Starts the analysis Worker; works from the sources (under tsx) and from the build. */
export function startAnalysis(
  job: Omit<AnalysisJob, 'stop'>,
  onProgress: (progress: AnalysisProgress) => void = () => undefined,
): RunningAnalysis {
  const stop = new StopSignal();
  const entry = import.meta.url.endsWith('.ts') ? './worker-from-sources.mjs' : './worker.js';
  const worker = new Worker(new URL(entry, import.meta.url), {
    workerData: { ...job, stop: stop.buffer } satisfies AnalysisJob,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const result = new Promise<Analysis>((resolve, reject) => {
    worker.on('message', (message: WorkerMessage) => {
      if (message.type === 'progress') onProgress(message.progress);
      else if (message.type === 'done') resolve(message.analysis);
      else reject(new VdiagError(message.problems, message.exitStatus));
    });
    worker.on('error', (error) => reject(asRunError(error)));
    // A no-op after any of the above: a thread that just ends without a word must not leave the run waiting.
    worker.on('exit', (code) => reject(new Error(`the analysis thread ended early (status ${code})`)));
  });
  // Whoever waits for something else first (the run's time) must not miss a failure, nor must it end the process.
  result.catch(() => undefined);
  return { result, stop: () => stop.stop() };
}

function asRunError(error: Error): Error {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') return error;
  const message = `the analysis needs more than ${MAX_HEAP_MB} MB of memory`;
  return new VdiagError({ message, hint: 'narrow the trace with --src, --dst, --port or --duration' }, 3, {
    cause: error,
  });
}
