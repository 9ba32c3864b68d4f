import { expect } from 'chai';
import { subjectsOf } from '../../src/diagnosis/subjects.js';
import type { DiagnosisRule } from '../../src/diagnosis/types.js';
import type { SkbEvent } from '../../src/events/types.js';
import type { PairStats, PathView } from '../../src/paths/types.js';
import { subjectMembers } from '../../src/rules/diagnosis-facts.js';
import { analysis, pair } from '../support/analysis.js';

/** A packet for an address, by the namespaces it was seen in. */
function path(id: number, dst: string, ...seen: number[]): PathView {
  const events = seen.map((netns) => ({ netns, packet: { dst } }) as unknown as SkbEvent);
  return { id, pair: 0, summary: '', end: 'freed', duration: 0, events };
}

function ends(of: Partial<PairStats>, paths: PathView[] = []): Record<string, unknown>[] {
  const seen = analysis({ pairs: [pair([], { a: '10.0.0.5', b: '10.0.0.6', ...of })], paths });
  const rule = { suspect: { each: 'end' } } as unknown as DiagnosisRule;
  return subjectsOf(rule, seen).map(({ data }) => data);
}

describe('ends of pairs as suspects', () => {
  it('are both, each in the namespace that its packets come from', () => {
    const found = ends({ aNetns: 4, bNetns: 5, packets: { forward: 7, reverse: 3 }, seconds: 2 });
    expect(found).to.deep.equal([
      {
        ...{ address: '10.0.0.5', peer: '10.0.0.6', netns: 4, packetsFrom: 7, packetsTo: 3, seconds: 2 },
        flow: '10.0.0.6 → 10.0.0.5',
      },
      {
        ...{ address: '10.0.0.6', peer: '10.0.0.5', netns: 5, packetsFrom: 3, packetsTo: 7, seconds: 2 },
        flow: '10.0.0.5 → 10.0.0.6',
      },
    ]);
    expect(Object.keys(found[0])).to.have.members(Object.keys(subjectMembers({ each: 'end' }, {})));
  });

  it('are, when they were not heard, where packets for them came last', () => {
    const silent = { aNetns: 4, bNetns: 0 };
    const paths = [path(1, '10.0.0.6', 4, 3), path(2, '10.0.0.6', 4, 3, 5), path(3, '10.0.0.5', 6, 6, 6, 6)];
    expect(ends(silent, paths).map(({ netns }) => netns)).to.deep.equal([4, 5]);
    expect(ends(silent).map(({ netns }) => netns)).to.deep.equal([4]);
  });

  it('are not those of a group', () => {
    expect(ends({ aNetns: 4, bNetns: 5, b: '224.0.0.251' })).to.deep.equal([]);
  });
});
