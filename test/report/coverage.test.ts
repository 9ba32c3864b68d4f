import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import { lossOf } from '../../src/capture/loss.js';
import type { RunEnd, RunMeta } from '../../src/capture/types.js';
import { loadCatalogue } from '../../src/probes/catalogue.js';
import type { PlannedProbe } from '../../src/probes/types.js';
import { lossCaveat, reportCoverage } from '../../src/report/coverage.js';
import { renderText } from '../../src/report/text/render.js';
import type { Report } from '../../src/report/types.js';
import { analysis } from '../support/analysis.js';
import { sampleEnd, sampleMeta } from '../capture/samples.js';

const nothingFound = { diagnoses: [], findings: [], evidenceUnknown: [] };
const NONE = { findings: 0, pairs: 0, pathEvents: 0, flows: 0, queueWaits: 0, cpuWaits: 0, threads: 0 };

describe('the coverage of a report', () => {
  const meta: RunMeta = sampleMeta();
  const ending = (changes: Partial<RunEnd>): RunEnd => sampleEnd({ endedMono: meta.startedMono + 2e9, ...changes });

  it('sums what the kernel side and decoding lost, by cause, and keeps whose it was', () => {
    const end = ending({ loss: lossOf({ ringFull: 5, missedHits: 2 }), lostBy: { kfree_skb: 6 } });
    const of = { ...analysis({}), loss: { recordsUnreadable: 3, perfLost: 1 } };
    const coverage = reportCoverage(meta, end, of, nothingFound);
    expect(coverage.loss).to.deep.equal(lossOf({ ringFull: 5, missedHits: 2, recordsUnreadable: 3, perfLost: 1 }));
    expect(coverage.lostBy).to.deep.equal({ kfree_skb: 6 });
  });

  it('tells what was left out for want of room', () => {
    const leftOut = { pairs: 9, pathEvents: 4, flows: 3, queueWaits: 2, cpuWaits: 1 };
    const of = { ...analysis({}), findingsLeftOut: 7, pairsNotShown: 9, leftOut };
    const busy = { ...meta, threadsNotWatched: 5 };
    expect(reportCoverage(busy, ending({}), of, nothingFound).leftOut).to.deep.equal({
      ...{ ...leftOut, findings: 7, threads: 5 },
    });
  });

  it('tells what tracing cost by the run, and nothing where that was not measured', () => {
    const cost = { ownCpuSeconds: 0.05, kernelCpuSeconds: 0.2 };
    const of = { ...analysis({}), events: 1000 };
    expect(reportCoverage(meta, ending({ cost }), of, nothingFound).cost).to.deep.equal({
      eventsPerSecond: 500,
      ownCpuPercent: 2.5,
      kernelCpuPercent: 10,
    });
    expect(reportCoverage(meta, ending({}), of, nothingFound)).to.not.have.property('cost');
  });

  it('tells of a probe that is attached without what it returns', () => {
    const [point] = loadCatalogue().points;
    const causes: PlannedProbe['causes'] = [{ code: 'no-fentry' }, { code: 'return-lost' }];
    const probes: PlannedProbe[] = [{ index: 0, point: point!, backend: 'kprobe', reasons: [], causes }];
    const coverage = reportCoverage(
      { ...meta, plan: { ...meta.plan, probes } },
      ending({}),
      analysis({}),
      nothingFound,
    );
    expect(coverage.degraded).to.deep.equal([{ probe: point!.name, why: 'attached without its return value' }]);
  });
});

describe('the caveat of a verdict', () => {
  it('is there for each loss that could change it, and not else', () => {
    expect(lossCaveat(lossOf(), NONE)).to.equal(undefined);
    expect(lossCaveat(lossOf({ perfLost: 1 }), NONE)?.caveat).to.match(/^some events were lost/);
    expect(lossCaveat(lossOf({ noWorkSpace: 1 }), NONE)?.caveatZh).to.match(/^部分事件丢失/);
    expect(lossCaveat(lossOf({ pathsForgotten: 1 }), NONE)?.caveat).to.match(/may seem to be lost/);
    expect(lossCaveat(lossOf(), { ...NONE, pairs: 7, flows: 2 })).to.equal(undefined);
    expect(lossCaveat(lossOf(), { ...NONE, findings: 7 })?.caveat).to.match(/a cause may be missing/);
  });
});

describe('the coverage as text', () => {
  const golden = JSON.parse(readFileSync(packagePath('test', 'golden', 'port-closed.json'), 'utf8')) as Report;
  const told = (coverage: Partial<Report['coverage']>, language: 'en' | 'zh' = 'en'): string => {
    const report: Report = { ...golden, coverage: { ...golden.coverage, ...coverage } };
    const text = renderText(report, { language, colour: false, width: 100, status: 1 });
    return text
      .slice(text.indexOf(language === 'zh' ? '覆盖范围' : 'Coverage'))
      .replace(language === 'zh' ? /\s/g : /\n {2}/g, language === 'zh' ? '' : ' ');
  };

  it('names a few of the things that are not seen, and counts the others', () => {
    expect(told({})).to.include('whether this host routes a packet on; and 10 more.').and.not.include('ICMP takes');
    expect(told({}, 'zh')).to.include('以及另外10项。');
  });

  it('names causes and probes of losses, and the cost', () => {
    const text = told({
      loss: lossOf({ ringFull: 1200, missedReturns: 3 }),
      lostBy: { consume_skb: 3, kfree_skb: 1000, net_dev_xmit: 200, sched_switch: 1 },
      cost: { eventsPerSecond: 107, ownCpuPercent: 3.1, kernelCpuPercent: 0.4 },
    });
    expect(text).to.include(
      '(107/s), 1,200 lost because the ring buffer was full (--ring-size makes it larger); 3 return values missed ' +
        '(kfree_skb 1,000, net_dev_xmit 200, consume_skb 3); ' +
        'vdiag took 3.1% of a CPU, its programs in the kernel 0.4%. Recorded',
    );
  });

  it('says in both languages what was left out, but for pairs, which stand at the top', () => {
    const leftOut = { ...NONE, findings: 12, pairs: 5 };
    expect(told({ leftOut })).to.include('Seen and left out for want of room: 12 findings.');
    expect(told({ leftOut }, 'zh')).to.include('已看到但因容量所限未纳入：12项发现。');
    expect(told({})).to.not.include('left out');
  });

  it('has words for every cause of loss', () => {
    for (const cause of Object.keys(lossOf())) expect(told({ loss: lossOf({ [cause]: 4711 }) })).to.match(/4,711 \w/);
  });
});
