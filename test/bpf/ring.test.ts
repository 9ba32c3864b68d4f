import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { RingReader } from '../../src/bpf/ring.js';

const PAGE = 4096;
const SIZE = 4096;
const BUSY = 0x80000000;
const DISCARDED = 0x40000000;

/**
 * A file laid out as the kernel maps its ring buffer: consumer page, producer page, data, and the data once more. Only
 * the kernel's double mapping has to be written twice here.
 */
class FileRing {
  readonly folder = mkdtempSync(join(tmpdir(), 'vdiag-ring-'));
  readonly fd = openSync(join(this.folder, 'ring'), 'w+');
  #producer = 0n;

  constructor(start = 0n) {
    writeSync(this.fd, Buffer.alloc(2 * PAGE + 2 * SIZE), 0, undefined, 0);
    this.#producer = start;
    this.#position(0, start);
    this.#position(PAGE, start);
  }

  put(content: string, header = 0): number {
    const length = content.length;
    const frame = Buffer.alloc((length + 15) & ~7);
    frame.writeUInt32LE((length | header) >>> 0, 0);
    frame.write(content, 8, 'latin1');
    const at = Number(this.#producer % BigInt(SIZE));
    for (let i = 0; i < frame.length; i++) {
      const place = (at + i) % SIZE;
      for (const base of [2 * PAGE, 2 * PAGE + SIZE]) writeSync(this.fd, frame, i, 1, base + place);
    }
    this.#producer += BigInt(frame.length);
    this.#position(PAGE, this.#producer);
    return at;
  }

  finish(at: number, content: string): void {
    const header = Buffer.alloc(4);
    header.writeUInt32LE(content.length);
    for (const base of [2 * PAGE, 2 * PAGE + SIZE]) writeSync(this.fd, header, 0, 4, base + at);
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

describe('the ring reader', () => {
  let ring: FileRing;
  let reader: RingReader;
  const begin = (start = 0n): void => {
    ring = new FileRing(start);
    reader = new RingReader({ fd: ring.fd, size: SIZE });
  };
  afterEach(() => {
    reader.close();
    ring.remove();
  });

  function read(): string[] {
    const found: string[] = [];
    reader.drain(({ u8, u32, start, end }) => {
      expect(start % 8).to.equal(0);
      for (let at = start; at < end; ) {
        const header = u32[at >> 2];
        const length = header & 0x3fffffff;
        if (!(header & DISCARDED)) found.push(Buffer.from(u8.subarray(at + 8, at + 8 + length)).toString('latin1'));
        at += (length + 15) & ~7;
      }
    });
    return found;
  }

  it('hands over what is finished, once', () => {
    begin();
    expect(read()).to.deep.equal([]);
    ring.put('one');
    ring.put('two and more');
    expect(reader.pending()).to.equal(16 + 24);
    expect(read()).to.deep.equal(['one', 'two and more']);
    expect(reader.pending()).to.equal(0);
    expect(read()).to.deep.equal([]);
  });

  it('stops before a record that is still being written, and goes on when it is finished', () => {
    begin();
    ring.put('one');
    const at = ring.put('two', BUSY);
    ring.put('three');
    expect(read()).to.deep.equal(['one']);
    expect(reader.pending()).to.equal(32);
    ring.finish(at, 'two');
    expect(read()).to.deep.equal(['two', 'three']);
  });

  it('leaves discarded records in their frames', () => {
    begin();
    ring.put('gone', DISCARDED);
    ring.put('here');
    expect(read()).to.deep.equal(['here']);
  });

  it('never cuts a record at the ring’s end, nor when positions pass 32 bits', () => {
    begin(2n ** 32n - 4096n + 3992n);
    for (let i = 0; i < 300; i++) {
      const content = `${i}-${'x'.repeat(i % 97)}`;
      ring.put(content);
      expect(read()).to.deep.equal([content]);
    }
  });

  it('gives the position back when the consumer of a batch throws', () => {
    begin();
    ring.put('bad');
    expect(() => reader.drain(() => { throw new Error('no'); })).to.throw('no');
    ring.put('good');
    expect(read()).to.deep.equal(['good']);
  });

  it('hands over nothing after close, and may be closed twice', () => {
    begin();
    ring.put('one');
    reader.close();
    reader.close();
    expect(read()).to.deep.equal([]);
    expect(reader.pending()).to.equal(0);
  });

  it('says that a ring cannot be mapped', () => {
    begin();
    expect(() => new RingReader({ fd: 9999, size: SIZE })).to.throw('the ring buffer cannot be mapped: EBADF');
  });
});
