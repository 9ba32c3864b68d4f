import { expect } from 'chai';
import type { PathAnalysis } from '../../src/paths/summary.js';
import type { StreamStats } from '../../src/paths/types.js';
import { HOST_DEVICES, MS, TAP1, TAP2, Traffic } from '../support/traffic.js';

const A = '10.0.0.5';
const B = '10.0.0.6';
const SIZE = 100;

/** A TCP conversation between two guests, a segment after the other; sequence numbers from `base`. */
class Conversation {
  readonly traffic = new Traffic();
  private ts = 1000 * MS;

  constructor(private readonly base = 5000) {}

  wait(ms: number): this {
    this.ts += ms * MS;
    return this;
  }

  /** Segment number `n` of a, of the given IP identification; `kept`: it does not leave by tap2. */
  data(n: number, ipId: number, { payload = SIZE, ack = 1 }: { payload?: number; ack?: number } = {}): this {
    return this.send(A, B, { seq: (this.base + n * SIZE) >>> 0, ack, flags: 'P.', payload, ipId });
  }

  /** b acknowledges everything before segment number `n`. */
  ack(n: number): this {
    return this.send(B, A, { seq: 1, ack: (this.base + n * SIZE) >>> 0, flags: '.', payload: 0, ipId: 1 });
  }

  private send(
    src: string,
    dst: string,
    tcp: { seq: number; ack: number; flags: string; payload: number; ipId: number },
  ): this {
    const ports = src === A ? { sport: 4000, dport: 80 } : { sport: 80, dport: 4000 };
    const headers = { src, dst, ...ports, proto: 'tcp' as const, version: 4, ttl: 64, ...tcp };
    const [from, to] = src === A ? [TAP1, TAP2] : [TAP2, TAP1];
    this.traffic.tapToTap(this.ts, from, to, headers);
    this.ts += 0.3 * MS;
    return this;
  }

  stream(direction: 'forward' | 'reverse' = 'forward'): StreamStats | undefined {
    return streamOf(this.traffic.analyse(), direction);
  }
}

const streamOf = (analysis: PathAnalysis, direction: string): StreamStats | undefined =>
  analysis.pairs[0].streams?.find((stream) => stream.direction === direction);

/** Ten segments in a row, `skip` left out, those of `then` after the rest. */
function tenWithout(skip: number, base?: number): Conversation {
  const talk = new Conversation(base);
  for (let n = 0; n < 10; n++) if (n !== skip) talk.data(n, 100 + n);
  return talk;
}

