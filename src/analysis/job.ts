import type { EventStreamHandle } from '../capture/recording/event-stream.js';
import type { ChunkFileHandle } from '../capture/recording/chunk-file.js';
import type { RecordSource } from '../bpf/types.js';
import type { Problem } from '../base/errors.js';
import type { PipelineOptions } from './pipeline.js';
import type { Analysis } from './types.js';

/** Where the events come from. */
export type JobSource =
  | { kind: 'live'; ring: RecordSource }
  | { kind: 'replay'; events: EventStreamHandle; symbols: ReadonlyMap<number, string> };

/** What the analysis Worker is to do: plain data, for `workerData`. */
export interface AnalysisJob {
  source: JobSource;
  /** The buffer of a StopSignal. */
  stop: SharedArrayBuffer;
  pipeline: PipelineOptions;
  /** Live: where a copy of the events goes. */
  recorder?: ChunkFileHandle;
}

/** How far it is. */
export interface AnalysisProgress {
  events: number;
  /** Events that a rule classified. */
  findings: number;
}

/** What the Worker says. Errors that are the user's or the host's come as their problems, others as the thread's error. */
export type WorkerMessage =
  | { type: 'progress'; progress: AnalysisProgress }
  | { type: 'done'; analysis: Analysis }
  | { type: 'failed'; problems: readonly Problem[]; exitStatus: 2 | 3 };
