import { expect } from 'chai';
import { accuracyRows, benchResult, type ScoredRun } from './result.js';

const run = (kernel: string, family: ScoredRun['family'], score: ScoredRun['score']): ScoredRun => ({
  ...{ fault: 'f', variant: '', family, kernel, seed: 1, expected: 'x', got: 'y', score, why: '', seconds: 1 },
});
const RUNS = [
  run('6.1', 'routing', 'precise'),
  run('6.1', 'routing', 'wrong'),
  run('6.1', 'controls', 'precise'),
  run('here', 'routing', 'unavailable'),
  run('here', 'controls', 'false-alarm'),
];

describe('fault bench: result', () => {
  it('counts every score', () => {
    const { runs, ...counts } = benchResult(1, RUNS);
    expect(runs).to.equal(RUNS);
    expect(counts).to.include({ precise: 2, partial: 0, missed: 0, wrong: 1, falseAlarms: 1, unavailable: 1, seed: 1 });
  });

  it('shows by family what is precise of what could be built, controls apart from faults', () => {
    const { head, body } = accuracyRows(RUNS);
    expect(head).to.deep.equal(['precise', 'here', '6.1']);
    expect(Object.fromEntries(body.map(([name, ...cells]) => [name, cells]))).to.deep.equal({
      routing: ['–', '1 of 2'],
      controls: ['0 of 1', '1 of 1'],
      'all faults': ['–', '1 of 2, 50 %'],
      partial: ['0', '0'],
      missed: ['0', '0'],
      wrong: ['0', '1'],
      'false alarms': ['1', '0'],
      'cannot be built there': ['1', '0'],
    });
  });
});
