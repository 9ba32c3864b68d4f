import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { VdiagError } from '../../../src/base/errors.js';
import { EventRecorder } from '../../../src/capture/recording/event-recorder.js';
import { eventBatches } from '../../../src/capture/recording/event-stream.js';
import { encodeChunk, encodeFileHeader } from '../../../src/capture/recording/format.js';
import { Recording } from '../../../src/capture/recording/reader.js';
import { RecordingWriter } from '../../../src/capture/recording/writer.js';
import { framed, recordsIn, sampleEnd, sampleMeta } from '../samples.js';

/** Opens and reads a file whole; undefined where it is refused, as only a VdiagError of status 2 may do. */
function replay(
  file: string,
): { records: Uint8Array[]; evidence: readonly unknown[]; cut: number; complete: boolean; reason: string } | undefined {
  let recording: Recording;
  try {
    recording = Recording.open(file);
  } catch (error) {
    expect(error).to.be.instanceOf(VdiagError);
    expect((error as VdiagError).exitStatus).to.equal(2);
    return undefined;
  }
  try {
    const records = recordsIn(eventBatches(recording.events));
    const { cutBytes: cut, complete } = recording;
    return { records, evidence: recording.json('evidence'), cut, complete, reason: recording.end(0).reason };
  } finally {
    recording.close();
  }
}

describe('a damaged recording', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-damage-'));
  const file = join(folder, 'damaged.vdrec');
  const records = Array.from({ length: 12 }, (_, i) =>
    Uint8Array.from({ length: 104 }, (_, j) => (i * 31 + j * 7) & 255),
  );
  let whole: Buffer;
  /** Offsets behind each chunk, and how many records and pieces of evidence lie before each. */
  let boundaries: { at: number; records: number; evidence: number }[];

  before(() => {
    const path = join(folder, 'whole.vdrec');
    const writer = RecordingWriter.create(path, sampleMeta());
    const events = new EventRecorder(writer.handle);
    boundaries = [{ at: writer.bytes, records: 0, evidence: 0 }];
    for (let i = 0; i < 4; i++) {
      events.write(framed(records.slice(3 * i, 3 * i + 3)));
      events.flush();
      boundaries.push({ at: writer.bytes, records: 3 * i + 3, evidence: i });
      writer.writeJson('evidence', i);
      boundaries.push({ at: writer.bytes, records: 3 * i + 3, evidence: i + 1 });
    }
    writer.end(sampleEnd());
    whole = readFileSync(path);
  });
  after(() => rmSync(folder, { recursive: true }));

  function expected(length: number): { at: number; records: number; evidence: number } {
    return boundaries.filter(({ at }) => at <= length).at(-1)!;
  }

  it('cut at any byte, replays up to the last intact chunk and says how much is gone', () => {
    for (let length = 0; length < whole.byteLength; length++) {
      writeFileSync(file, whole.subarray(0, length));
      const result = replay(file);
      if (length < boundaries[0].at) {
        expect(result, `cut at ${length}`).to.equal(undefined);
        continue;
      }
      const { at, records: count, evidence } = expected(length);
      expect(result?.records, `cut at ${length}`).to.deep.equal(records.slice(0, count));
      expect(result?.evidence).to.have.lengthOf(evidence);
      expect(result).to.include({ cut: length - at, complete: false, reason: 'cut' });
    }
  });

  it('with a flipped bit, replays up to the chunk that has it', () => {
    fc.assert(
      fc.property(fc.nat(8 * 4000), (random) => {
        const bit = random % (whole.byteLength * 8);
        const bent = Buffer.from(whole);
        bent[bit >>> 3] ^= 1 << (bit & 7);
        writeFileSync(file, bent);
        const result = replay(file);
        if (bit >>> 3 < boundaries[0].at) expect(result).to.equal(undefined);
        else {
          const { records: count, at } = expected(bit >>> 3);
          expect(result?.records).to.deep.equal(records.slice(0, count));
          expect(result).to.include({ complete: false, reason: 'cut', cut: whole.byteLength - at });
        }
      }),
      { numRuns: 300 },
    );
  });

  it('with random bytes written over it, cut out of it or put into it, never crashes and invents nothing', () => {
    const splice = fc.record({ at: fc.nat(4000), remove: fc.nat(200), insert: fc.uint8Array({ maxLength: 200 }) });
    fc.assert(
      fc.property(splice, ({ at, remove, insert }) => {
        const from = at % whole.byteLength;
        writeFileSync(file, Buffer.concat([whole.subarray(0, from), insert, whole.subarray(from + remove)]));
        const result = replay(file);
        if (result) expect(records.slice(0, result.records.length)).to.deep.equal(result.records);
      }),
      { numRuns: 300 },
    );
  });

  it('of random bytes behind a right header, is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (noise) => {
        writeFileSync(file, Buffer.concat([encodeFileHeader(), noise]));
        expect(replay(file)).to.equal(undefined);
      }),
    );
  });

  it('never allocates by a length that its file can not back', () => {
    const meta = encodeChunk('meta', Buffer.from(JSON.stringify(sampleMeta())));
    const forged = (name: string, codec: number, stored: number, raw: number, payload: Buffer): Buffer => {
      const head = Buffer.alloc(32);
      head.write('VDCK', 0, 'latin1');
      head.write(name, 4, 'latin1');
      head.writeUInt32LE(codec, 16);
      head.writeUInt32LE(stored, 20);
      head.writeUInt32LE(raw, 24);
      head.writeUInt32LE(crc32(payload, crc32(head.subarray(0, 28))), 28);
      return Buffer.concat([encodeFileHeader(), meta, head, payload]);
    };
    for (const [stored, raw] of [
      [0xffffffff, 0xffffffff],
      [30 << 20, 31 << 20],
      [8, 64 << 20],
      [8, 4],
    ]) {
      writeFileSync(file, forged('evidence', 1, stored, raw, Buffer.alloc(8)));
      expect(replay(file)).to.include({ cut: 40, complete: false });
    }
    writeFileSync(file, forged('evidence', 9, 8, 8, Buffer.alloc(8)));
    expect(replay(file)).to.include({ cut: 40, complete: false });

    // A bomb: 16 MiB of zeros behind a header that promises 100 bytes.
    const bomb = deflateRawSync(Buffer.alloc(16 << 20));
    writeFileSync(file, forged('evidence', 1, bomb.byteLength, 1 << 20, bomb));
    const before = process.memoryUsage().rss;
    expect(replay(file)).to.equal(undefined);
    expect(process.memoryUsage().rss - before).to.be.below(12 << 20);
  });
});
