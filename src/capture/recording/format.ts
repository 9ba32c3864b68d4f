import { constants, crc32, deflateRawSync, inflateRawSync } from 'node:zlib';

/**
 * The recording format (docs/internals/recording.md): a file header, then chunks. All numbers are little-endian u32.
 *
 *     file header   8 bytes magic, version, CRC-32 of these 12 bytes
 *     chunk         'VDCK', name (12 bytes, NUL padded), codec, stored bytes, raw bytes,
 *                   CRC-32 of the 28 header bytes before it and of the payload; then the payload
 */
export const MAGIC = Buffer.from('\x89VDIAG\r\n', 'latin1');
export const VERSION = 1;
export const FILE_HEADER_BYTES = 16;
export const CHUNK_HEADER_BYTES = 32;

const CHUNK_MARK = Buffer.from('VDCK', 'latin1');
const NAME_BYTES = 12;

/** Chunk names that the format itself knows; any other one is JSON for a layer above. */
export const CHUNK = {
  meta: 'meta',
  events: 'events',
  symbols: 'symbols',
  checkpoint: 'checkpoint',
  end: 'end',
} as const;

/** Most raw bytes of an events chunk, and of a JSON chunk. */
export const MAX_EVENTS_RAW = 1 << 20;
export const MAX_JSON_RAW = 32 << 20;
/** Most raw bytes of all JSON chunks of a recording together: they are held in memory by a replay. */
export const MAX_JSON_TOTAL = 256 << 20;

const CODEC = { stored: 0, deflate: 1 } as const;

/** What a chunk's header says. */
export interface ChunkHeader {
  name: string;
  codec: number;
  storedBytes: number;
  rawBytes: number;
  crc: number;
}

/** The first bytes of every recording. */
export function encodeFileHeader(version = VERSION): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(version, 8);
  header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
  return header;
}

/** Events at level 1: those of a busy host must not wait for their compressor. */
function usualLevel(name: string): number {
  return name === CHUNK.events ? constants.Z_BEST_SPEED : constants.Z_DEFAULT_COMPRESSION;
}

/**
 * A whole chunk, header and payload in one piece, so that one write() appends it. The payload is compressed unless
 * that makes it longer.
 * @param level of zlib
 */
export function encodeChunk(name: string, raw: Uint8Array, level = usualLevel(name)): Buffer {
  if (!validName(name)) throw new RangeError(`"${name}" cannot name a chunk`);
  if (raw.byteLength > rawLimit(name)) {
    throw new RangeError(`a chunk "${name}" of ${raw.byteLength} bytes is over the format's ${rawLimit(name)}`);
  }
  const packed = deflateRawSync(raw, { level });
  const smaller = packed.byteLength < raw.byteLength;
  const payload = smaller ? packed : raw;
  const chunk = Buffer.alloc(CHUNK_HEADER_BYTES + payload.byteLength);
  CHUNK_MARK.copy(chunk);
  chunk.write(name, 4, NAME_BYTES, 'latin1');
  chunk.writeUInt32LE(smaller ? CODEC.deflate : CODEC.stored, 16);
  chunk.writeUInt32LE(payload.byteLength, 20);
  chunk.writeUInt32LE(raw.byteLength, 24);
  chunk.set(payload, CHUNK_HEADER_BYTES);
  chunk.writeUInt32LE(chunkCrc(chunk.subarray(0, 28), payload), 28);
  return chunk;
}

/**
 * Reads a chunk's header and refuses one that no writer of this format makes, so that its lengths are safe to
 * allocate. Whether it is intact only its checksum tells ({@link payloadIsIntact}).
 */
export function decodeChunkHeader(header: Buffer): ChunkHeader | undefined {
  if (header.byteLength < CHUNK_HEADER_BYTES || !header.subarray(0, 4).equals(CHUNK_MARK)) return undefined;
  const name = header.toString('latin1', 4, 4 + NAME_BYTES).replace(/\0+$/, '');
  const codec = header.readUInt32LE(16);
  const storedBytes = header.readUInt32LE(20);
  const rawBytes = header.readUInt32LE(24);
  if (!validName(name) || rawBytes > rawLimit(name) || storedBytes > rawBytes) return undefined;
  if (codec !== CODEC.deflate && (codec !== CODEC.stored || storedBytes !== rawBytes)) return undefined;
  return { name, codec, storedBytes, rawBytes, crc: header.readUInt32LE(28) };
}

/** Whether header and payload are what was written. */
export function payloadIsIntact(headerBytes: Buffer, header: ChunkHeader, payload: Uint8Array): boolean {
  return chunkCrc(headerBytes.subarray(0, 28), payload) === header.crc;
}

/** The payload as it was before compression, or undefined if it is not what its header says. Bounded by the header's length. */
export function unpack(header: ChunkHeader, payload: Uint8Array): Uint8Array | undefined {
  if (header.codec === CODEC.stored) return payload;
  try {
    const raw = inflateRawSync(payload, { maxOutputLength: Math.max(1, header.rawBytes) });
    return raw.byteLength === header.rawBytes ? raw : undefined;
  } catch {
    // Bad deflate data, or more of it than the header allows: either way not a payload that was written.
    return undefined;
  }
}

function chunkCrc(head: Uint8Array, payload: Uint8Array): number {
  return crc32(payload, crc32(head));
}

function validName(name: string): boolean {
  return /^[a-z][a-z0-9-]{0,11}$/.test(name);
}

function rawLimit(name: string): number {
  return name === CHUNK.events ? MAX_EVENTS_RAW : MAX_JSON_RAW;
}
