import type { Recording } from '../capture/recording/reader.js';
import { StopSignal } from '../capture/live.js';
import type { RunEnd } from '../capture/types.js';
import { analyse } from './analyse.js';
import type { AnalysisProgress } from './job.js';
import type { PipelineOptions } from './pipeline.js';
import type { Analysis } from './types.js';
import { startAnalysis } from './worker-client.js';

export interface ReplayRunOptions {
  /** Still to be closed by the caller afterwards. */
  recording: Recording;
  pipeline: PipelineOptions;
  /** Ends the replay early (Ctrl-C), with what was replayed so far. */
  signal?: AbortSignal;
  onProgress?: (progress: AnalysisProgress) => void;
  /** Analyses in the calling thread, which is blocked meanwhile: for many small recordings one after the other. */
  inThisThread?: boolean;
}

/** Analyses a recording, in a Worker as a live run does. The same recording gives the same analysis. */
export async function runReplay(options: ReplayRunOptions): Promise<{ analysis: Analysis; end: RunEnd }> {
  const { recording, pipeline, signal, onProgress = () => undefined } = options;
  const source = { kind: 'replay', events: recording.events, symbols: recording.symbols } as const;
  if (options.inThisThread) {
    const analysis = analyse({ source, pipeline, stop: new StopSignal().buffer }, onProgress);
    return { analysis, end: recording.end(analysis.lastTs) };
  }
  const running = startAnalysis({ source, pipeline }, onProgress);
  const stop = (): void => running.stop();
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop);
  try {
    const analysis = await running.result;
    const end = recording.end(analysis.lastTs);
    return { analysis, end: signal?.aborted ? { ...end, reason: 'interrupted' } : end };
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
