import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { lossOf } from '../../../src/capture/loss.js';
import { VdiagError } from '../../../src/base/errors.js';
import { EventRecorder } from '../../../src/capture/recording/event-recorder.js';
import { eventBatches } from '../../../src/capture/recording/event-stream.js';
import { encodeChunk, encodeFileHeader } from '../../../src/capture/recording/format.js';
import { Recording } from '../../../src/capture/recording/reader.js';
import { RecordingWriter, type RecordingOptions } from '../../../src/capture/recording/writer.js';
import { framed, incompressible, recordsIn, sampleEnd, sampleMeta } from '../samples.js';

describe('a recording', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'vdiag-recording-'));
    file = join(folder, 'run.vdrec');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const records = Array.from({ length: 5 }, (_, i) => new Uint8Array(20 + 7 * i).fill(i + 1));

  function write(options: RecordingOptions = {}): void {
    const writer = RecordingWriter.create(file, sampleMeta(), options);
    const events = new EventRecorder(writer.handle);
    writer.writeJson('evidence', { key: 'before', text: '1' });
    events.write(framed(records.slice(0, 2)));
    events.flush();
    events.writeSymbols({ '18446744071': 'nf_hook_slow+0x8e' });
    events.write(framed(records.slice(2)));
    events.flush();
    writer.writeJson('evidence', { key: 'after', text: '2' });
    writer.end(sampleEnd());
  }

  function refusal(path = file): VdiagError {
    try {
      Recording.open(path).close();
    } catch (error) {
      expect(error).to.be.instanceOf(VdiagError);
      expect((error as VdiagError).exitStatus).to.equal(2);
      return error as VdiagError;
    }
    throw new Error(`${path} was opened`);
  }

  it('gives back everything that was written, in order', () => {
    write();
    const recording = Recording.open(file);
    expect(recording.meta).to.deep.equal(sampleMeta());
    expect(recordsIn(eventBatches(recording.events))).to.deep.equal(records);
    expect(recording.json('evidence')).to.deep.equal([
      { key: 'before', text: '1' },
      { key: 'after', text: '2' },
    ]);
    expect(recording.json('nothing')).to.deep.equal([]);
    expect([...recording.symbols]).to.deep.equal([[18446744071, 'nf_hook_slow+0x8e']]);
    expect(recording.complete).to.equal(true);
    expect(recording.cutBytes).to.equal(0);
    expect(recording.end(0)).to.deep.equal(sampleEnd());
    recording.close();
  });

  it('can be read twice over', () => {
    write();
    const recording = Recording.open(file);
    expect(recordsIn(eventBatches(recording.events))).to.deep.equal(recordsIn(eventBatches(recording.events)));
    recording.close();
  });

  it('leaves out discarded frames', () => {
    const writer = RecordingWriter.create(file, sampleMeta());
    const events = new EventRecorder(writer.handle);
    events.write(framed(records, new Set([0, 3])));
    events.flush();
    writer.end(sampleEnd());
    const recording = Recording.open(file);
    expect(recordsIn(eventBatches(recording.events))).to.deep.equal([records[1], records[2], records[4]]);
    recording.close();
  });

  it('splits events into chunks of at most 1 MiB and joins nothing across frames', () => {
    const writer = RecordingWriter.create(file, sampleMeta());
    const events = new EventRecorder(writer.handle);
    const many = Array.from({ length: 30_000 }, (_, i) => new Uint8Array(112).fill(i % 251));
    events.write(framed(many));
    events.flush();
    writer.end(sampleEnd());
    const recording = Recording.open(file);
    const sizes = Array.from(eventBatches(recording.events), (batch) => batch.end - batch.start);
    expect(sizes).to.have.lengthOf(4);
    expect(Math.max(...sizes)).to.be.at.most(1 << 20);
    expect(recordsIn(eventBatches(recording.events))).to.deep.equal(many);
    expect(recording.eventBytes).to.equal(30_000 * 120);
    expect(statSync(file).size).to.be.below(recording.eventBytes / 5);
    recording.close();
  });

  it('is private to its owner', () => {
    write();
    expect(statSync(file).mode & 0o777).to.equal(0o600);
  });

  it('does not overwrite a file unless forced, then gives it a new inode', () => {
    writeFileSync(file, 'mine', { mode: 0o644 });
    expect(() => write()).to.throw(VdiagError, /exists; choose another file, or replace it with --force/);
    expect(readFileSync(file, 'utf8')).to.equal('mine');
    const reader = openSync(file, 'r');
    write({ force: true });
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    expect(fstatSync(reader).size, 'who had the old file open sees the old one').to.equal(4);
    closeSync(reader);
    Recording.open(file).close();
  });

  it('is never written through a link, into a folder or into a device', () => {
    const target = join(folder, 'target');
    writeFileSync(target, 'precious');
    symlinkSync(target, file);
    expect(() => write({ force: true })).to.throw(VdiagError, /not a regular file/);
    expect(readFileSync(target, 'utf8')).to.equal('precious');
    expect(() => RecordingWriter.create(folder, sampleMeta(), { force: true })).to.throw(
      VdiagError,
      /not a regular file/,
    );
    expect(() => RecordingWriter.create('/dev/null', sampleMeta(), { force: true })).to.throw(
      VdiagError,
      /not a regular file/,
    );
    expect(() => RecordingWriter.create(join(folder, 'no', 'such'), sampleMeta())).to.throw(VdiagError, /ENOENT/);
  });

  it('stops at its size limit, says so, and still takes the evidence and the end', () => {
    const writer = RecordingWriter.create(file, sampleMeta(), { maxBytes: 4096 });
    const events = new EventRecorder(writer.handle);
    const noise = (seed: number): Uint8Array => Uint8Array.from(incompressible(1000, seed));
    for (let i = 0; i < 6; i++) {
      events.write(framed([noise(i)]));
      events.flush();
    }
    expect(writer.problem).to.match(/limit of 4096 bytes/);
    writer.writeJson('evidence', 'after');
    writer.end(sampleEnd());
    const recording = Recording.open(file);
    const kept = recordsIn(eventBatches(recording.events));
    expect(kept.length).to.be.within(1, 5);
    expect(kept).to.deep.equal(Array.from({ length: kept.length }, (_, i) => noise(i)));
    expect(recording.json('evidence')).to.deep.equal(['after']);
    expect(recording.end(0).reason).to.equal('cut');
    expect(recording.end(0).loss.recordingCut).to.equal((6 - kept.length) * 1008);
    recording.close();
  });

  it('goes on after a failed write, leaves a replayable prefix and says why', () => {
    const script = `
      import { EventRecorder } from './src/capture/recording/event-recorder.js';
      import { RecordingWriter } from './src/capture/recording/writer.js';
      import { framed, incompressible, sampleEnd, sampleMeta } from './test/capture/samples.js';
      process.on('SIGXFSZ', () => {});
      const writer = RecordingWriter.create(${JSON.stringify(file)}, sampleMeta());
      const events = new EventRecorder(writer.handle);
      for (let i = 0; i < 40; i++) { events.write(framed([incompressible(1000, i)])); events.flush(); }
      writer.end(sampleEnd());
      console.log(writer.problem);`;
    const shell = 'trap "" XFSZ; ulimit -f 8; exec "$0" --import=tsx --input-type=module -e "$1"';
    const said = execFileSync('sh', ['-c', shell, process.execPath, script], {
      encoding: 'utf8',
      env: { ...process.env, TSX_DISABLE_CACHE: '1' },
    });
    expect(said).to.match(/could not be written on/);
    const recording = Recording.open(file);
    expect(recordsIn(eventBatches(recording.events)).length).to.be.within(1, 39);
    expect(recording.complete).to.equal(false);
    recording.close();
  });

  it('of a process that was killed can be replayed', async () => {
    const script = `
      import { EventRecorder } from './src/capture/recording/event-recorder.js';
      import { RecordingWriter } from './src/capture/recording/writer.js';
      import { framed, incompressible, sampleMeta } from './test/capture/samples.js';
      const writer = RecordingWriter.create(${JSON.stringify(file)}, sampleMeta());
      const events = new EventRecorder(writer.handle);
      for (let i = 0; ; i++) {
        events.write(framed([incompressible(1000, i)]));
        events.flush();
        if (i === 20) console.log('under way');
      }`;
    const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '-e', script]);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const recording = Recording.open(file);
    const kept = recordsIn(eventBatches(recording.events));
    expect(kept.length).to.be.at.least(20);
    expect(kept).to.deep.equal(kept.map((_, i) => incompressible(1000, i)));
    expect(recording.end(0).reason).to.equal('cut');
    recording.close();
  });

  it('without an end, ends at its last event with the counters of the last checkpoint', () => {
    const writer = RecordingWriter.create(file, sampleMeta());
    const events = new EventRecorder(writer.handle);
    events.write(framed(records));
    events.flush();
    const loss = lossOf({ ringFull: 3, parseFailures: 1 });
    writer.checkpoint({ loss, hits: { drop: 4 } });
    writer.abandon();
    const recording = Recording.open(file);
    expect(recording.complete).to.equal(false);
    const end = recording.end(6_500_000_000);
    expect(end).to.deep.equal({
      endedAt: 1_790_000_001_500,
      endedMono: 6_500_000_000,
      loss,
      hits: { drop: 4 },
      reason: 'cut',
    });
    recording.close();
  });

  it('refuses what is not a recording, each with its reason', () => {
    expect(refusal(join(folder, 'missing')).message).to.match(/ENOENT/);
    expect(refusal(folder).message).to.match(/not a regular file/);
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    expect(refusal(join(folder, 'pipe')).message).to.match(/not a regular file/);
    writeFileSync(file, '');
    expect(refusal().message).to.match(/not a vdiag recording/);
    writeFileSync(file, 'a capture of another tool, long enough to have a header');
    expect(refusal().message).to.match(/not a vdiag recording/);
    writeFileSync(file, encodeFileHeader(7));
    expect(refusal().message).to.match(/format 7; this vdiag reads up to format 1/);
    const bent = encodeFileHeader();
    bent[9] ^= 1;
    writeFileSync(file, bent);
    expect(refusal().message).to.match(/first 16 bytes are damaged/);
    writeFileSync(file, encodeFileHeader());
    expect(refusal().message).to.match(/before its first chunk ends/);
  });

  it('refuses chunks that are whole but that vdiag never wrote', () => {
    const json = (name: string, value: unknown): Buffer => encodeChunk(name, Buffer.from(JSON.stringify(value)));
    const file16 = encodeFileHeader();
    const meta = json('meta', sampleMeta());
    const forged = (...chunks: Buffer[]): void => writeFileSync(file, Buffer.concat([file16, ...chunks]));

    forged(json('meta', { apiVersion: 'vdiag/v1' }));
    expect(refusal().message).to.match(/lacks the field/);
    forged(json('meta', null));
    refusal();
    forged(meta, json('end', { reason: 'bored' }));
    refusal();
    forged(meta, json('symbols', { main: 'x' }));
    expect(refusal().message).to.match(/symbol table has "main"/);
    forged(meta, encodeChunk('evidence', Buffer.from('{"open":')));
    expect(refusal().message).to.match(/not JSON/);
    forged(json('evidence', 1), meta);
    expect(refusal().message).to.match(/before its first chunk/);

    forged(meta, encodeChunk('events', Buffer.from([200, 0, 0, 0, 0, 0, 0, 0])));
    const recording = Recording.open(file);
    expect(() => recordsIn(eventBatches(recording.events))).to.throw(VdiagError, /not framed as events/);
    recording.close();
  });

  it('skips JSON of a kind it does not know', () => {
    const json = (name: string, value: unknown): Buffer => encodeChunk(name, Buffer.from(JSON.stringify(value)));
    writeFileSync(
      file,
      Buffer.concat([encodeFileHeader(), json('meta', sampleMeta()), json('novelty', 1), json('end', sampleEnd())]),
    );
    const recording = Recording.open(file);
    expect(recording.complete).to.equal(true);
    recording.close();
  });

  it('counts what follows the end as not replayed', () => {
    write();
    writeFileSync(file, 'junk', { flag: 'a' });
    const recording = Recording.open(file);
    expect(recording.end(0)).to.deep.equal(sampleEnd({ loss: { ...sampleEnd().loss, recordingCut: 4 } }));
    recording.close();
  });

  it('notices that the file shrinks under it', () => {
    write();
    const recording = Recording.open(file);
    truncateSync(file, 100);
    expect(() => recordsIn(eventBatches(recording.events))).to.throw(VdiagError, /changed while it was read/);
    recording.close();
  });

  it('refuses a name or a value that the format has no room for', () => {
    const writer = RecordingWriter.create(file, sampleMeta());
    expect(() => writer.writeJson('Evidence!', 1)).to.throw(RangeError);
    expect(() => writer.writeJson('evidence', 'x'.repeat(33 << 20))).to.throw(RangeError, /over the format/);
    writer.end(sampleEnd());
    expect(() => writer.writeJson('evidence', 1)).to.throw(/too late/);
  });
});
