import { expect } from 'chai';
import { type DrainableRing, StopSignal, captureLive } from '../../src/capture/live.js';
import type { Batch } from '../../src/capture/types.js';
import { framed, recordsIn } from './samples.js';

/** A ring in memory: records are committed by the test, from within the capture's own calls. */
class MemoryRing implements DrainableRing {
  readonly #committed: Uint8Array[] = [];
  /** Records reserved by a program that has not committed them yet. */
  writing = 0;

  commit(...records: Uint8Array[]): void {
    this.#committed.push(...records);
  }

  drain(handle: (batch: Batch) => void): number {
    if (this.#committed.length === 0) return 0;
    const batch = framed(this.#committed.splice(0));
    handle(batch);
    return batch.end;
  }

  pending(): number {
    return (this.#committed.length + this.writing) * 16;
  }
}

const record = (value: number): Uint8Array => new Uint8Array(8).fill(value);

describe('live capture', () => {
  it('hands over what comes until it is stopped, then what is left, in order', () => {
    const ring = new MemoryRing();
    const stop = new StopSignal();
    const seen: Uint8Array[] = [];
    let ticks = 0;
    ring.commit(record(0));
    captureLive(ring, stop, {
      batch: (batch) => seen.push(...recordsIn([batch])),
      tick: () => {
        // After a batch, and once more after each look at the ring: two a round.
        if (++ticks % 2 === 1) return;
        ring.commit(record(ticks / 2));
        if (ticks === 6) stop.stop();
      },
    });
    expect(seen).to.deep.equal([0, 1, 2, 3].map(record));
    expect(ticks).to.equal(8);
  });

  it('waits for a record that is still being written when the probes are gone', () => {
    const ring = new MemoryRing();
    const stop = new StopSignal();
    const seen: Uint8Array[] = [];
    stop.stop();
    ring.writing = 1;
    let drains = 0;
    const drain = ring.drain.bind(ring);
    ring.drain = (handle) => {
      if (++drains === 3) {
        ring.writing = 0;
        ring.commit(record(7));
      }
      return drain(handle);
    };
    captureLive(ring, stop, { batch: (batch) => seen.push(...recordsIn([batch])), tick: () => undefined });
    expect(seen).to.deep.equal([record(7)]);
  });

  it('does not wait for ever for one that never comes', () => {
    const ring = new MemoryRing();
    const stop = new StopSignal();
    stop.stop();
    ring.writing = 1;
    const started = performance.now();
    captureLive(ring, stop, { batch: () => undefined, tick: () => undefined });
    expect(performance.now() - started).to.be.within(40, 2000);
  });

  it('is woken by the stop signal, not by its timer', () => {
    const stop = new StopSignal();
    stop.stop();
    const started = performance.now();
    stop.wait(5000);
    expect(performance.now() - started).to.be.below(1000);
    expect(new StopSignal(stop.buffer).stopped).to.equal(true);
  });
});
