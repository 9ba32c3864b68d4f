import { expect } from 'chai';
import {
  COLLECTORS,
  createLiveSource,
  createRecordedSource,
  createRecordingSource,
  snapshotBefore,
  type EvidenceEntry,
} from '../../src/evidence/index.js';
import { createLimiter } from '../../src/evidence/limiter.js';
import { SAMPLE_QUESTIONS } from './sample-questions.js';
import { sampleSource } from './samples.js';

const after = { phase: 'after' } as const;

describe('recording source', () => {
  it('asks once per question, namespace and phase, and tells each answer once', async () => {
    const entries: EvidenceEntry[] = [];
    const source = createRecordingSource(createLiveSource(), { onEntry: (entry) => entries.push(entry), ownNetns: 77 });
    const [a, b] = await Promise.all([source.read('/proc/uptime', after), source.read('/proc/uptime', after)]);
    expect(a).to.equal(b);
    await source.read('/proc/uptime', { phase: 'before' });
    // Its own namespace by number is the same question as by none.
    expect(await source.read('/proc/uptime', { netns: 77, phase: 'after' })).to.equal(a);
    expect(entries.map(({ kind, what, netns, phase }) => ({ kind, what, netns, phase }))).to.deep.equal([
      { kind: 'read', what: ['/proc/uptime'], netns: undefined, phase: 'after' },
      { kind: 'read', what: ['/proc/uptime'], netns: undefined, phase: 'before' },
    ]);
    expect(JSON.parse(JSON.stringify(entries))).to.deep.equal(entries);
  });

  it('refuses a "before" once the traffic has begun, and a replay is told the same', async () => {
    const entries: EvidenceEntry[] = [];
    const source = createRecordingSource(createLiveSource(), { onEntry: (entry) => entries.push(entry) });
    await source.read('/proc/stat', { phase: 'before' });
    source.closeBefore();
    expect((await source.read('/proc/stat', { phase: 'before' })).status).to.equal('ok');
    const late = await source.read('/proc/uptime', { phase: 'before' });
    expect(late).to.deep.equal({ status: 'failed', why: 'not read before the traffic' });
    expect(await createRecordedSource(entries).read('/proc/uptime', { phase: 'before' })).to.deep.equal(late);
  });
});

describe('recorded source', () => {
  it('says what was not recorded', async () => {
    const source = createRecordedSource([]);
    expect(await source.run(['tc', 'qdisc'], after)).to.deep.equal({ status: 'failed', why: 'not recorded' });
  });

  it('gives the very facts that the run gave, from what the run recorded', async () => {
    const entries: EvidenceEntry[] = [];
    const run = createRecordingSource(sampleSource(), { onEntry: (entry) => entries.push(entry) });
    await snapshotBefore(run, [...COLLECTORS.keys()], [undefined, 2, 3]);
    run.closeBefore();
    const facts = async (source: typeof run | ReturnType<typeof createRecordedSource>): Promise<unknown[]> => {
      const all = [];
      for (const { collector, netns, params } of SAMPLE_QUESTIONS)
        all.push(await COLLECTORS.get(collector)!.collect(source, { ...params, netns }));
      return all;
    };
    const live = await facts(run);
    const replayed = await facts(createRecordedSource(JSON.parse(JSON.stringify(entries)) as EvidenceEntry[]));
    expect(replayed).to.deep.equal(live);
  });
});

describe('live source', () => {
  const source = createLiveSource();

  it('runs known tools alone, without a shell', async () => {
    for (const argv of [['sh', '-c', 'id'], ['/bin/ls'], ['../ip'], []]) {
      expect(await source.run(argv, after), argv.join(' ')).to.include({ status: 'failed' });
    }
    // Were there a shell, this would list two things.
    const answer = await source.run(['ls', '/proc/version; echo x'], after);
    expect(answer).to.include({ status: 'failed' });
  });

  it('reads below /proc, /sys and /run alone', async () => {
    for (const path of ['/etc/shadow', '/proc/../etc/shadow', 'proc/stat', '/procx']) {
      expect(await source.read(path, after), path).to.include({ status: 'failed' });
      expect(await source.list(path, after), path).to.include({ status: 'failed' });
    }
    expect(await source.read('/proc/sys/kernel/ostype', after)).to.deep.equal({ status: 'ok', text: 'Linux\n' });
    expect(await source.read('/proc/no-such-file', after)).to.deep.equal({
      status: 'missing',
      why: '/proc/no-such-file is not there on this kernel',
    });
  });

  it('gives up on what takes too long or says too much', async () => {
    const impatient = createLiveSource({ timeoutMs: 1 });
    expect(await impatient.run(['ss', '-a', '-p', '-i', '-m', '-e'], after)).to.deep.equal({
      status: 'failed',
      why: 'took longer than 0.001 s',
    });
    const brief = createLiveSource({ maxBytes: 64 });
    expect(await brief.read('/proc/kallsyms', after)).to.deep.equal({
      status: 'failed',
      why: '/proc/kallsyms is longer than 0 MiB',
    });
    expect(await brief.run(['ip', '-s', 'link'], after)).to.deep.equal({
      status: 'failed',
      why: 'printed more than 0 MiB',
    });
  });

  it('says that a namespace is gone', async () => {
    const answer = await source.run(['ip', 'link'], { netns: 1, phase: 'after' });
    expect(answer).to.deep.equal({
      status: 'failed',
      why: 'network namespace 1 is gone: no process or name leads to it',
    });
  });
});

describe('limiter', () => {
  it('runs no more at once than it may, and all of them in the end', async () => {
    const limited = createLimiter(3);
    let running = 0;
    let most = 0;
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) =>
        limited(async () => {
          most = Math.max(most, ++running);
          await new Promise((resolve) => setTimeout(resolve, 2));
          running--;
          if (i % 5 === 0) throw new Error('one that fails frees its place too');
          return i;
        }),
      ),
    );
    expect(most).to.equal(3);
    expect(results.filter(({ status }) => status === 'fulfilled')).to.have.length(16);
  });
});
