import { readSync } from 'node:fs';
import {
  CHUNK_HEADER_BYTES,
  type ChunkHeader,
  MAX_EVENTS_RAW,
  decodeChunkHeader,
  payloadIsIntact,
  unpack,
} from './format.js';

/** Reads chunks of an open recording at given offsets, one at a time, in buffers that it uses again. */
export class ChunkReader {
  readonly #headerBytes = Buffer.alloc(CHUNK_HEADER_BYTES);
  #payload = Buffer.alloc(MAX_EVENTS_RAW);

  constructor(readonly fd: number) {}

  /** The header of the chunk at an offset; undefined unless the chunk lies whole and intact before `limit`. */
  read(at: number, limit: number): ChunkHeader | undefined {
    if (limit - at < CHUNK_HEADER_BYTES || !this.#fill(this.#headerBytes, at)) return undefined;
    const header = decodeChunkHeader(this.#headerBytes);
    if (!header || header.storedBytes > limit - at - CHUNK_HEADER_BYTES) return undefined;
    if (this.#payload.byteLength < header.storedBytes) this.#payload = Buffer.alloc(header.storedBytes);
    const payload = this.#payload.subarray(0, header.storedBytes);
    if (!this.#fill(payload, at + CHUNK_HEADER_BYTES)) return undefined;
    return payloadIsIntact(this.#headerBytes, header, payload) ? header : undefined;
  }

  /** The unpacked payload of the chunk that was read last, valid until the next; undefined if it does not unpack. */
  unpack(header: ChunkHeader): Uint8Array | undefined {
    return unpack(header, this.#payload.subarray(0, header.storedBytes));
  }

  #fill(bytes: Buffer, at: number): boolean {
    let read = 0;
    while (read < bytes.byteLength) {
      const part = readSync(this.fd, bytes, read, bytes.byteLength - read, at + read);
      if (part === 0) return false;
      read += part;
    }
    return true;
  }
}
