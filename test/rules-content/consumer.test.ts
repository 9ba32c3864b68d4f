import { expect } from 'chai';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import type { EvidenceCollector } from '../../src/evidence/types.js';
import type { SegmentStats } from '../../src/paths/types.js';
import { loadLibrary } from '../../src/scenarios/library.js';
import { analysis, latency, pair, segment } from '../support/analysis.js';
import { noHost } from '../support/no-host.js';

/** What the host says of the reader, thread 268 of guest-tapb. */
interface Reader {
  /** Share of the time in which it wanted to run that it waited, 0..1. */
  waitShare: number;
  /** Share of the run that it waited for a CPU, 0..1. */
  delayShare: number;
}

interface Case {
  name: string;
  /** Packets that the reader took, and how long they had lain in the ring, ms. */
  took: { count: number; ms: number };
  /** Packets that never left the ring. */
  stuck: number;
  /** Its waits for a CPU that were traced, ms. */
  waits: { count: number; ms: number };
  reader: Reader;
  told: string;
}

const CASES: Case[] = [
  {
    name: 'took next to nothing, for it waited for a CPU seconds at a time',
    took: { count: 1, ms: 3000 },
    stuck: 11,
    waits: { count: 6, ms: 1700 },
    reader: { waitShare: 0.98, delayShare: 0.8 },
    told: 'cpu-starved',
  },
  {
    name: 'took next to nothing, and had a CPU',
    took: { count: 7, ms: 2 },
    stuck: 54,
    waits: { count: 47, ms: 2 },
    reader: { waitShare: 0.1, delayShare: 0.01 },
    told: 'consumer-not-reading',
  },
  {
    name: 'took next to nothing, and waited often for moments of a busy host',
    took: { count: 7, ms: 2 },
    stuck: 54,
    waits: { count: 47, ms: 6 },
    reader: { waitShare: 0.7, delayShare: 0.03 },
    told: 'consumer-not-reading',
  },
  {
    name: 'took next to nothing, and waited for a third of the run by its counters, which no traced wait shows',
    took: { count: 7, ms: 2 },
    stuck: 54,
    waits: { count: 47, ms: 6 },
    reader: { waitShare: 0.7, delayShare: 0.33 },
    told: 'latency-not-established',
  },
];

const rules = loadLibrary().diagnoses.filter(({ id }) =>
  ['consumer-stopped', 'cpu-starved', 'softirq-starved', 'consumer-not-reading', 'slow-forwarding'].includes(id),
);

function collectors({ waitShare, delayShare }: Reader): Map<string, EvidenceCollector> {
  const values: Record<string, Record<string, string | number>> = {
    'tap-owner': { pid: 268, who: 'guest-tapb (268)', comm: 'guest-tapb', guest: '', state: 'S' },
    schedstat: { pid: 268, tid: 268, comm: 'guest-tapb', waitShare, delayShare, runDelayDeltaMs: delayShare * 10_000 },
    'cpu-rival': { cpu: 1, comm: 'lab-hog', pid: 300, share: 0.9, ownNice: 19 },
  };
  return new Map(
    Object.entries(values).map(([name, value]) => [
      name,
      {
        ...{ name, describe: '', params: {}, members: {} },
        collect: async () => ({ known: true, value, source: name, text: name }),
      },
    ]),
  );
}

/** The diagnoses of one segment, whose consumer is thread 268 and waited for a CPU as told. */
async function told(one: SegmentStats, waits: { count: number; ms: number }, reader: Reader): Promise<string[]> {
  const { diagnoses } = await diagnose({
    analysis: analysis({
      pairs: [pair([one], { roundTrips: latency(0, 0) })],
      sched: [{ pid: 268, tid: 268, comm: 'guest-tapb', wait: latency(waits.ms, waits.count) }],
    }),
    ...{ rules, source: noHost, collectors: collectors(reader), run: { seconds: 10 } },
    ...{ article: () => undefined, remedies: () => [], netnsPrefix: async () => '' },
  });
  return diagnoses.map(({ id }) => id);
}

describe('rules of who reads a tap', () => {
  for (const { name, took, stuck, waits, reader, told: expected } of CASES)
    it(`${expected}: the reader ${name}`, async () => {
      const ring = segment('ring', 'tapb', took.ms, {
        ...{ latency: latency(took.ms, took.count), entered: took.count + stuck, lost: stuck },
        consumer: { pid: 268, tid: 268 },
      });
      expect(await told(ring, waits, reader)).to.deep.equal([expected]);
    });
});

describe('rules of who takes packets in', () => {
  const starved = { waitShare: 0.98, delayShare: 0.4 };
  const crossing = (more: Partial<SegmentStats>): SegmentStats => segment('stack', 'vma', 100, more);

  it('softirq-starved: a kernel thread that waited for a CPU as long as the packets did', async () => {
    const taken = crossing({ consumer: { pid: 268, tid: 268, softirq: true } });
    expect(await told(taken, { count: 40, ms: 90 }, starved)).to.deep.equal(['softirq-starved']);
  });

  it('slow-forwarding: a kernel thread that hardly waited, or none that is known', async () => {
    const taken = crossing({ consumer: { pid: 268, tid: 268, softirq: true } });
    expect(await told(taken, { count: 40, ms: 0.02 }, starved)).to.deep.equal(['slow-forwarding']);
    expect(await told(crossing({}), { count: 40, ms: 90 }, starved)).to.deep.equal(['slow-forwarding']);
  });
});
