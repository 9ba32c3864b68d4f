import { expect } from 'chai';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import type { StreamStats, Where } from '../../src/paths/types.js';
import { loadLibrary } from '../../src/scenarios/library.js';
import { analysis, pair } from '../support/analysis.js';
import { noHost } from '../support/no-host.js';

const nowhere: Where = { count: 0, percent: 0, after: '', before: '', netns: 0, outside: false };
const inside = (count: number): Where => ({
  ...{ count, percent: (100 * count) / 94, after: 'vmb', before: 'eth0', netns: 1, outside: false },
});

/** A transfer as it was measured on a busy machine, of which every segment that was sent again had arrived late. */
function stream(more: Partial<StreamStats>): StreamStats {
  return {
    ...{ direction: 'forward', sport: 55224, dport: 5202 },
    ...{ first: { device: 'eth0', netns: 1, out: true }, last: { device: 'eth0', netns: 2, out: false } },
    ...{ segments: 94, bytes: 2129414, again: 11, needless: 0, arrivedBefore: 2, mostRepeats: 1, longestWaitMs: 8 },
    ...{ lost: nowhere, acksLost: nowhere, reordered: inside(10), longestReorderMs: 0, duplicated: nowhere },
    ...{ opens: 1, accepted: 1, openSport: 0, openDport: 0, openLost: nowhere, acceptLost: nowhere },
    ...{ small: 20, stalls: 0, stallMs: 0, ...more },
  };
}

async function told(more: Partial<StreamStats>): Promise<string[]> {
  const { diagnoses } = await diagnose({
    analysis: analysis({ pairs: [pair([], { streams: [stream(more)] })] }),
    ...{ rules: loadLibrary().diagnoses, source: noHost, collectors: new Map(), run: { seconds: 10 } },
    ...{ article: () => undefined, remedies: () => [], netnsPrefix: async () => '' },
  });
  return diagnoses.map(({ id, severity }) => `${severity} ${id}`);
}

describe('rules of TCP streams', () => {
  const cases: [name: string, more: Partial<StreamStats>, expected: string[]][] = [
    ['a few come out of order inside this host, and none is lost', {}, ['info tcp-reordering-inside']],
    ['one was sent again for no reason that was seen', { again: 13 }, ['warn tcp-retransmissions']],
    ['many come out of order', { again: 50, reordered: inside(50) }, ['warn tcp-retransmissions']],
    [
      'they come out of order before this host',
      { reordered: { ...inside(10), outside: true } },
      ['warn tcp-reordering'],
    ],
    ['few are sent again', { again: 4, reordered: nowhere }, []],
  ];
  for (const [name, more, expected] of cases)
    it(`${expected.join(', ') || 'nothing'}: ${name}`, async () => {
      expect(await told(more)).to.deep.equal(expected);
    });
});
