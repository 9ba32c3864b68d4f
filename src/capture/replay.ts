import type { BatchSink, StopSignal } from './live.js';
import { type EventStreamHandle, eventBatches } from './recording/event-stream.js';

/**
 * Streams the events of a recording into a sink, as fast as it takes them; ends early when stopped.
 * @throws VdiagError (status 2) for a recording that turns out to be damaged.
 */
export function captureReplay(events: EventStreamHandle, stop: StopSignal, sink: BatchSink): void {
  for (const batch of eventBatches(events)) {
    if (stop.stopped) return;
    sink.batch(batch);
    sink.tick();
  }
}
