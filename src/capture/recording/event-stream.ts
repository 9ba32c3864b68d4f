import { batchOf, wellFramed } from '../frames.js';
import type { Batch } from '../types.js';
import { ChunkReader } from './chunk-reader.js';
import { damaged } from './contents.js';
import { CHUNK, CHUNK_HEADER_BYTES, FILE_HEADER_BYTES, MAX_EVENTS_RAW } from './format.js';

/** The events of an opened recording: plain data, so that a Worker of the process can stream them. */
export interface EventStreamHandle {
  fd: number;
  /** For messages. */
  path: string;
  /** File offset behind the last intact chunk. */
  end: number;
}

/**
 * Streams the events, one batch a chunk. A batch is valid until the next is asked for.
 * @throws VdiagError (status 2) for a chunk that has a right checksum and yet is no events chunk of vdiag's.
 */
export function* eventBatches({ fd, path, end }: EventStreamHandle): Generator<Batch, void, undefined> {
  const chunks = new ChunkReader(fd);
  const bytes = new Uint8Array(MAX_EVENTS_RAW);
  const batch = batchOf(bytes);
  let at = FILE_HEADER_BYTES;
  while (at < end) {
    const header = chunks.read(at, end);
    if (!header) throw damaged(path, `it changed while it was read (offset ${at})`);
    if (header.name === CHUNK.events) {
      const raw = chunks.unpack(header);
      if (!raw) throw damaged(path, `the chunk at offset ${at} does not unpack`);
      bytes.set(raw);
      batch.end = raw.byteLength;
      if (!wellFramed(batch)) throw damaged(path, `the events at offset ${at} are not framed as events`);
      yield batch;
    }
    at += CHUNK_HEADER_BYTES + header.storedBytes;
  }
}
