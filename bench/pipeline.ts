import { Pipeline, type PipelineOptions } from '../src/analysis/pipeline.js';
import { namesOf } from '../src/analysis/recorded-names.js';
import { packagePath } from '../src/base/package-root.js';
import { batchOf } from '../src/capture/frames.js';
import { eventBatches } from '../src/capture/recording/event-stream.js';
import { Recording } from '../src/capture/recording/reader.js';
import { StreamMeter } from '../src/paths/streams.js';
import { type Library, loadLibrary } from '../src/scenarios/library.js';
import { loadScenario } from '../src/scenarios/load.js';
import { pipelineOptions } from '../src/scenarios/pipeline-options.js';

/** TCP that loses segments, where the analysis of streams has most to do. */
const RECORDING = packagePath('fixtures', 'fault-recordings', 'tcp-loss-outside-direction-to-b-family-6.vdiag');
const ROUNDS = 40;

/** ns an event: the whole hot path, and without one of its parts. */
export interface PipelineBench {
  events: number;
  whole: number;
  withoutStreams: number;
  withoutRules: number;
}

/** A recording's events through everything that a live run does with an event; of each way the fastest round. */
export function benchPipeline(library: Library = loadLibrary()): PipelineBench {
  const recording = Recording.open(RECORDING);
  try {
    const { meta, symbols } = recording;
    const batches = Array.from(eventBatches(recording.events), ({ u8, end }) => batchOf(u8.slice(0, end)));
    const options = pipelineOptions(meta, { devices: [] }, loadScenario(meta.scenario), library);
    const names = namesOf((address) => symbols.get(address), meta.dropReasons);
    const best = (changes?: Partial<PipelineOptions>): { events: number; ns: number } => {
      let ns = Infinity;
      let events = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const pipeline = new Pipeline({ ...options, ...changes }, names);
        const before = process.hrtime.bigint();
        for (const batch of batches) pipeline.push(batch);
        events = pipeline.events;
        ns = Math.min(ns, Number(process.hrtime.bigint() - before) / events);
      }
      return { events, ns };
    };
    const { events, ns: whole } = best();
    const withoutRules = best({ rules: [] }).ns;
    return { events, whole, withoutRules, withoutStreams: withoutStreams(() => best().ns) };
  } finally {
    recording.close();
  }
}

/** The product has no switch for it: it is taken out for the time of the measurement. */
function withoutStreams(measure: () => number): number {
  const meter = StreamMeter.prototype;
  const { event, part } = meter;
  meter.event = meter.part = () => undefined;
  try {
    return measure();
  } finally {
    Object.assign(meter, { event, part });
  }
}
