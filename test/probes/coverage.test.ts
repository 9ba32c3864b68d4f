import { expect } from 'chai';
import { coverageOf } from '../../src/probes/coverage.js';
import type { PlannedProbe, ProbeCause, ProbePlan } from '../../src/probes/types.js';

let index = 0;
const probe = (name: string, state: Partial<PlannedProbe>, hides = `what ${name} shows`): PlannedProbe => ({
  index: index++,
  point: { name, group: 'l3', set: 'standard', role: 'other', program: 'skb', hides, hidesZh: `${name} 所见` },
  reasons: [],
  ...state,
});
const missing = (name: string, cause: ProbeCause, hides?: string): PlannedProbe =>
  probe(name, { causes: [cause] }, hides);
const planOf = (...probes: PlannedProbe[]): ProbePlan => ({ set: 'standard', probes });

describe('coverage', () => {
  it('counts what is attached, by backend', () => {
    const coverage = coverageOf(
      planOf(
        probe('a', { backend: 'raw-tracepoint' }),
        probe('b', { backend: 'raw-tracepoint' }),
        probe('c', { backend: 'kprobe' }),
        missing('d', { code: 'no-kprobes' }),
      ),
    );
    expect(coverage).to.include({ planned: 4, attached: 3 });
    expect(coverage.byBackend).to.deep.equal({ 'raw-tracepoint': 2, kprobe: 1 });
    expect(coverage.missing).to.deep.equal([
      { probe: 'd', group: 'l3', why: 'this kernel has no kprobes', hides: 'what d shows' },
    ]);
  });

  it('joins what is not seen by its cause, what the kernel lacks first, in both languages', () => {
    const plan = planOf(
      missing('x', { code: 'no-function', detail: 'x' }),
      missing('a', { code: 'no-kprobes' }),
      missing('b', { code: 'no-kprobes' }),
      missing('y', { code: 'no-function', detail: 'y' }),
    );
    expect(coverageOf(plan).notSeen).to.deep.equal([
      'This kernel has no kprobes, so not seen: what a shows; what b shows.',
      'Not seen because this kernel lacks their functions: what x shows; what y shows.',
    ]);
    expect(coverageOf(plan).notSeenZh).to.deep.equal([
      '本内核不支持 kprobe，因此看不到：a 所见；b 所见。',
      '本内核没有所需的函数，因此看不到：x 所见；y 所见。',
    ]);
  });

  it('names once what several missing points would show', () => {
    const plan = planOf(
      missing('a', { code: 'no-kprobes' }, 'the way'),
      missing('b', { code: 'no-kprobes' }, 'the way'),
    );
    expect(coverageOf(plan).notSeen).to.deep.equal(['This kernel has no kprobes, so not seen: the way.']);
  });

  it('does not call unseen what another point still shows, but lists the point', () => {
    const plan = planOf(
      probe('a', { backend: 'kprobe' }, 'the way'),
      missing('b', { code: 'no-function', detail: 'b' }, 'the way'),
    );
    expect(coverageOf(plan).notSeen).to.deep.equal([]);
    expect(coverageOf(plan).missing.map((gap) => gap.probe)).to.deep.equal(['b']);
  });

  it('says nothing of code that no packet passes, but lists it with that reason', () => {
    const coverage = coverageOf(planOf(missing('ovs', { code: 'module-not-loaded', detail: 'openvswitch' })));
    expect(coverage.notSeen).to.deep.equal([]);
    expect(coverage.missing[0].why).to.equal('module openvswitch is not loaded, so no packet passes there');
  });

  it('reads a plan that has only sentences', () => {
    const coverage = coverageOf(planOf(probe('a', { reasons: ['the moon is full'] })));
    expect(coverage.notSeen).to.deep.equal(['Not seen because the moon is full: what a shows.']);
  });
});
