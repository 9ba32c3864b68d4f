import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { lossOf } from '../../src/capture/loss.js';
import type { PipelineOptions } from '../../src/analysis/pipeline.js';
import { runLive } from '../../src/analysis/run-live.js';
import { runReplay } from '../../src/analysis/run-replay.js';
import type { Analysis } from '../../src/analysis/types.js';
import { KernelBtf } from '../../src/bpf/btf.js';
import { openTrace } from '../../src/bpf/trace-session.js';
import type { TraceSession } from '../../src/bpf/types.js';
import { Recording } from '../../src/capture/recording/reader.js';
import { RecordingWriter } from '../../src/capture/recording/writer.js';
import type { RunEnd, TraceFilter } from '../../src/capture/types.js';
import { WIRE_LAYOUT, WIRE_VERSION } from '../../src/events/wire.gen.js';
import { loadCatalogue } from '../../src/probes/catalogue.js';
import { HostKernelNames } from '../../src/probes/kernel-names.js';
import { afterAttach, planProbes } from '../../src/probes/plan.js';
import { loadScenario } from '../../src/scenarios/load.js';
import { DROP_RULE } from '../analysis/samples.js';
import { sampleMeta } from '../capture/samples.js';

const A = 'vdcap-a';
const B = 'vdcap-b';
const NET = '10.203.7';
const run = promisify(execFile);
const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
const inA = (...args: string[]): Promise<unknown> =>
  run('ip', ['netns', 'exec', A, ...args]).catch((error: unknown) => error);

describe('a live run with a recording', function () {
  this.timeout(60_000);
  let folder: string;
  let file: string;

  function tearDown(): void {
    for (const name of [A, B]) if (existsSync(`/run/netns/${name}`)) ip('netns', 'del', name);
  }

  before(() => {
    tearDown();
    folder = mkdtempSync(join(tmpdir(), 'vdiag-live-'));
    file = join(folder, 'run.vdrec');
    for (const name of [A, B]) ip('netns', 'add', name);
    ip('link', 'add', 'vdcap0', 'netns', A, 'type', 'veth', 'peer', 'name', 'vdcap1', 'netns', B);
    ip('-n', A, 'addr', 'add', `${NET}.1/24`, 'dev', 'vdcap0');
    ip('-n', B, 'addr', 'add', `${NET}.2/24`, 'dev', 'vdcap1');
    for (const [name, device] of [
      [A, 'vdcap0'],
      [B, 'vdcap1'],
    ]) {
      ip('-n', name, 'link', 'set', 'lo', 'up');
      ip('-n', name, 'link', 'set', device, 'up');
    }
  });
  after(() => {
    tearDown();
    rmSync(folder, { recursive: true });
  });

  const types = KernelBtf.load();
  const capabilities = { ...sampleMeta().kernel, tracepoint: false };

  /** Traces while something goes on in the namespaces, recording it. */
  async function trace(
    filter: TraceFilter,
    durationMs: number,
    traffic: () => Promise<unknown>,
    signal?: AbortSignal,
  ): Promise<{ analysis: Analysis; end: RunEnd; options: PipelineOptions }> {
    const planned = planProbes(loadCatalogue(), { set: 'standard' }, capabilities, types);
    const session: TraceSession = openTrace({ requests: planned.requests, filter, ringBytes: 8 << 20 });
    const { segments } = loadScenario('vm-to-vm-latency');
    const options: PipelineOptions = {
      plan: afterAttach(planned, session).plan,
      wire: {
        version: WIRE_VERSION,
        layout: structuredClone(WIRE_LAYOUT) as unknown as PipelineOptions['wire']['layout'],
      },
      dropReasons: new HostKernelNames(types).dropReasons(),
      paths: { segments, roundTrips: true },
      rules: [DROP_RULE],
    };
    const { plan, wire, dropReasons } = options;
    const startedMono = Number(process.hrtime.bigint());
    const meta = sampleMeta({ plan, wire, dropReasons, filter, startedAt: Date.now(), startedMono });
    const recording = RecordingWriter.create(file, meta, { force: true });
    try {
      const live = runLive({ session, pipeline: options, durationMs, recording, signal });
      await traffic();
      const { analysis, end } = await live;
      recording.end(end);
      return { analysis, end, options };
    } finally {
      session.close();
      recording.abandon();
    }
  }

  async function replay(pipeline: PipelineOptions): Promise<{ analysis: Analysis; end: RunEnd }> {
    const recording = Recording.open(file);
    try {
      return await runReplay({ recording, pipeline });
    } finally {
      recording.close();
    }
  }

  it('is replayed to the very same analysis', async () => {
    const { analysis, end, options } = await trace({ src: `${NET}.1`, dst: `${NET}.2` }, 2500, async () => {
      await inA('ping', '-q', '-c', '20', '-i', '0.02', `${NET}.2`);
      // Nobody listens there: refused, and dropped for want of a socket.
      await inA('timeout', '1', 'socat', '-u', 'OPEN:/dev/null', `TCP:${NET}.2:9`);
      await inA('sh', '-c', `echo hello | timeout 1 socat -u - UDP:${NET}.2:9`);
    });
    expect(end.reason).to.equal('duration');
    expect(end.loss).to.deep.equal(lossOf());
    expect(analysis.events).to.be.greaterThan(100);
    // 20 requests and 20 replies, and the two that were refused.
    expect(analysis.packets).to.be.at.least(42);
    expect(analysis.pairs.map(({ a, b }) => [a, b])).to.deep.include([`${NET}.1`, `${NET}.2`]);
    const locations = analysis.findings.map(({ subject }) => String(subject.location));
    expect(locations.filter((location) => /^\w+\+0x/.test(location))).to.not.be.empty;
    const counted = Object.values(end.hits).reduce((sum, hits) => sum + hits, 0);
    expect(counted).to.equal(analysis.events);

    const again = await replay(options);
    expect(again.analysis).to.deep.equal(analysis);
    expect(JSON.stringify(again.analysis)).to.equal(JSON.stringify(analysis));
    expect(again.end).to.deep.equal(end);
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    const recording = Recording.open(file);
    expect(recording.json('checkpoint')).to.have.lengthOf(1);
    recording.close();
  });

  it('ends early, with what was seen, when it is interrupted', async () => {
    const controller = new AbortController();
    const started = performance.now();
    const traffic = async (): Promise<void> => {
      await inA('ping', '-q', '-c', '5', '-i', '0.02', `${NET}.2`);
      controller.abort();
    };
    const { analysis, end, options } = await trace({ src: `${NET}.1` }, 60_000, traffic, controller.signal);
    expect(performance.now() - started).to.be.below(30_000);
    expect(end.reason).to.equal('interrupted');
    expect(analysis.packets).to.be.at.least(10);
    const again = await replay(options);
    expect(again).to.deep.equal({ analysis, end });
  });
});
