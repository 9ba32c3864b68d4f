import { expect } from 'chai';
import type { Analysis } from '../../src/analysis/types.js';
import { lossOf, forgeable, hidesSomething, LOSS_CAUSES } from '../../src/capture/loss.js';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import { withoutLongest } from '../../src/diagnosis/doubt.js';
import type { DiagnosisRule } from '../../src/diagnosis/types.js';
import type { Condition } from '../../src/rules/types.js';
import { analysis, finding, latency, pair, segment } from '../support/analysis.js';
import { noHost } from '../support/no-host.js';

function rule(when: Condition, suspect: DiagnosisRule['suspect'] = { segments: ['ring'] }): DiagnosisRule {
  return {
    ...{ id: 'x', severity: 'error', suspect, when, summary: 'x', summaryZh: 'x', explains: [], article: 'a/b' },
    source: 'test',
  };
}

async function confidence(of: Analysis, asked: DiagnosisRule, lost: number): Promise<string | undefined> {
  const { diagnoses } = await diagnose({
    ...{ analysis: of, rules: [asked], source: noHost, collectors: new Map(), run: {}, lost },
    ...{ article: () => undefined, remedies: () => [], netnsPrefix: async () => '' },
  });
  const found = diagnoses.find(({ id }) => id === 'x');
  const doubt = found?.why.some(({ text, says }) => says === 'unknown' && /events were lost/.test(text));
  expect(doubt ?? false, 'the doubt is said').to.equal(found?.confidence === 'likely');
  return found?.confidence;
}

describe('a diagnosis when events were lost', () => {
  const stuck = (lost: number): Analysis => analysis({ pairs: [pair([segment('ring', 'tap1', 0.1, { lost })])] });
  const neverLeft = rule({ all: [{ fact: 'subject', path: '$.lost', operator: 'greaterThan', value: 2 }] });

  it('is established when more packets never left than events were lost', async () => {
    expect(await confidence(stuck(40), neverLeft, 0)).to.equal('established');
    expect(await confidence(stuck(40), neverLeft, 37)).to.equal('established');
  });

  it('is only likely when the lost events may be what the packets seem to lack', async () => {
    expect(await confidence(stuck(40), neverLeft, 38)).to.equal('likely');
    expect(await confidence(stuck(3), neverLeft, 1)).to.equal('likely');
  });

  it('still counts the packets that were seen dropped', async () => {
    const dropped = analysis({ pairs: [pair([segment('ring', 'tap1', 0.1, { lost: 5, dropped: 5 })])] });
    expect(await confidence(dropped, neverLeft, 1000)).to.equal('established');
  });

  it('is only likely when the slow samples may come of lost events', async () => {
    const slow = (p50: number): Analysis =>
      analysis({ pairs: [pair([segment('ring', 'tap1', 400, { latency: { ...latency(400, 400), p50, p90: p50 } })])] });
    const over = rule({ all: [{ fact: 'subject', path: '$.overBudget', operator: 'equal', value: true }] });
    // 400 samples, budget 1 ms: held against it is the p99.
    expect(await confidence(slow(0.1), over, 0)).to.equal('established');
    expect(await confidence(slow(0.1), over, 10)).to.equal('likely');
    expect(await confidence(slow(400), over, 10)).to.equal('established');
    expect(await confidence(slow(400), over, 200)).to.equal('likely');
  });

  it('is only likely when it rests on a finding that is not there', async () => {
    const none = rule(
      { all: [{ fact: 'findings', params: { rule: 'l4.other' }, path: '$.count', operator: 'equal', value: 0 }] },
      { findings: ['l4.refused'] },
    );
    const of = analysis({ findings: [finding('l4.refused')] });
    expect(await confidence(of, none, 0)).to.equal('established');
    expect(await confidence(of, none, 1)).to.equal('likely');
  });

  it('stays established when it rests on what was seen', async () => {
    const seen = rule(
      { all: [{ fact: 'subject', path: '$.count', operator: 'greaterThan', value: 0 }] },
      {
        findings: ['l4.refused'],
      },
    );
    expect(await confidence(analysis({ findings: [finding('l4.refused')] }), seen, 1_000_000)).to.equal('established');
  });

  it('about a pair without round trips is doubted only when much of its traffic may not have been seen', async () => {
    const oneWay = rule({ all: [{ fact: 'subject', path: '$.roundTrips', operator: 'equal', value: 0 }] });
    const of = analysis({ pairs: [pair([segment('ring', 'tap1', 0.1)], { roundTrips: latency(0, 0) })] });
    expect(await confidence(of, oneWay, 10)).to.equal('established');
    expect(await confidence(of, oneWay, 300)).to.equal('likely');
  });
});

describe('a distribution without its longest samples', () => {
  const of = { count: 1000, p50: 1, p90: 2, p99: 3, p999: 4, max: 5, mean: 1.2 };

  it('is what it was when next to nothing is left out', () => {
    expect(withoutLongest(of, 0)).to.equal(of);
    expect(withoutLongest(of, 1)).to.include({ p50: 1, p90: 2, p99: 3 });
  });

  it('never keeps a quantile that may be one of them', () => {
    expect(withoutLongest(of, 20)).to.include({ count: 980, p99: 2, max: 2 });
    expect(withoutLongest(of, 150)).to.include({ p90: 1, p99: 1, p50: 0 });
    expect(withoutLongest(of, 1000)).to.include({ count: 0, p99: 0, max: 0 });
  });
});

describe('losses', () => {
  it('are summed by cause; what an older recording does not count is none', () => {
    expect(lossOf({ ringFull: 2 }, { ringFull: 1, perfLost: 4 })).to.include({
      ringFull: 3,
      perfLost: 4,
      missedHits: 0,
    });
    expect(Object.keys(lossOf())).to.deep.equal(LOSS_CAUSES);
  });

  it('forge only where a packet can seem to stop', () => {
    expect(forgeable(lossOf({ ringFull: 2, pathsForgotten: 3, parseFailures: 5, recordingCut: 7 }))).to.equal(5);
    expect(hidesSomething(lossOf({ pathsForgotten: 3, copiesForgotten: 1 }))).to.equal(false);
    expect(hidesSomething(lossOf({ recordingCut: 1 }))).to.equal(true);
  });
});
