import { expect } from 'chai';
import type { Analysis } from '../../src/analysis/types.js';
import { subjectsOf } from '../../src/diagnosis/subjects.js';
import type { DiagnosisRule } from '../../src/diagnosis/types.js';
import type { SkbEvent } from '../../src/events/types.js';
import type { PairStats, PathView, SegmentStats } from '../../src/paths/types.js';
import { subjectMembers } from '../../src/rules/diagnosis-facts.js';
import { analysis, pair, segment } from '../support/analysis.js';

/** What was received where, of one packet. */
function path(id: number, ...places: [device: string, netns: number][]): PathView {
  const events = places.map(([device, netns]) => ({ role: 'receive', device, netns }) as unknown as SkbEvent);
  const sent = { role: 'transmit', device: 'eth9', netns: 9 } as unknown as SkbEvent;
  return { id, pair: 0, summary: '', end: 'freed', duration: 0, events: [...events, sent] };
}

function unanswered(of: Partial<PairStats>, paths: PathView[]): Record<string, unknown>[] {
  const seen: Analysis = analysis({ pairs: [pair([], { a: '10.0.0.5', b: '10.0.0.6', ...of })], paths });
  const rule = { suspect: { each: 'unanswered' } } as unknown as DiagnosisRule;
  return subjectsOf(rule, seen).map(({ data }) => data);
}

describe('pairs without an answer as suspects', () => {
  const silent = { packets: { forward: 5, reverse: 0 } };
  const paths = [path(1, ['tap1', 4]), path(2, ['tap1', 4], ['br0', 4]), path(3)];

  it('are asked about where their packets came farthest', () => {
    const found = unanswered(silent, paths);
    expect(found).to.deep.equal([
      { device: 'br0', netns: 4, src: '10.0.0.5', dst: '10.0.0.6', count: 5, flow: '10.0.0.5 → 10.0.0.6' },
    ]);
    // Where they came through before is there when it was seen.
    const always = Object.keys(subjectMembers({ each: 'unanswered' }, {})).filter((name) => !/^via/.test(name));
    expect(Object.keys(found[0])).to.have.members(always);
  });

  it('are not those that were answered, that may yet be, that need not be, or that were received nowhere', () => {
    expect(unanswered({ packets: { forward: 5, reverse: 1 } }, paths)).to.deep.equal([]);
    expect(unanswered({ packets: { forward: 2, reverse: 0 } }, paths)).to.deep.equal([]);
    for (const b of ['224.0.0.251', '255.255.255.255', 'ff02::1'])
      expect(unanswered({ ...silent, b }, paths)).to.deep.equal([]);
    expect(unanswered(silent, [path(3)])).to.deep.equal([]);
  });
});

describe('segments as suspects', () => {
  /** Who speaks for the ring that the packets of several pairs go through. */
  function speaker(...rings: [to: string, waitMs: number, more?: Partial<SegmentStats>][]): unknown {
    const pairs = rings.map(([b, waitMs, more], id) => pair([segment('ring', 'tap1', waitMs, more)], { id, b }));
    const [subject, ...others] = subjectsOf(
      { suspect: { segments: ['ring'] } } as unknown as DiagnosisRule,
      analysis({ pairs }),
    );
    expect(others).to.deep.equal([]);
    expect([subject.data.pairs, subject.data.lostAllPairs]).to.deep.equal([
      rings.length,
      rings.reduce((sum, [, , more]) => sum + (more?.lost ?? 0), 0),
    ]);
    return subject.data.to;
  }

  it('are one for all pairs: of the slower one, of the one that loses before it, of the one over its budget first', () => {
    expect(speaker(['a', 0.1], ['b', 0.2])).to.equal('b');
    expect(speaker(['a', 0.1, { lost: 600 }], ['b', 0.2])).to.equal('a');
    expect(speaker(['a', 0.2], ['b', 0.1, { lost: 600 }])).to.equal('b');
    // Packets that were under way at an end of the trace.
    expect(speaker(['a', 0.1, { lost: 2 }], ['b', 0.2])).to.equal('b');
    expect(speaker(['a', 0.1, { lost: 600 }], ['b', 900])).to.equal('b');
    expect(speaker(['a', 900], ['b', 0.1, { lost: 600 }])).to.equal('a');
  });

  it('of a ring that left all of one pair, say who reads it by what it took of another', () => {
    const none = { ...segment('ring', 'tap1', 0).latency, count: 0, p99: 0 };
    const few = { ...segment('ring', 'tap1', 3000).latency, count: 2 };
    const reader = { consumer: { pid: 224, tid: 225 } } as Partial<SegmentStats>;
    const left = pair([segment('ring', 'tap1', 0, { latency: none, lost: 31, dropped: 6 })], { id: 0, b: 'left' });
    const took = pair([segment('ring', 'tap1', 0, { latency: few, ...reader })], { id: 1, b: 'took' });
    for (const pairs of [
      [left, took],
      [took, left],
    ]) {
      const rule = { suspect: { segments: ['ring'] } } as unknown as DiagnosisRule;
      const [{ data }] = subjectsOf(rule, analysis({ pairs }));
      expect(data).to.include({ to: 'left', stuck: 25, consumerPid: 224, consumerTid: 225, count: 2 });
    }
  });
});
