import { closeSync, constants, fsyncSync, lstatSync, openSync, unlinkSync } from 'node:fs';
import { VdiagError } from '../../base/errors.js';
import type { RunEnd, RunMeta } from '../types.js';
import { ChunkFile, type ChunkFileHandle } from './chunk-file.js';
import type { Checkpoint } from './contents.js';
import { CHUNK, encodeFileHeader } from './format.js';

/** Default bound of a recording's size, bytes. */
export const DEFAULT_MAX_BYTES = 1 << 30;

export interface RecordingOptions {
  /** Replace a file that is there. */
  force?: boolean;
  /** Bytes of file after which no more events are recorded; the evidence and the end still are. */
  maxBytes?: number;
}

/**
 * Writes a recording: the head when it is made, evidence while the run goes on, its end. The events are appended by an
 * {@link EventRecorder}, in whatever thread drains the ring, made from this writer's `handle`.
 */
export class RecordingWriter {
  readonly #file: ChunkFile;
  readonly #path: string;
  #open = true;

  private constructor(path: string, fd: number, maxBytes: number) {
    this.#path = path;
    this.#file = new ChunkFile(ChunkFile.handleFor(fd, maxBytes));
  }

  /**
   * Makes the file (mode 0600: packets are private) and writes its head.
   * @throws VdiagError (status 2) if the file exists and `force` is not given, is not a regular file, or can't be made.
   */
  static create(path: string, meta: RunMeta, options: RecordingOptions = {}): RecordingWriter {
    const writer = new RecordingWriter(
      path,
      createFile(path, options.force === true),
      options.maxBytes ?? DEFAULT_MAX_BYTES,
    );
    writer.#file.appendBytes(encodeFileHeader());
    writer.writeJson(CHUNK.meta, meta);
    const { problem } = writer.#file;
    if (problem !== undefined) {
      writer.abandon();
      throw new VdiagError({ message: `cannot record to ${path}: ${problem}` }, 2);
    }
    return writer;
  }

  /** For the thread that records the events. */
  get handle(): ChunkFileHandle {
    return this.#file.handle;
  }

  /** Why the recording is not whole (limit reached, disk full), in a sentence; undefined while it is. */
  get problem(): string | undefined {
    return this.#file.problem;
  }

  get bytes(): number {
    return this.#file.fileBytes;
  }

  /**
   * Appends a JSON value under a name of at most 12 lower-case letters, digits or dashes (`evidence`, `namespaces`).
   * @throws RangeError for a value over 32 MiB: whoever gathers evidence bounds it.
   */
  writeJson(name: string, value: unknown): void {
    if (!this.#open) throw new Error(`the recording ${this.#path} has ended: "${name}" comes too late`);
    this.#file.append(name, Buffer.from(JSON.stringify(value)));
  }

  /** Records the counters as they stand, for a replay of a recording that gets no end. Every few seconds is enough. */
  checkpoint(counters: Checkpoint): void {
    this.writeJson(CHUNK.checkpoint, counters);
  }

  /**
   * Writes the end, brings everything to the disk and closes the file. If events were left out, the recorded end says
   * so (`cut`), because a replay can't give the same report.
   */
  end(end: RunEnd): void {
    const cut = this.#file.eventBytesLeftOut;
    const recorded: RunEnd = cut > 0 ? { ...end, reason: 'cut', loss: { ...end.loss, recordingCut: cut } } : end;
    this.writeJson(CHUNK.end, recorded);
    try {
      fsyncSync(this.handle.fd);
    } finally {
      this.abandon();
    }
  }

  /** Closes the file without an end; what is in it can be replayed. Nothing to do after `end`. */
  abandon(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.handle.fd);
  }
}

function createFile(path: string, force: boolean): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND | constants.O_NOFOLLOW;
  try {
    // Replaced, not truncated: another user who holds the old file open must not read the new one.
    if (force && isRegularFile(path)) unlinkSync(path);
    return openSync(path, flags, 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && isRegularFile(path)) {
      throw new VdiagError({ message: `${path} exists`, hint: 'choose another file, or replace it with --force' }, 2, {
        cause: error,
      });
    }
    const why = code === 'EEXIST' ? 'it is not a regular file' : message;
    throw new VdiagError({ message: `cannot record to ${path}: ${why}`, expected: 'a file that can be made' }, 2, {
      cause: error,
    });
  }
}

function isRegularFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
