import { expect } from 'chai';
import fc from 'fast-check';
import { Pipeline } from '../../src/analysis/pipeline.js';
import { namesOf } from '../../src/analysis/recorded-names.js';
import type { Analysis } from '../../src/analysis/types.js';
import { VdiagError } from '../../src/base/errors.js';
import type { Batch } from '../../src/capture/types.js';
import { TEST_NAMES, TEST_PLAN, WireWriter } from '../support/wire.js';
import { echoes, sampleOptions } from './samples.js';

const NAMES = namesOf(TEST_NAMES.symbol, sampleOptions().dropReasons);

function run(batches: readonly Batch[], options = sampleOptions()): Analysis {
  const pipeline = new Pipeline(options, NAMES);
  for (const batch of batches) pipeline.push(batch);
  return pipeline.finish();
}

describe('the pipeline', () => {
  it('makes paths, round trips, segments and findings of records', () => {
    const analysis = run([echoes(35).batch()]);
    // 35 requests, 5 of them dropped after 3 events; the other 30 and their replies have 6 each.
    expect(analysis.events).to.equal(5 * 3 + 30 * 12);
    expect(analysis.packets).to.equal(65);
    expect(analysis.roundTrips).to.equal(30);
    expect(analysis.pairs).to.have.lengthOf(1);
    const [pair] = analysis.pairs;
    expect(pair).to.deep.include({ a: '10.0.0.1', b: '10.0.0.2', aDevice: 'tap1', bDevice: 'tap2' });
    expect(pair.packets).to.deep.equal({ forward: 35, reverse: 30 });
    expect(pair.drops).to.deep.equal({ forward: 5, reverse: 0 });
    const wait = pair.segments.find(({ spec, direction }) => spec.id === 'wait' && direction === 'forward');
    expect(wait).to.deep.include({ device: 'tap2', label: 'tap2 queue', entered: 35, lost: 5 });
    expect(wait?.latency.max).to.be.closeTo(5, 0.05);

    expect(analysis.findings.map(({ rule, count }) => [rule, count])).to.deep.equal([
      ['lifecycle.test-drop', 5],
      ['l2.test-slow', 6],
    ]);
    const [drop] = analysis.findings;
    expect(drop.message).to.equal(
      'tap2 dropped ICMP 10.0.0.1 → 10.0.0.2 echo request id 77 seq 7: QDISC_DROP at nf_hook_slow+0x1f',
    );
    expect(drop.flows).to.deep.equal([{ flow: 'ICMP 10.0.0.1 → 10.0.0.2', count: 5 }]);
    expect(drop.subject).to.deep.include({ device: 'tap2', reason: 'QDISC_DROP', function: 'nf_hook_slow' });
    expect(analysis.findingsLeftOut).to.equal(0);
  });

  it('makes plain data, fit for JSON and for another thread', () => {
    const analysis = run([echoes(8).batch()]);
    expect(JSON.parse(JSON.stringify(analysis))).to.deep.equal(analysis);
    expect(structuredClone(analysis)).to.deep.equal(analysis);
  });

  it('does not care how the records are cut into batches', () => {
    const writer = echoes(40);
    const whole = run([writer.batch()]);
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(400), { maxLength: 60 }), (cuts) => {
        expect(run(writer.batches(cuts))).to.deep.equal(whole);
      }),
      { numRuns: 40 },
    );
  });

  it('needs nothing of a batch once it has taken it in', () => {
    const writer = echoes(40);
    const pipeline = new Pipeline(sampleOptions(), NAMES);
    for (const { u8, start, end } of writer.batches([10, 20, 100, 101, 150])) {
      // As a ring does: the same memory, overwritten by what comes later.
      const bytes = u8.slice(start, end);
      pipeline.push({ u8: bytes, u32: new Uint32Array(bytes.buffer), start: 0, end: bytes.byteLength });
      bytes.fill(0xee);
    }
    expect(pipeline.finish()).to.deep.equal(run([writer.batch()]));
  });

  it('says nothing of no events', () => {
    const analysis = run([]);
    expect(analysis).to.deep.include({ events: 0, packets: 0, roundTrips: 0, firstTs: 0, lastTs: 0 });
    expect(analysis.findings).to.deep.equal([]);
  });

  it('names the flow of an event without a packet by its socket', () => {
    const rule = {
      ...sampleOptions().rules[0],
      on: ['inet_sock_set_state'],
      when: { all: [{ fact: 'event.kind', operator: 'equal', value: 'socket' }] },
    };
    const options = sampleOptions({ rules: [{ ...rule, message: '{{flow}}' }] });
    const socket = {
      probe: 'inet_sock_set_state',
      saddr: '10.0.0.1',
      daddr: '10.0.0.2',
      sport: 4711,
      dport: 80,
      a: 2,
      b: 7,
    };
    const writer = new WireWriter().socket({ ts: 1000, ...socket });
    writer.socket({ ...socket, ts: 2000, saddr: 'fd00::1', daddr: 'fd00::2', family: 10 });
    const flows = run([writer.batch()], options).findings.flatMap((finding) => finding.flows.map(({ flow }) => flow));
    expect(flows).to.have.members(['TCP 10.0.0.1:4711 → 10.0.0.2:80', 'TCP [fd00::1]:4711 → [fd00::2]:80']);
  });

  it('takes in any bytes that are framed, and counts those it cannot use', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (records) => {
        const writer = new WireWriter();
        for (const record of records) writer.raw(record);
        const analysis = run([writer.batch()]);
        expect(analysis.events + (analysis.loss.recordsUnreadable ?? 0)).to.equal(records.length);
      }),
    );
  });

  it('takes in real records with random bytes in them', () => {
    const writer = echoes(12);
    const { u8, end } = writer.batch();
    const damage = fc.array(fc.tuple(fc.nat(end - 1), fc.nat(255)), { maxLength: 60 });
    fc.assert(
      fc.property(damage, (changes) => {
        const bytes = new Uint8Array(u8.slice(0, end));
        for (const [at, value] of changes) bytes[at] = value;
        const analysis = run([{ u8: bytes, u32: new Uint32Array(bytes.buffer), start: 0, end }]);
        expect(analysis.events).to.be.at.most(180);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses a layout that it cannot read, by the name of where it came from', () => {
    const wire = { version: 1, layout: {} };
    expect(() => new Pipeline(sampleOptions({ wire, origin: 'old.vdrec' }), NAMES)).to.throw(VdiagError, /old\.vdrec/);
    expect(TEST_PLAN.probes).to.not.be.empty;
  });
});
