import { FRAME_DISCARDED, frameStep } from '../frames.js';
import type { Batch } from '../types.js';
import { ChunkFile, type ChunkFileHandle } from './chunk-file.js';
import { CHUNK, MAX_EVENTS_RAW } from './format.js';

/**
 * Records events: copies the frames of each batch and appends them by the chunk. Belongs to the thread that drains the
 * ring; holds one chunk in memory.
 */
export class EventRecorder {
  readonly #file: ChunkFile;
  readonly #bytes = new Uint8Array(MAX_EVENTS_RAW);
  readonly #words = new Uint32Array(this.#bytes.buffer);
  #used = 0;

  constructor(handle: ChunkFileHandle) {
    this.#file = new ChunkFile(handle);
  }

  /** Why the recording is not whole; undefined while it is. */
  get problem(): string | undefined {
    return this.#file.problem;
  }

  /** Copies a batch's frames; those that the kernel side discarded, and the ring's page numbers in the padding, are left out. */
  write(batch: Batch): void {
    const { u8, u32, end } = batch;
    let at = batch.start;
    while (at < end) {
      const header = u32[at >>> 2];
      const step = frameStep(header);
      if ((header & FRAME_DISCARDED) === 0) {
        if (step > MAX_EVENTS_RAW) throw new RangeError(`a frame of ${step} bytes is longer than a chunk`);
        if (this.#used + step > MAX_EVENTS_RAW) this.flush();
        this.#bytes.set(u8.subarray(at, at + step), this.#used);
        this.#words[(this.#used >>> 2) + 1] = 0;
        this.#used += step;
      }
      at += step;
    }
  }

  /** Appends what is held, so that a crash loses no more than what came after. */
  flush(): void {
    if (this.#used === 0) return;
    this.#file.appendEvents(CHUNK.events, this.#bytes.subarray(0, this.#used));
    this.#used = 0;
  }

  /** Records names of code addresses (decimal address → `symbol+0x1f [module]`) that were resolved since the last call. */
  writeSymbols(symbols: Record<string, string>): void {
    if (Object.keys(symbols).length === 0) return;
    this.#file.append(CHUNK.symbols, Buffer.from(JSON.stringify(symbols)));
  }
}
