import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { VdiagError } from '../../base/errors.js';
import { lossOf } from '../loss.js';
import type { RunEnd, RunMeta } from '../types.js';
import { ChunkReader } from './chunk-reader.js';
import { checkedCheckpoint, checkedEnd, checkedMeta, checkedSymbols, damaged } from './contents.js';
import type { EventStreamHandle } from './event-stream.js';
import {
  CHUNK,
  CHUNK_HEADER_BYTES,
  type ChunkHeader,
  FILE_HEADER_BYTES,
  MAGIC,
  MAX_JSON_TOTAL,
  VERSION,
  encodeFileHeader,
} from './format.js';

/** What a JSON chunk costs in memory beside its text: bounds a file of millions of tiny ones. */
const JSON_CHUNK_COST = 256;

/**
 * A recording, opened for replay. Opening reads the file once: every checksum is verified, every JSON chunk is taken
 * in; the events are streamed later, a chunk at a time. A file that ends early, or has a broken chunk, counts up to
 * the chunk before.
 */
export class Recording {
  readonly #chunks: ChunkReader;
  readonly #json = new Map<string, unknown[]>();
  #jsonBytes = 0;
  /** File offset behind the last intact chunk. */
  #intactEnd = FILE_HEADER_BYTES;
  readonly path: string;
  readonly meta: RunMeta;
  /** Bytes of events, uncompressed. */
  readonly eventBytes: number;
  /** Bytes of the file that can't be replayed: from the first broken chunk on. */
  readonly cutBytes: number;
  /** Names of code addresses. */
  readonly symbols: ReadonlyMap<number, string>;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#chunks = new ChunkReader(fd);
    const size = fstatSync(fd).size;
    this.#checkFileHeader();
    this.eventBytes = this.#readIndex(size);
    this.cutBytes = size - this.#intactEnd;
    const meta = this.json(CHUNK.meta);
    if (meta.length === 0) {
      throw new VdiagError(
        { message: `${path} is cut off before its first chunk ends: nothing in it can be replayed` },
        2,
      );
    }
    this.meta = checkedMeta(meta[0], path);
    this.symbols = checkedSymbols(this.json(CHUNK.symbols), path);
    for (const end of this.json(CHUNK.end)) checkedEnd(end, path);
    for (const checkpoint of this.json(CHUNK.checkpoint)) checkedCheckpoint(checkpoint, path);
  }

  /**
   * Opens a recording. Call `close` when done.
   * @throws VdiagError (status 2): unreadable, a directory, not a recording, of a newer vdiag, or without a head.
   */
  static open(path: string): Recording {
    let fd: number;
    try {
      // Non-blocking: a named pipe must be refused, not waited for.
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw new VdiagError({ message: `cannot read the recording ${path}: ${(error as Error).message}` }, 2, {
        cause: error,
      });
    }
    try {
      if (!fstatSync(fd).isFile()) {
        throw new VdiagError(
          { message: `${path} is not a regular file`, expected: 'a file written by vdiag run --record' },
          2,
        );
      }
      return new Recording(path, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** The values recorded under a name, in order. */
  json(name: string): readonly unknown[] {
    return this.#json.get(name) ?? [];
  }

  /** Whether the run's end is in the file, so that a replay gives the whole report. */
  get complete(): boolean {
    return this.json(CHUNK.end).length > 0;
  }

  /** The events, for {@link eventBatches} in this or another thread. */
  get events(): EventStreamHandle {
    return { fd: this.#chunks.fd, path: this.path, end: this.#intactEnd };
  }

  /**
   * How the run ended. Without an end in the file: with the counters of the last checkpoint, `cut`, at the last event.
   * @param lastTs ns, monotonic, of the last event replayed; 0 if there was none.
   */
  end(lastTs: number): RunEnd {
    const recorded = this.json(CHUNK.end).at(0) as RunEnd | undefined;
    if (recorded) return { ...recorded, loss: lossOf(recorded.loss, { recordingCut: this.cutBytes }) };
    const checkpoint = this.json(CHUNK.checkpoint).at(-1);
    const { loss, ...counted } =
      checkpoint === undefined ? { loss: {}, hits: {} } : checkedCheckpoint(checkpoint, this.path);
    const { startedAt, startedMono } = this.meta;
    const endedMono = Math.max(lastTs, startedMono);
    return {
      endedAt: startedAt + Math.round((endedMono - startedMono) / 1e6),
      endedMono,
      ...counted,
      loss: { ...lossOf(loss), recordingCut: this.cutBytes },
      reason: 'cut',
    };
  }

  close(): void {
    closeSync(this.#chunks.fd);
  }

  #checkFileHeader(): void {
    const header = Buffer.alloc(FILE_HEADER_BYTES);
    const read = readSync(this.#chunks.fd, header, 0, FILE_HEADER_BYTES, 0);
    if (read < FILE_HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC)) {
      throw new VdiagError(
        { message: `${this.path} is not a vdiag recording`, expected: 'a file written by vdiag run --record' },
        2,
      );
    }
    const version = header.readUInt32LE(MAGIC.length);
    if (!header.equals(encodeFileHeader(version))) throw damaged(this.path, 'its first 16 bytes are damaged');
    if (version > VERSION) {
      const message = `${this.path} is a recording of format ${version}; this vdiag reads up to format ${VERSION}`;
      throw new VdiagError({ message, hint: 'replay it with the vdiag that wrote it, or a newer one' }, 2);
    }
  }

  /** Walks the chunks, verifies them, keeps the JSON; stops at the end chunk or the first broken one. */
  #readIndex(size: number): number {
    let eventBytes = 0;
    while (!this.complete) {
      const at = this.#intactEnd;
      const header = this.#chunks.read(at, size);
      // The head comes first: chunks before it mean that this is not what it says it is.
      if (!header || (at === FILE_HEADER_BYTES) !== (header.name === CHUNK.meta)) break;
      if (header.name === CHUNK.events) eventBytes += header.rawBytes;
      else this.#keepJson(header, at);
      this.#intactEnd = at + CHUNK_HEADER_BYTES + header.storedBytes;
    }
    return eventBytes;
  }

  #keepJson(header: ChunkHeader, at: number): void {
    this.#jsonBytes += header.rawBytes + JSON_CHUNK_COST;
    if (this.#jsonBytes > MAX_JSON_TOTAL)
      throw damaged(this.path, `it holds more than ${MAX_JSON_TOTAL} bytes of evidence`);
    const raw = this.#chunks.unpack(header);
    if (!raw) throw damaged(this.path, `the chunk "${header.name}" at offset ${at} does not unpack`);
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('utf8'));
    } catch (error) {
      throw damaged(this.path, `the chunk "${header.name}" at offset ${at} is not JSON (${(error as Error).message})`);
    }
    const kept = this.#json.get(header.name);
    if (kept) kept.push(value);
    else this.#json.set(header.name, [value]);
  }
}
