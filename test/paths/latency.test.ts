import { expect } from 'chai';
import fc from 'fast-check';
import { Latency } from '../../src/paths/latency.js';

describe('latency', () => {
  it('is exact for few values, and within three digits for many', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4e9 }), { minLength: 1, maxLength: 300 }), (values) => {
        const latency = new Latency();
        values.forEach((value) => latency.record(value));
        const sorted = [...values].sort((x, y) => x - y);
        const stats = latency.stats();
        for (const [name, percent] of [
          ['p50', 50],
          ['p90', 90],
          ['p99', 99],
          ['p999', 99.9],
        ] as const) {
          const exact = sorted[Math.max(0, Math.ceil((percent / 100) * values.length - 1e-9) - 1)] / 1e6;
          const tolerance = values.length <= 32 ? 1e-12 : exact / 1000 + 1e-6;
          expect(stats[name], name).to.be.closeTo(exact, tolerance);
        }
        expect(stats.max).to.equal(sorted[sorted.length - 1] / 1e6);
        expect(stats.mean).to.be.closeTo(values.reduce((sum, value) => sum + value, 0) / values.length / 1e6, 1e-6);
        expect(stats.count).to.equal(values.length);
      }),
      { numRuns: 60 },
    );
  });

  it('takes times below zero for zero, and hours for an hour', () => {
    const latency = new Latency();
    for (let i = 0; i < 100; i++) latency.record(i % 2 === 0 ? -5 : 1e15);
    expect(latency.stats()).to.deep.include({ p50: 0, max: 3.6e6 });
  });

  it('of nothing is zero', () => {
    expect(new Latency().stats()).to.deep.equal({ count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, mean: 0 });
  });
});
