import { VdiagError } from '../base/errors.js';
import { openReader } from '../bpf/reader.js';
import type { RecordReader, RecordSource } from '../bpf/types.js';
import { type BatchSink, StopSignal, captureLive } from '../capture/live.js';
import { EventRecorder } from '../capture/recording/event-recorder.js';
import { captureReplay } from '../capture/replay.js';
import { HostKernelNames } from '../probes/kernel-names.js';
import type { AnalysisJob, AnalysisProgress } from './job.js';
import { Pipeline } from './pipeline.js';
import { RememberedNames, namesOf } from './recorded-names.js';
import type { Analysis } from './types.js';

const PROGRESS_INTERVAL_MS = 500;
/** Longest time that recorded events wait in memory: what a crash may cost. */
const FLUSH_INTERVAL_MS = 1000;

/**
 * Does a job to its end; blocks meanwhile, so it belongs in a Worker.
 * @throws VdiagError for a recording that cannot be read, or a ring that cannot be mapped.
 */
export function analyse(job: AnalysisJob, onProgress: (progress: AnalysisProgress) => void): Analysis {
  const { source, pipeline: options } = job;
  const stop = new StopSignal(job.stop);
  const symbol = source.kind === 'live' ? hostSymbols() : (address: number) => source.symbols.get(address);
  const names = new RememberedNames(namesOf(symbol, options.dropReasons));
  const pipeline = new Pipeline(options, names);
  const recorder = job.recorder && new EventRecorder(job.recorder);
  const saveEvents = (): void => {
    recorder?.writeSymbols(names.takeFresh());
    recorder?.flush();
  };
  const flush = every(FLUSH_INTERVAL_MS, saveEvents);
  const report = every(PROGRESS_INTERVAL_MS, () =>
    onProgress({ events: pipeline.events, findings: pipeline.findings }),
  );
  const sink: BatchSink = {
    batch(batch) {
      recorder?.write(batch);
      pipeline.push(batch);
    },
    tick() {
      flush();
      report();
    },
  };
  if (source.kind === 'live') captureLive(openRing(source.ring), stop, sink);
  else captureReplay(source.events, stop, sink);
  // The last symbols are asked for when the result is put together.
  const analysis = pipeline.finish();
  saveEvents();
  return analysis;
}

function openRing(source: RecordSource): RecordReader {
  try {
    return openReader(source);
  } catch (error) {
    throw new VdiagError({ message: (error as Error).message }, 3, { cause: error });
  }
}

function hostSymbols(): (address: number) => string | undefined {
  const host = new HostKernelNames(undefined);
  return (address) => host.symbol(address);
}

/** A function that does something when asked, but not more often than every so many ms. */
function every(ms: number, act: () => void): () => void {
  let last = performance.now();
  return () => {
    const now = performance.now();
    if (now - last < ms) return;
    last = now;
    act();
  };
}
