import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { constants } from 'node:zlib';
import { ChunkReader } from '../../src/capture/recording/chunk-reader.js';
import { CHUNK_HEADER_BYTES, encodeChunk, FILE_HEADER_BYTES } from '../../src/capture/recording/format.js';

/**
 * A recording's file with every chunk as small as its compressor can make it: a live run has no time for that, and a file
 * in the repository is some 30 % smaller.
 * @throws Error for a file that is not whole
 */
export function repacked(path: string): Buffer {
  const end = statSync(path).size;
  const fd = openSync(path, 'r');
  try {
    const chunks = new ChunkReader(fd);
    const parts: Uint8Array[] = [readFileSync(path).subarray(0, FILE_HEADER_BYTES)];
    for (let at = FILE_HEADER_BYTES; at < end;) {
      const header = chunks.read(at, end);
      const raw = header && chunks.unpack(header);
      if (!raw) throw new Error(`${path} is not whole: see offset ${at}`);
      parts.push(encodeChunk(header.name, raw, constants.Z_BEST_COMPRESSION));
      at += CHUNK_HEADER_BYTES + header.storedBytes;
    }
    return Buffer.concat(parts);
  } finally {
    closeSync(fd);
  }
}
