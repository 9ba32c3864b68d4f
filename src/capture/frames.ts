import type { Batch } from './types.js';

/** Header bits of a frame, as the kernel's ring buffer sets them (include/uapi/linux/bpf.h, BPF_RINGBUF_*). */
export const FRAME_BUSY = 0x80000000;
export const FRAME_DISCARDED = 0x40000000;
const FRAME_LENGTH = 0x3fffffff;

/** Bytes of a frame's header: u32 length and bits, u32 padding. */
export const FRAME_HEADER = 8;

/** Length of the record in a frame, bytes. */
export function recordLength(header: number): number {
  return header & FRAME_LENGTH;
}

/** Bytes from a frame's start to the next one's. */
export function frameStep(header: number): number {
  return ((header & FRAME_LENGTH) + FRAME_HEADER + 7) & ~7;
}

/**
 * Whether a batch consists of whole, committed frames from its start to its end: what a decoder may rely on. For bytes
 * that come from a file; the kernel's own need no check.
 */
export function wellFramed(batch: Batch): boolean {
  const { u32, start, end } = batch;
  if (start % 8 !== 0 || end % 8 !== 0 || start < 0 || end > u32.length * 4) return false;
  let at = start;
  while (at < end) {
    const header = u32[at >>> 2];
    if ((header & FRAME_BUSY) !== 0) return false;
    const step = frameStep(header);
    if (step > end - at) return false;
    at += step;
  }
  return at === end;
}

/** A batch over bytes of one's own, which must begin at a multiple of 8 of their buffer. */
export function batchOf(bytes: Uint8Array, length = bytes.byteLength): Batch {
  const u32 = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  return { u8: bytes, u32, start: 0, end: length };
}
