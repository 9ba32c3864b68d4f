import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PerfReader } from '../src/bpf/perf-buffer.js';
import { RingReader } from '../src/bpf/ring.js';
import type { RecordReader, RingBatch } from '../src/bpf/types.js';
import { WIRE_SIZE } from '../src/events/wire.gen.js';

const PAGE = 4096;
const SIZE = 4 << 20;
const RECORD = WIRE_SIZE.vd_hop;
const CPUS = 4;
const ROUNDS = 10;

export interface ReaderBench {
  /** ns an event, found and stepped over. */
  ring: number;
  perf: number;
}

/**
 * How long it takes to take events out of a ring buffer, and out of the perf buffers of four CPUs, which are copied and
 * merged by time. Both are files laid out as the kernel maps them, full of hops.
 */
export function benchReaders(): ReaderBench {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-bench-'));
  try {
    return { ring: benchRing(folder), perf: benchPerf(folder) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function benchRing(folder: string): number {
  const step = (RECORD + 15) & ~7;
  const count = Math.floor(SIZE / step);
  const data = Buffer.alloc(SIZE);
  for (let i = 0; i < count; i++) {
    data.writeUInt32LE(RECORD, i * step);
    data.writeBigUInt64LE(BigInt(i), i * step + 8);
  }
  const fd = openSync(join(folder, 'ring'), 'w+');
  writeSync(fd, Buffer.concat([Buffer.alloc(2 * PAGE), data, data]));
  const fill = (): void => {
    writeSync(fd, position(0), 0, 8, 0);
    writeSync(fd, position(count * step), 0, 8, PAGE);
  };
  fill();
  const time = best(fill, () => new RingReader({ fd, size: SIZE }), count);
  closeSync(fd);
  return time;
}

/** The events are dealt to the CPUs in turn, so that no two in a row come from the same buffer. */
function benchPerf(folder: string): number {
  const step = (RECORD + 4 + 8 + 7) & ~7;
  const count = Math.floor(SIZE / step);
  const fds = Array.from({ length: CPUS }, (_, cpu) => {
    const data = Buffer.alloc(SIZE);
    for (let i = 0; i < count; i++) {
      data.writeUInt32LE(9, i * step);
      data.writeUInt16LE(step, i * step + 6);
      data.writeUInt32LE(step - 12, i * step + 8);
      data.writeBigUInt64LE(BigInt(i * CPUS + cpu), i * step + 12);
    }
    const fd = openSync(join(folder, `perf-${cpu}`), 'w+');
    writeSync(fd, Buffer.concat([Buffer.alloc(PAGE), data]));
    return fd;
  });
  const fill = (): void => {
    for (const fd of fds) {
      writeSync(fd, position(count * step), 0, 8, 1024);
      writeSync(fd, position(0), 0, 8, 1032);
    }
  };
  fill();
  const perf = fds.map((fd, cpu) => ({ cpu, fd }));
  const open = (): RecordReader => new PerfReader({ perf, size: SIZE, lost: new SharedArrayBuffer(8) });
  const time = best(fill, open, count * CPUS);
  for (const fd of fds) closeSync(fd);
  return time;
}

function best(fill: () => void, open: () => RecordReader, events: number): number {
  let shortest = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    fill();
    const reader = open();
    const before = process.hrtime.bigint();
    let seen = 0;
    reader.drain((batch) => (seen += visit(batch)));
    const took = Number(process.hrtime.bigint() - before);
    reader.close();
    if (seen !== events) throw new Error(`${seen} of ${events} events were read`);
    shortest = Math.min(shortest, took / events);
  }
  return shortest;
}

function visit({ u32, start, end }: RingBatch): number {
  let seen = 0;
  for (let at = start; at < end; seen++) {
    at += (u32[at >>> 2]! + 15) & ~7;
  }
  return seen;
}

function position(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
