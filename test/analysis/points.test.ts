import { expect } from 'chai';
import { Pipeline } from '../../src/analysis/pipeline.js';
import { namesOf } from '../../src/analysis/recorded-names.js';
import { FLAG } from '../../src/events/layout.js';
import type { EventRule } from '../../src/rules/types.js';
import { planOf, TEST_NAMES, TEST_PLAN, WireWriter } from '../support/wire.js';
import { DROP_RULE, echoes, sampleOptions } from './samples.js';

/** The tests' plan and two points without a packet. */
const PLAN = planOf([
  ...TEST_PLAN.probes.map(({ point }) => point),
  {
    name: 'sys_connect',
    group: 'socket',
    role: 'other',
    program: 'failure',
    returns: 'errno',
    fields: { a: 'descriptor' },
  },
  { name: 'net_dev_xmit_timeout', group: 'l2', role: 'other', program: 'point', fields: { a: 'queueIndex' } },
]);

const REFUSED: EventRule = {
  ...DROP_RULE,
  id: 'socket.test-refused',
  layer: 'socket',
  on: ['sys_connect'],
  when: { all: [{ fact: 'event.errno', operator: 'equal', value: 'ECONNREFUSED' }] },
  message: 'process {{event.pid}} was refused',
};

const STUCK: EventRule = {
  ...DROP_RULE,
  id: 'l2.test-timeout',
  layer: 'l2',
  on: ['net_dev_xmit_timeout'],
  when: { all: [{ fact: 'event.queueIndex', operator: 'equal', value: 3 }] },
  message: '{{event.device}} is stuck',
};

describe('points without a packet', () => {
  const options = sampleOptions({ plan: PLAN, rules: [REFUSED, STUCK] });
  const run = (writer: WireWriter): ReturnType<Pipeline['finish']> => {
    const pipeline = new Pipeline(options, namesOf(TEST_NAMES.symbol, options.dropReasons));
    pipeline.push(writer.batch());
    return pipeline.finish();
  };

  it('are events that rules may name, with what they tell', () => {
    const writer = new WireWriter(PLAN);
    writer.point({ ts: 1000, probe: 'sys_connect', ret: -111, flags: FLAG.returned, pid: 42, a: 7 });
    writer.point({ ts: 2000, probe: 'sys_connect', ret: -115, flags: FLAG.returned, pid: 42, a: 7 });
    writer.point({ ts: 3000, probe: 'net_dev_xmit_timeout', skb: 0x888100000000, dev: 'eth0', ifindex: 2, a: 3 });
    const { findings, events } = run(writer);
    expect(events).to.equal(3);
    expect(findings.map(({ rule, count, message }) => [rule, count, message])).to.have.deep.members([
      ['socket.test-refused', 1, 'process 42 was refused'],
      ['l2.test-timeout', 1, 'eth0 is stuck'],
    ]);
  });

  it('begin no path, and stand between the events of paths without changing them', () => {
    const alone = new Pipeline({ ...options, rules: [] }, namesOf(TEST_NAMES.symbol, options.dropReasons));
    alone.push(echoes(20, new WireWriter(PLAN)).batch());
    const writer = new WireWriter(PLAN);
    writer.point({ ts: 1000, probe: 'sys_connect', ret: -111, skb: 0x888100000200, netns: 4026531840 });
    const { packets, pairs, roundTrips } = run(echoes(20, writer));
    const expected = alone.finish();
    expect({ packets, roundTrips, pairs: pairs.map(({ drops }) => drops) }).to.deep.equal({
      packets: expected.packets,
      roundTrips: expected.roundTrips,
      pairs: expected.pairs.map(({ drops }) => drops),
    });
    expect(packets).to.be.above(0);
  });
});
