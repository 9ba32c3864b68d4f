import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { cpuNumbers } from '../../src/bpf/perf-events.js';
import { PerfReader } from '../../src/bpf/perf-buffer.js';

const PAGE = 4096;
const SIZE = 4096;
const HEAD = 1024;
const TAIL = 1032;
const SAMPLE = 9;
const LOST = 2;
const THROTTLE = 5;

/** A file laid out as the kernel maps a perf event's buffer: the page of positions, then the data. */
class FileBuffer {
  readonly folder = mkdtempSync(join(tmpdir(), 'vdiag-perf-'));
  readonly fd = openSync(join(this.folder, 'buffer'), 'w+');
  #head: bigint;

  constructor(
    start: bigint,
    readonly size = SIZE,
  ) {
    writeSync(this.fd, Buffer.alloc(PAGE + size), 0, undefined, 0);
    this.#head = start;
    this.#position(HEAD, start);
    this.#position(TAIL, start);
  }

  /** A record: its type, and what follows its head of 8 bytes. */
  put(type: number, body: Buffer): void {
    const record = Buffer.alloc((body.length + 15) & ~7);
    record.writeUInt32LE(type, 0);
    record.writeUInt16LE(record.length, 6);
    body.copy(record, 8);
    const at = Number(this.#head % BigInt(this.size));
    const before = Math.min(record.length, this.size - at);
    writeSync(this.fd, record, 0, before, PAGE + at);
    writeSync(this.fd, record, before, record.length - before, PAGE);
    this.#head += BigInt(record.length);
    this.#position(HEAD, this.#head);
  }

  /** A sample as the kernel writes it: the length of what follows, filled up so that the whole is a multiple of 8. */
  sample(time: number, text: string): void {
    const data = Buffer.alloc(8 + ((text.length + 7) & ~7));
    data.writeBigUInt64LE(BigInt(time), 0);
    data.write(text, 8, 'latin1');
    const body = Buffer.alloc(4 + data.length + 4);
    body.writeUInt32LE(data.length + 4, 0);
    data.copy(body, 4);
    this.put(SAMPLE, body);
  }

  lost(count: number): void {
    const body = Buffer.alloc(16);
    body.writeBigUInt64LE(77n, 0);
    body.writeBigUInt64LE(BigInt(count), 8);
    this.put(LOST, body);
  }

  get unread(): number {
    const tail = Buffer.alloc(8);
    readSync(this.fd, tail, 0, 8, TAIL);
    return Number(this.#head - tail.readBigUInt64LE());
  }

  #position(at: number, value: bigint): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    writeSync(this.fd, bytes, 0, 8, at);
  }

  remove(): void {
    closeSync(this.fd);
    rmSync(this.folder, { recursive: true });
  }
}

/** ns: later than any record that is written now. */
const later = (): number => Number(process.hrtime.bigint()) + 3_600_000_000_000;

describe('the perf buffer reader', () => {
  let buffers: FileBuffer[] = [];
  let reader: PerfReader;
  const lost = new SharedArrayBuffer(8);
  const begin = (count = 1, start = 0n): FileBuffer[] => {
    buffers = Array.from({ length: count }, () => new FileBuffer(start));
    const perf = buffers.map(({ fd }, cpu) => ({ cpu, fd }));
    reader = new PerfReader({ perf, size: SIZE, lost });
    return buffers;
  };
  const end = (): void => {
    reader.close();
    for (const buffer of buffers.splice(0)) buffer.remove();
  };
  afterEach(() => {
    end();
    new BigUint64Array(lost)[0] = 0n;
  });

  /** Texts of what a drain hands over. */
  function read(): string[] {
    const found: string[] = [];
    let bytes = 0;
    const total = reader.drain(({ u8, u32, start, end: until }) => {
      bytes += until - start;
      for (let at = start; at < until; ) {
        const length = u32[at >> 2];
        expect(length % 8, 'records as long as they were written').to.equal(0);
        expect(u32[(at >> 2) + 1]).to.equal(0);
        found.push(Buffer.from(u8.subarray(at + 16, at + 8 + length)).toString('latin1').replace(/\0+$/, ''));
        at += length + 8;
      }
    });
    expect(total).to.equal(bytes);
    return found;
  }

  it('hands samples over in frames, once, and gives their room back', () => {
    const [cpu] = begin();
    expect(read()).to.deep.equal([]);
    cpu.sample(1, 'one');
    cpu.sample(2, 'two and more');
    expect(reader.pending()).to.equal(cpu.unread).and.greaterThan(0);
    expect(read()).to.deep.equal(['one', 'two and more']);
    expect(reader.pending()).to.equal(0);
    expect(cpu.unread).to.equal(0);
    expect(read()).to.deep.equal([]);
  });

  it('counts what the kernel says was lost, and steps over records of other kinds', () => {
    const [cpu, other] = begin(2);
    cpu.lost(5);
    cpu.put(THROTTLE, Buffer.alloc(24));
    cpu.sample(1, 'here');
    cpu.lost(2);
    other.lost(1);
    expect(read()).to.deep.equal(['here']);
    expect(new BigUint64Array(lost)[0]).to.equal(8n);
    expect([cpu.unread, other.unread]).to.deep.equal([0, 0]);
  });

  it('takes the samples of all CPUs in the order of their time', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(9)), { maxLength: 60 }), (steps) => {
        begin(5);
        let time = 0;
        const times: number[] = [];
        for (const [cpu, wait] of steps) {
          buffers[cpu]!.sample((time += wait), String(time));
          times.push(time);
        }
        expect(read().map(Number)).to.deep.equal(times);
        end();
      }),
      { numRuns: 50 },
    );
  });

  it('leaves what was written after a look began to the next, but not longer', () => {
    const [cpu, other] = begin(2);
    cpu.sample(1, 'early');
    other.sample(later(), 'late');
    expect(read()).to.deep.equal(['early']);
    expect(reader.pending()).to.equal(other.unread).and.greaterThan(0);
    cpu.sample(2, 'in between');
    expect(read()).to.deep.equal(['in between', 'late']);
  });

  it('reads records that go round the end, also when positions pass 32 bits', () => {
    const [cpu] = begin(1, 2n ** 32n - 4096n + 3992n);
    for (let i = 0; i < 300; i++) {
      const content = `${i}-${'x'.repeat(i % 97)}`;
      cpu.sample(i, content);
      expect(read()).to.deep.equal([content]);
    }
  });

  it('hands over more than fits its own memory, in pieces', () => {
    begin(0);
    const large = new FileBuffer(0n, 256 << 10);
    buffers.push(large);
    reader = new PerfReader({ perf: [{ cpu: 0, fd: large.fd }], size: large.size, lost });
    const texts = Array.from({ length: 1000 }, (_, i) => `${i}-${'y'.repeat(100)}`);
    texts.forEach((text, i) => large.sample(i, text));
    let pieces = 0;
    reader.drain(() => pieces++);
    expect(pieces).to.be.greaterThan(1);
    texts.forEach((text, i) => large.sample(i, text));
    expect(read()).to.deep.equal(texts);
  });

  it('hands over nothing after close, and may be closed twice', () => {
    const [cpu] = begin();
    cpu.sample(1, 'one');
    reader.close();
    reader.close();
    expect(read()).to.deep.equal([]);
    expect(reader.pending()).to.equal(0);
  });

  it('says that a buffer cannot be mapped', () => {
    begin();
    expect(() => new PerfReader({ perf: [{ cpu: 0, fd: 9999 }], size: SIZE, lost })).to.throw(
      'the perf buffer cannot be mapped: EBADF',
    );
  });
});

describe('CPU numbers', () => {
  it('are read as the kernel lists them', () => {
    expect(cpuNumbers('0-3,8,10-11\n')).to.deep.equal([0, 1, 2, 3, 8, 10, 11]);
    expect(cpuNumbers('0\n')).to.deep.equal([0]);
  });
});