describe("the order of TCP's bytes", () => {
  it('is nothing to tell of when it is kept', () => {
    expect(tenWithout(-1).ack(10).stream()).to.equal(undefined);
  });

  it('shows a segment that was missing and came again as lost before it came here', () => {
    const stream = tenWithout(4).data(4, 200).stream()!;
    expect(stream.lost).to.include({ count: 1, after: '', before: 'tap1', outside: true });
    expect(stream).to.deep.include({ sport: 4000, dport: 80, segments: 10, again: 0 });
    expect(stream.reordered.count).to.equal(0);
  });

  it('shows a segment that is older than those before it as out of order, not lost', () => {
    const stream = tenWithout(4).data(4, 104).stream()!;
    expect(stream.reordered).to.include({ count: 1, after: '', before: 'tap1', outside: true });
    expect(stream.longestReorderMs).to.be.closeTo(1.5, 0.2);
    expect(stream.lost.count).to.equal(0);
  });

  it('tells by the time where packets have no numbers', () => {
    const talk = new Conversation().data(0, 0).data(2, 0).data(1, 0).data(4, 0).wait(50).data(3, 0);
    const stream = talk.stream()!;
    expect([stream.reordered.count, stream.lost.count]).to.deep.equal([1, 1]);
  });

  it('shows the very same packet twice as a duplicate, and no retransmission', () => {
    const stream = tenWithout(-1).data(9, 109).stream()!;
    expect(stream.duplicated).to.include({ count: 1, before: 'tap1', outside: true });
    expect(stream.again).to.equal(0);
  });

  it('shows what is sent again without an acknowledgement as lost beyond the device that it left by', () => {
    const stream = tenWithout(-1).ack(9).wait(200).data(9, 200).wait(400).data(9, 201).wait(800).data(9, 202).stream()!;
    expect(stream.lost).to.include({ count: 3, after: 'tap2', before: '', outside: true });
    expect(stream).to.include({ again: 3, needless: 0, mostRepeats: 3 });
    expect(stream.longestWaitMs).to.be.closeTo(800, 1);
  });

  it('shows what is sent again after its acknowledgement as a lost acknowledgement', () => {
    const talk = tenWithout(-1).ack(10).wait(200).data(9, 200).ack(10);
    expect(talk.stream()!.lost.count).to.equal(0);
    expect(talk.stream()).to.include({ again: 1, needless: 1 });
    expect(talk.stream('reverse')!.acksLost).to.include({ count: 1, after: 'tap1', before: '' });
  });

  it('goes on beyond 4 GiB', () => {
    const stream = tenWithout(4, 0xffff_ffff - 350)
      .data(4, 200)
      .stream()!;
    expect([stream.lost.count, stream.again, stream.reordered.count]).to.deep.equal([1, 0, 0]);
  });

  it('takes a keep-alive for no retransmission', () => {
    // The last byte once more.
    const talk = new Conversation().data(0, 1).ack(1).wait(1000).data(0.99, 2, { payload: 1 });
    expect(talk.stream()).to.equal(undefined);
  });

  it('counts data that waits for a delayed acknowledgement, and how long', () => {
    const talk = new Conversation();
    for (let n = 0; n < 12; n += 2)
      talk
        .data(n, n + 1)
        .wait(40)
        .ack(n + 1)
        .data(n + 1, n + 2)
        .wait(5)
        .ack(n + 2);
    const stream = talk.stream()!;
    expect(stream).to.include({ stalls: 6, again: 0 });
    expect(stream.stallMs).to.be.closeTo(40, 1);
  });

  it('does not take a pause of the application for it', () => {
    const talk = new Conversation();
    for (let n = 0; n < 12; n++)
      talk
        .data(n, n + 1)
        .wait(40)
        .ack(n + 1)
        .wait(10);
    expect(talk.stream()).to.equal(undefined);
  });

  it('shows a connection that is asked for again and again, without an answer', () => {
    const talk = new Traffic();
    for (const second of [1, 2, 4]) {
      const syn = { src: A, dst: B, sport: 4000, dport: 80, proto: 'tcp' as const, version: 4, ttl: 64, seq: 7 };
      talk.tapToTap(second * 1000 * MS, TAP1, TAP2, { ...syn, flags: 'S', payload: 0, ipId: second });
    }
    const stream = streamOf(talk.analyse(), 'forward')!;
    expect(stream).to.include({ opens: 1, accepted: 0, openDport: 80 });
    expect(stream.openLost).to.include({ count: 2, after: 'tap2', before: '' });
  });

  describe('where packets leave this host and come back to it', () => {
    const far = [8, 9].map((ifindex) => ({ dev: `tap${ifindex}`, ifindex, netns: 200 }));
    const devices = [
      ...HOST_DEVICES,
      ...far.map(({ dev, ifindex, netns }) => ({ netns, ifindex, name: dev, kind: 'tap' })),
    ];

    /** Twenty segments; of those in `fate`, what becomes of them between tap2 and tap8: lost, under way still, or this late (ms). */
    function across(
      fate: Record<number, 'lost' | 'under way' | number>,
      ipId: (n: number) => number,
    ): StreamStats | undefined {
      const traffic = new Traffic();
      const late: [ts: number, n: number][] = [];
      const headers = (n: number, id: number) => ({
        ...{ src: A, dst: B, sport: 4000, dport: 80, proto: 'tcp' as const, version: 4, ttl: 64, ack: 1, flags: 'P.' },
        ...{ seq: 5000 + n * SIZE, payload: SIZE, ipId: id },
      });
      let ts = 1000 * MS;
      for (let n = 0; n < 20; n++) {
        ts += MS;
        traffic.tapToTap(ts, TAP1, TAP2, headers(n, ipId(n)));
        const becomes = fate[n];
        if (typeof becomes === 'number') late.push([ts + becomes * MS, n]);
        else if (becomes === undefined) traffic.tapToTap(ts + 0.3 * MS, far[0]!, far[1]!, headers(n, ipId(n)));
        while (late.length > 0 && late[0]![0] < ts) {
          const [, which] = late.shift()!;
          traffic.tapToTap(ts + 0.4 * MS, far[0]!, far[1]!, headers(which, ipId(which)));
        }
      }
      for (const n of Object.keys(fate).map(Number)) {
        if (fate[n] !== 'lost') continue;
        ts += 200 * MS;
        traffic.tapToTap(ts, TAP1, TAP2, headers(n, ipId(n + 100)));
        traffic.tapToTap(ts + 0.3 * MS, far[0]!, far[1]!, headers(n, ipId(n + 100)));
      }
      const streams = traffic.analyse({ devices }).pairs.flatMap((pair) => pair.streams ?? []);
      expect(streams, 'one way, not two').to.have.length.at.most(1);
      return streams[0];
    }

    for (const [what, ipId] of [
      ['with IP identifications', (n: number) => n + 1],
      ['without', () => 0],
    ] as const) {
      it(`names both sides of a loss (${what})`, () => {
        const stream = across({ 3: 'lost', 9: 'lost', 19: 'lost' }, ipId)!;
        expect(stream.lost).to.include({ count: 3, after: 'tap2', before: 'tap8', outside: true });
        expect(stream.reordered.count).to.equal(0);
      });

      it(`tells what is late from what is lost (${what})`, () => {
        const stream = across({ 3: 4, 9: 4 }, ipId)!;
        expect(stream.reordered).to.include({ count: 2, after: 'tap2', before: 'tap8', outside: true });
        expect(stream.lost.count).to.equal(0);
      });

      it(`does not take for lost what is under way at the end (${what})`, () => {
        expect(across({ 17: 'under way', 18: 'under way', 19: 'under way' }, ipId)).to.equal(undefined);
      });
    }
  });
});
