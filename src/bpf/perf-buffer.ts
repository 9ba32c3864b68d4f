import { MappedMemory, pageSize } from './mapped-memory.js';
import type { PerfSource, RecordReader, RingBatch } from './types.js';

/** struct perf_event_mmap_page (include/uapi/linux/perf_event.h). */
const DATA_HEAD = 1024;
const DATA_TAIL = 1032;

/** enum perf_event_type. Others are not asked for. */
const RECORD_LOST = 2;
const RECORD_SAMPLE = 9;

/** 32-bit words of a record: type; misc and size. */
const TYPE = 0;
const MISC_SIZE = 1;
/** Of a sample: length of the raw data, with what fills it up to 8 bytes; the data, of which vd_hop.ts comes first. */
const RAW_LENGTH = 2;
const RAW = 3;
/** Of PERF_RECORD_LOST, after the event's id: how many. */
const LOST_COUNT = 4;

/** Head of a frame, as the ring buffer has it: length and padding. */
const FRAME_HEADER = 8;
/** Records are collected in so many bytes before they are handed over. */
const STAGE_BYTES = 64 << 10;
/** A drain looks again as long as it finds at least so much: less is what comes in while it reads. */
const WORTH_ANOTHER_LOOK = 64 << 10;

/** One CPU's buffer. Positions are counted in bytes from the beginning of time; of most, the low 32 bits will do. */
class CpuBuffer {
  readonly #mapping: MappedMemory;
  readonly #head: Uint32Array;
  readonly #tail: BigUint64Array;
  readonly words: Uint32Array;
  /** For an index of `words`. */
  readonly mask: number;
  #released: bigint;
  #releasedLow: number;
  /** Where the next record is. */
  low: number;
  /** How far it was written when we looked, and when we looked the time before. */
  #end: number;
  #endBefore: number;
  /** Lost events that it told of. */
  lost = 0;
  /** Time stamp of the sample that `low` is at, ns. */
  time = 0;
  /** Bytes of its raw data without the filling. Wire records are multiples of 8. */
  length = 0;

  constructor(fd: number, size: number) {
    const page = pageSize();
    this.#mapping = new MappedMemory('the perf buffer', fd, 0, page + size, true);
    const { bytes } = this.#mapping;
    this.#head = new Uint32Array(bytes, DATA_HEAD, 2);
    this.#tail = new BigUint64Array(bytes, DATA_TAIL, 1);
    this.words = new Uint32Array(bytes, page, size >> 2);
    this.mask = (size >> 2) - 1;
    this.#released = Atomics.load(this.#tail, 0);
    this.#releasedLow = Number(this.#released & 0xffffffffn);
    this.low = this.#end = this.#endBefore = this.#releasedLow;
  }

