import koffi from 'koffi';
import { errnoText } from './libbpf.js';
import type { RingBatch, RingSource } from './types.js';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffffffffffffffffn;
const SC_PAGESIZE = 30;

const BUSY = 0x80000000;
const LENGTH = 0x3fffffff;
/** The position is given back to the kernel this often during a drain, so that it can go on writing. */
const RELEASE_BYTES = 64 << 10;

type Address = object | bigint;

interface Libc {
  mmap(at: null, length: number, protection: number, flags: number, fd: number, offset: number): Address;
  munmap(at: Address, length: number): number;
  sysconf(name: number): number;
}

let libcShared: Libc | undefined;

function libc(): Libc {
  if (!libcShared) {
    const library = koffi.load(null);
    libcShared = {
      mmap: library.func(
        'void *mmap(void *at, size_t length, int protection, int flags, int fd, int64_t offset)',
      ) as Libc['mmap'],
      munmap: library.func('int munmap(void *at, size_t length)') as Libc['munmap'],
      sysconf: library.func('long sysconf(int name)') as Libc['sysconf'],
    };
  }
  return libcShared;
}

/**
 * Reads a BPF ring buffer in place (kernel/bpf/ringbuf.c): the consumer's page, then the producer's page and the data,
 * which the kernel maps twice in a row so that no record is ever cut. Can be opened in a Worker: the descriptor is the
 * process'.
 */
export class RingReader {
  readonly #consumer64: BigUint64Array;
  readonly #producer: Uint32Array;
  readonly #mappings: { at: Address; length: number; memory: ArrayBuffer }[] = [];
  readonly #mask: number;
  readonly #batch: RingBatch;
  /** All we have read so far, and its low 32 bits. */
  #position: bigint;
  #low: number;
  #open = true;

  /** @throws Error when the ring cannot be mapped. */
  constructor(readonly source: RingSource) {
    const page = libc().sysconf(SC_PAGESIZE);
    const { fd, size } = source;
    const consumer = this.#map(page, PROT_READ | PROT_WRITE, fd, 0);
    const producer = this.#map(page + 2 * size, PROT_READ, fd, page);
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

  /**
   * Reads no more. Where the engine can detach the views (Node 22 on) the memory is given back; else it stays mapped
   * until the process ends, because reading a view of memory that is gone would kill the process.
   */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const { at, length, memory } of this.#mappings) {
      const transfer = (memory as { transfer?: () => ArrayBuffer }).transfer;
      if (!transfer) continue;
      try {
        transfer.call(memory);
      } catch (error) {
        // External memory that V8 does not let go of: leave it mapped.
        if (!(error instanceof TypeError)) throw error;
        continue;
      }
      if (memory.byteLength === 0) libc().munmap(at, length);
    }
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

  #map(length: number, protection: number, fd: number, offset: number): ArrayBuffer {
    const at = libc().mmap(null, length, protection, MAP_SHARED, fd, offset);
    if (at === null || koffi.address(at) === MAP_FAILED) {
      throw new Error(`the ring buffer cannot be mapped: ${errnoText(koffi.errno())}`);
    }
    const memory = koffi.view(at, length) as ArrayBuffer;
    this.#mappings.push({ at, length, memory });
    return memory;
  }
}
