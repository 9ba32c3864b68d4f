import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Pipeline } from '../../src/analysis/pipeline.js';
import { namesOf } from '../../src/analysis/recorded-names.js';
import { runReplay } from '../../src/analysis/run-replay.js';
import { startAnalysis } from '../../src/analysis/worker-client.js';
import { VdiagError } from '../../src/base/errors.js';
import { EventRecorder } from '../../src/capture/recording/event-recorder.js';
import { Recording } from '../../src/capture/recording/reader.js';
import { RecordingWriter } from '../../src/capture/recording/writer.js';
import { TEST_NAMES } from '../support/wire.js';
import { sampleEnd, sampleMeta } from '../capture/samples.js';
import { DROP_AT, echoes, sampleOptions } from './samples.js';

describe('the analysis Worker', () => {
  let folder: string;
  let file: string;
  const open: Recording[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'vdiag-worker-'));
    file = join(folder, 'run.vdrec');
  });
  afterEach(() => {
    for (const recording of open.splice(0)) recording.close();
    rmSync(folder, { recursive: true });
  });

  /** Records so many echoes, so many times over. */
  function record(count: number, times = 1): void {
    const { plan, wire, dropReasons } = sampleOptions();
    const writer = RecordingWriter.create(file, sampleMeta({ plan, wire, dropReasons }));
    const events = new EventRecorder(writer.handle);
    const batch = echoes(count).batch();
    for (let i = 0; i < times; i++) events.write(batch);
    events.flush();
    events.writeSymbols({ [DROP_AT]: TEST_NAMES.symbol(DROP_AT)! });
    writer.end(sampleEnd());
  }

  function recording(): Recording {
    open.push(Recording.open(file));
    return open.at(-1)!;
  }

  async function failure(promise: Promise<unknown>): Promise<VdiagError> {
    try {
      await promise;
    } catch (error) {
      expect(error).to.be.instanceOf(VdiagError);
      return error as VdiagError;
    }
    throw new Error('it went well');
  }

  it('replays a recording to the analysis of its events, with the recorded names', async () => {
    record(50);
    const { analysis, end } = await runReplay({ recording: recording(), pipeline: sampleOptions() });
    const pipeline = new Pipeline(sampleOptions(), namesOf(TEST_NAMES.symbol, sampleOptions().dropReasons));
    pipeline.push(echoes(50).batch());
    expect(analysis).to.deep.equal(pipeline.finish());
    expect(analysis.findings[0].message).to.match(/QDISC_DROP at nf_hook_slow\+0x1f$/);
    expect(end).to.deep.equal(sampleEnd());
  });

  it('replays the front of a recording that was cut, and says so', async () => {
    record(500, 20);
    const whole = await runReplay({ recording: recording(), pipeline: sampleOptions() });
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.subarray(0, bytes.byteLength - 5000));
    const { analysis, end } = await runReplay({ recording: recording(), pipeline: sampleOptions() });
    expect(analysis.events).to.be.within(1000, whole.analysis.events - 1);
    expect(end.reason).to.equal('cut');
    expect(end.loss.recordingCut).to.be.greaterThan(0);
    expect(end.endedMono).to.equal(analysis.lastTs);
  });

  it('brings the errors of its thread here as what they were', async () => {
    record(1);
    const wire = { version: 1, layout: {} };
    const pipeline = sampleOptions({ wire, origin: 'run.vdrec' });
    const error = await failure(runReplay({ recording: recording(), pipeline }));
    expect(error.exitStatus).to.equal(2);
    expect(error.message).to.match(/run\.vdrec describes its records differently/);
  });

  it('says that a ring cannot be mapped', async () => {
    const ring = { fd: 0, size: 4096 };
    const { result } = startAnalysis({ source: { kind: 'live', ring }, pipeline: sampleOptions() });
    const error = await failure(result);
    expect(error.exitStatus).to.equal(3);
    expect(error.message).to.match(/cannot be mapped/);
  });

  it('reports progress and ends a replay at once when interrupted', async () => {
    record(500, 300);
    const controller = new AbortController();
    const seen: number[] = [];
    const { analysis, end } = await runReplay({
      recording: recording(),
      pipeline: sampleOptions(),
      signal: controller.signal,
      onProgress: ({ events, findings }) => {
        seen.push(events, findings);
        controller.abort();
      },
    });
    expect(seen[0]).to.be.greaterThan(0);
    expect(seen[1]).to.be.within(1, seen[0]);
    expect(analysis.events)
      .to.be.at.least(seen[0])
      .and.at.most(500 * 300 * 12);
    expect(end.reason).to.equal('interrupted');
  });
});