  get pending(): number {
    return (Atomics.load(this.#head, 0) - this.#releasedLow) >>> 0;
  }

  look(): void {
    this.#endBefore = this.#end;
    this.#end = Atomics.load(this.#head, 0);
  }

  /** Goes to the next sample that is not later than `until`, from where it is. */
  find(until: number): boolean {
    const { words, mask } = this;
    for (let left = (this.#end - this.low) >>> 0; left > 0; left = (this.#end - this.low) >>> 0) {
      const at = this.low >>> 2;
      const step = words[(at + MISC_SIZE) & mask]! >>> 16;
      const type = words[(at + TYPE) & mask]!;
      if (type === RECORD_SAMPLE) {
        this.length = words[(at + RAW_LENGTH) & mask]! & ~7;
        this.time = words[(at + RAW + 1) & mask]! * 4294967296 + words[(at + RAW) & mask]!;
        // What was there at the last look has waited long enough, whatever its time (time namespaces shift the clock).
        const waited = ((this.#endBefore - this.low) | 0) > 0;
        return waited || this.time <= until;
      }
      if (type === RECORD_LOST) this.lost += words[(at + LOST_COUNT) & mask]!;
      // The kernel writes no such record; going on from here would never end.
      if (step === 0) throw new Error('the perf buffer holds something that is not a record');
      this.low = (this.low + step) >>> 0;
    }
    return false;
  }

  /** Copies the sample that it is at. */
  copyTo(target: Uint32Array, at: number): void {
    const { words, mask, length } = this;
    const from = (this.low >>> 2) + RAW;
    for (let word = 0; word < length >>> 2; word++) target[at + word] = words[(from + word) & mask]!;
  }

  /** Steps over the sample that it is at. */
  step(): void {
    this.low = (this.low + (this.words[((this.low >>> 2) + MISC_SIZE) & this.mask]! >>> 16)) >>> 0;
  }

  /** Gives back to the kernel what was read. */
  release(): void {
    const read = (this.low - this.#releasedLow) >>> 0;
    if (read === 0) return;
    this.#released += BigInt(read);
    this.#releasedLow = this.low;
    Atomics.store(this.#tail, 0, this.#released);
  }

  close(): void {
    this.#mapping.release();
  }
}

/**
 * Reads perf buffers, one a CPU (kernel/events/ring_buffer.c), and hands their samples over as the ring buffer would: in
 * the same frames, and in the order of their time. To that end what was written after a look began waits for the next
 * look: by then whatever another CPU wrote before it is there, too.
 */
export class PerfReader implements RecordReader {
  readonly #cpus: CpuBuffer[] = [];
  readonly #lost: BigUint64Array;
  readonly #batch: RingBatch;
  /** A heap: buffers with a sample to read, the earliest first. */
  readonly #waiting: CpuBuffer[] = [];
  #open = true;

  /** @throws Error when a buffer cannot be mapped */
  constructor(source: PerfSource) {
    this.#lost = new BigUint64Array(source.lost);
    const stage = new ArrayBuffer(STAGE_BYTES);
    this.#batch = { u8: new Uint8Array(stage), u32: new Uint32Array(stage), start: 0, end: 0 };
    try {
      for (const { fd } of source.perf) this.#cpus.push(new CpuBuffer(fd, source.size));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Bytes written and not read yet. */
  pending(): number {
    return this.#open ? this.#cpus.reduce((sum, cpu) => sum + cpu.pending, 0) : 0;
  }

  /**
   * Hands over what there is, in stretches of memory of its own that is used again after the callback has returned; after
   * close() nothing is handed over.
   * @returns the number of bytes handed over, frames included
   */
  drain(onBatch: (batch: RingBatch) => void): number {
    let total = 0;
    while (this.#open) {
      const read = this.#pass(onBatch);
      total += read;
      if (read < WORTH_ANOTHER_LOOK) break;
    }
    return total;
  }

  /** Reads no more. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const cpu of this.#cpus) cpu.close();
  }

  #pass(onBatch: (batch: RingBatch) => void): number {
    const until = Number(process.hrtime.bigint());
    const waiting = this.#waiting;
    waiting.length = 0;
    for (const cpu of this.#cpus) {
      cpu.look();
      if (cpu.find(until)) this.#insert(cpu);
    }
    const { u32 } = this.#batch;
    let total = 0;
    let end = 0;
    while (waiting.length > 0) {
      const cpu = waiting[0]!;
      const frame = cpu.length + FRAME_HEADER;
      if (end + frame > STAGE_BYTES) {
        this.#handOver(end, onBatch);
        if (!this.#open) return total;
        end = 0;
      }
      u32[end >>> 2] = cpu.length;
      u32[(end >>> 2) + 1] = 0;
      cpu.copyTo(u32, (end + FRAME_HEADER) >>> 2);
      end += frame;
      total += frame;
      cpu.step();
      if (cpu.find(until)) this.#sink();
      else this.#removeFirst();
    }
    this.#handOver(end, onBatch);
    return total;
  }

  /** What was copied is given back to the kernel first: the callback may take its time. */
  #handOver(end: number, onBatch: (batch: RingBatch) => void): void {
    for (const cpu of this.#cpus) {
      cpu.release();
      if (cpu.lost === 0) continue;
      Atomics.add(this.#lost, 0, BigInt(cpu.lost));
      cpu.lost = 0;
    }
    if (end === 0) return;
    this.#batch.end = end;
    onBatch(this.#batch);
  }

  #insert(cpu: CpuBuffer): void {
    const heap = this.#waiting;
    let at = heap.push(cpu) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.time <= cpu.time) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = cpu;
  }

  #removeFirst(): void {
    const heap = this.#waiting;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    this.#sink();
  }

  /** The first one's time has changed: puts it in its place. */
  #sink(): void {
    const heap = this.#waiting;
    const cpu = heap[0]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.time < heap[child]!.time) child++;
      if (heap[child]!.time >= cpu.time) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = cpu;
  }
}
