import { expect } from 'chai';
import { objections } from './gate.js';
import type { ScoredRun } from './result.js';

const runs = (count: number, score: ScoredRun['score'], more: Partial<ScoredRun> = {}): ScoredRun[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ fault: `f${i}`, variant: '', family: 'routing', kernel: '6.1', seed: 1, expected: 'x', got: 'y' },
    ...{ score, why: 'because', seconds: 1, ...more },
  }));

describe('fault bench: gate', () => {
  it('lets through what is precise, at the second try at the latest', () => {
    expect(objections([...runs(80, 'precise'), ...runs(20, 'missed', { second: 'precise' })])).to.deep.equal([]);
  });

  it('objects to too little that is precise, in virtual machines and here', () => {
    expect(objections([...runs(87, 'precise'), ...runs(13, 'missed', { second: 'missed' })])).to.deep.equal([
      'in virtual machines 87 of 100 are precise, less than 88 %',
    ]);
    expect(
      objections([...runs(9, 'precise', { kernel: 'here' }), ...runs(1, 'partial', { kernel: 'here' })]),
    ).to.deep.equal(['here 9 of 10 are precise, less than 95 %']);
  });

  it('does not count what cannot be built, nor controls as faults', () => {
    const some = [...runs(9, 'unavailable'), ...runs(9, 'precise', { family: 'controls' }), ...runs(1, 'precise')];
    expect(objections(some)).to.deep.equal([]);
  });

  it('objects to more than two in a hundred that are wrong or false alarms twice', () => {
    const most = [...runs(96, 'precise'), ...runs(2, 'wrong'), ...runs(2, 'wrong', { second: 'precise' })];
    expect(objections(most)).to.deep.equal([]);
    const more = [...most.slice(1), ...runs(1, 'false-alarm', { second: 'wrong', family: 'controls' })];
    expect(objections(more)).to.deep.equal([
      '6.1 f0 : wrong: because',
      '6.1 f1 : wrong: because',
      '6.1 f0 : false-alarm: because',
    ]);
  });
});
