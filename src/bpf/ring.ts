import { MappedMemory, pageSize } from './mapped-memory.js';
import type { RecordReader, RingBatch, RingSource } from './types.js';

const BUSY = 0x80000000;
const LENGTH = 0x3fffffff;
/** The position is given back to the kernel this often during a drain, so that it can go on writing. */
const RELEASE_BYTES = 64 << 10;

/**
 * Reads a BPF ring buffer in place (kernel/bpf/ringbuf.c): the consumer's page, then the producer's page and the data,
 * which the kernel maps twice in a row so that no record is ever cut. Can be opened in a Worker: the descriptor is the
 * process'.
 */
export class RingReader implements RecordReader {
  readonly #consumer64: BigUint64Array;
  readonly #producer: Uint32Array;
  readonly #mappings: MappedMemory[] = [];
  readonly #mask: number;
  readonly #batch: RingBatch;
  /** All we have read so far, and its low 32 bits. */
  #position: bigint;
  #low: number;
  #open = true;

  /** @throws Error when the ring cannot be mapped. */
  constructor(readonly source: RingSource) {
    const page = pageSize();
    const { fd, size } = source;
    const consumer = this.#map(fd, 0, page, true);
    const producer = this.#map(fd, page, page + 2 * size, false);
    this.#consumer64 = new BigUint64Array(consumer, 0, 1);
    this.#producer = new Uint32Array(producer, 0, 2);
    this.#mask = size - 1;
    this.#position = Atomics.load(this.#consumer64, 0);
    this.#low = Number(this.#position & 0xffffffffn);
    this.#batch = {
      u8: new Uint8Array(producer, page, 2 * size),
      u32: new Uint32Array(producer, page, (2 * size) >> 2),
      start: 0,
      end: 0,
    };
  }

  /** Bytes written and not read yet. */
  pending(): number {
    return this.#open ? (Atomics.load(this.#producer, 0) - this.#low) >>> 0 : 0;
  }

  /**
   * Hands over everything that is complete, in one or more stretches of the ring itself. The stretch is given back to
   * the kernel when the callback returns; after close() nothing is handed over.
   * @returns the number of bytes read, frames included
   */
  drain(onBatch: (batch: RingBatch) => void): number {
    if (!this.#open) return 0;
    let total = 0;
    for (;;) {
      const start = this.#low & this.#mask;
      const length = this.#readable(start);
      if (length === 0) return total;
      this.#batch.start = start;
      this.#batch.end = start + length;
      try {
        onBatch(this.#batch);
      } finally {
        this.#position += BigInt(length);
        this.#low = (this.#low + length) >>> 0;
        Atomics.store(this.#consumer64, 0, this.#position);
      }
      total += length;
      if (!this.#open) return total;
    }
  }

  /** Reads no more. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const mapping of this.#mappings) mapping.release();
  }

  /** Bytes of whole, finished frames from `start` on, up to RELEASE_BYTES (at least one frame). */
  #readable(start: number): number {
    const { u32 } = this.#batch;
    const written = (Atomics.load(this.#producer, 0) - this.#low) >>> 0;
    let length = 0;
    while (length < written && length < RELEASE_BYTES) {
      const header = Atomics.load(u32, (start + length) >>> 2);
      if (header & BUSY) break;
      length += ((header & LENGTH) + 15) & ~7;
    }
    return length;
  }

  #map(fd: number, offset: number, length: number, writable: boolean): ArrayBuffer {
    const mapping = new MappedMemory('the ring buffer', fd, offset, length, writable);
    this.#mappings.push(mapping);
    return mapping.bytes;
  }
}
