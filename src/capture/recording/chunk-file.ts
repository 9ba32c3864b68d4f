import { writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { encodeChunk } from './format.js';

/** What another thread needs to append to the same recording: plain data for `workerData`. */
export interface ChunkFileHandle {
  fd: number;
  /** Counters shared by all who append; see {@link COUNTER}. */
  counters: SharedArrayBuffer;
  /** Bytes of file after which no more events are written. */
  maxBytes: number;
}

const COUNTER = { fileBytes: 0, eventBytesLeftOut: 1, errno: 2 } as const;
const SHORT_WRITE = 1n;

/**
 * Appends chunks to an open recording. The descriptor is in append mode and every chunk is one write(), so threads of
 * the process may append side by side without a lock: the kernel orders whole chunks (inode lock of ext4, xfs, tmpfs).
 * After a failed write nothing more is written, so that the file stays a replayable prefix; the run itself goes on.
 */
export class ChunkFile {
  readonly #counters: BigInt64Array;

  constructor(readonly handle: ChunkFileHandle) {
    this.#counters = new BigInt64Array(handle.counters);
  }

  static handleFor(fd: number, maxBytes: number): ChunkFileHandle {
    return { fd, maxBytes, counters: new SharedArrayBuffer(8 * 3) };
  }

  /** Bytes written by all threads. */
  get fileBytes(): number {
    return Number(Atomics.load(this.#counters, COUNTER.fileBytes));
  }

  /** Bytes of events (uncompressed) that were seen but not recorded: limit reached, or a write failed. */
  get eventBytesLeftOut(): number {
    return Number(Atomics.load(this.#counters, COUNTER.eventBytesLeftOut));
  }

  /** Why the recording is not whole, in a sentence; undefined while it is. */
  get problem(): string | undefined {
    const errno = Atomics.load(this.#counters, COUNTER.errno);
    if (errno === SHORT_WRITE) return 'the recording could not be written on: the disk took only part of a write';
    if (errno < 0n) return `the recording could not be written on: ${getSystemErrorName(Number(errno))}`;
    if (this.eventBytesLeftOut > 0)
      return `the recording reached its limit of ${this.handle.maxBytes} bytes; later events are not in it`;
    return undefined;
  }

  /** Appends raw bytes of the file's own (its header). */
  appendBytes(bytes: Uint8Array): void {
    if (Atomics.load(this.#counters, COUNTER.errno) !== 0n) return;
    try {
      const written = writeSync(this.handle.fd, bytes);
      Atomics.add(this.#counters, COUNTER.fileBytes, BigInt(written));
      if (written !== bytes.byteLength) Atomics.compareExchange(this.#counters, COUNTER.errno, 0n, SHORT_WRITE);
    } catch (error) {
      // A full disk must not end the run that is being recorded: `problem` tells, and the report passes it on.
      const errno = (error as NodeJS.ErrnoException).errno ?? -5;
      Atomics.compareExchange(this.#counters, COUNTER.errno, 0n, BigInt(errno));
    }
  }

  append(name: string, raw: Uint8Array): void {
    this.appendBytes(encodeChunk(name, raw));
  }

  /** Appends events unless the limit is reached; once it is, nothing follows, so that what is recorded has no gap. */
  appendEvents(name: string, raw: Uint8Array): void {
    const failed = Atomics.load(this.#counters, COUNTER.errno) !== 0n;
    if (failed || this.eventBytesLeftOut > 0) {
      this.#leaveOut(raw.byteLength);
      return;
    }
    const chunk = encodeChunk(name, raw);
    if (this.fileBytes + chunk.byteLength > this.handle.maxBytes) {
      this.#leaveOut(raw.byteLength);
      return;
    }
    this.appendBytes(chunk);
    if (Atomics.load(this.#counters, COUNTER.errno) !== 0n) this.#leaveOut(raw.byteLength);
  }

  #leaveOut(bytes: number): void {
    Atomics.add(this.#counters, COUNTER.eventBytesLeftOut, BigInt(bytes));
  }
}
