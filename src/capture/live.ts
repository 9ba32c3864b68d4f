import type { Batch } from './types.js';

/** Where batches go. `tick` comes after each batch, and at times without one: for flushing and progress. */
export interface BatchSink {
  batch(batch: Batch): void;
  tick(): void;
}

/** The mapped ring of a trace session, as src/bpf maps it. */
export interface DrainableRing {
  /** Hands over what the kernel has committed, piece by piece, until there is no more; returns the bytes. */
  drain(handle: (batch: Batch) => void): number;
  /** Bytes reserved by the kernel side and not yet drained: committed ones and those still being written. */
  pending(): number;
}

/** ms between two looks at the ring. Waking up for each event would slow the traffic that is watched. */
const DRAIN_INTERVAL_MS = 5;
/** ms to wait, after the probes are detached, for a program that is still writing its record. */
const LAST_RECORD_MS = 50;

/** Tells a capture in another thread to stop: shared memory, because that thread blocks between batches. */
export class StopSignal {
  readonly #flag: Int32Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.#flag = new Int32Array(buffer);
  }

  get stopped(): boolean {
    return Atomics.load(this.#flag, 0) !== 0;
  }

  /** Wakes the capture up. For a live one: only once the probes are detached, or late events would be missed. */
  stop(): void {
    Atomics.store(this.#flag, 0, 1);
    Atomics.notify(this.#flag, 0);
  }

  /** Sleeps until stopped, or for some ms. Blocks the thread. */
  wait(ms: number): void {
    Atomics.wait(this.#flag, 0, 0, ms);
  }
}

/**
 * Drains a ring into a sink until stopped, then what is left in it. Blocks: belongs in a Worker.
 */
export function captureLive(ring: DrainableRing, stop: StopSignal, sink: BatchSink): void {
  const handle = (batch: Batch): void => {
    sink.batch(batch);
    // On a host that writes as fast as we read, a drain does not end.
    sink.tick();
  };
  while (!stop.stopped) {
    ring.drain(handle);
    sink.tick();
    stop.wait(DRAIN_INTERVAL_MS);
  }
  const idle = new Int32Array(new SharedArrayBuffer(4));
  const deadline = performance.now() + LAST_RECORD_MS;
  ring.drain(handle);
  while (ring.pending() > 0 && performance.now() < deadline) {
    Atomics.wait(idle, 0, 0, 1);
    ring.drain(handle);
  }
  sink.tick();
}
