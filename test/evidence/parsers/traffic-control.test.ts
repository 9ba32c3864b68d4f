import { expect } from 'chai';
import { parsePolicers, parseQdiscs, parseQueueText } from '../../../src/evidence/parsers/traffic-control.js';
import { debianSample, sample } from '../samples.js';

const QDISCS = 'tc -j -s -d qdisc show';

describe('parseQdiscs', () => {
  it('reads a token bucket: its rate is bytes/s in tc -j, its limit follows from its latency', () => {
    const tbf = parseQdiscs(sample(QDISCS, 3))!.find((queue) => queue.device === 'gpa')!;
    expect(tbf).to.include({ kind: 'tbf', parent: 'root', rate: 700_000, burst: 4096, limitBytes: 102_400 });
    expect(tbf.latencyMs).to.be.closeTo(1123, 1);
    expect(tbf.drops).to.be.greaterThan(0);
  });

  it('reads which class packets of htb go to by default (tc prints it in hexadecimal)', () => {
    const htb = parseQdiscs(sample(QDISCS, 3))!.find((queue) => queue.device === 'gpb')!;
    expect(htb).to.include({ kind: 'htb', handle: '1:', defaultClass: 0x10 });
    expect(htb.rate).to.equal(undefined);
  });

  it('tells root queues from those at an ingress hook', () => {
    const queues = parseQdiscs(sample(QDISCS, 3))!.filter((queue) => queue.device === 'gbr0');
    expect(queues.map(({ kind, parent }) => [kind, parent])).to.deep.equal([
      ['noqueue', 'root'],
      ['clsact', 'ffff:fff1'],
    ]);
  });

  it('reads the text of a tc without JSON as it reads JSON', () => {
    const text = [
      'qdisc tbf 8002: dev gpa root refcnt 3 rate 700Kbit burst 4Kb lat 1.12s ',
      ' Sent 516 bytes 6 pkt (dropped 3, overlimits 4 requeues 1) ',
      ' backlog 100940b 70p requeues 1',
    ].join('\n');
    const [tbf] = parseQueueText(text);
    expect(tbf).to.include({
      device: 'gpa',
      parent: 'root',
      rate: 700_000,
      burst: 4096,
      bytes: 516,
      packets: 6,
      drops: 3,
    });
    expect(tbf).to.include({ overlimits: 4, requeues: 1, backlogBytes: 100_940, backlogPackets: 70 });
  });

  for (const [name, wanted] of [
    ['netem', { delayMs: 50, jitterMs: 10, lossPercent: 2.5, limitPackets: 500 }],
    ['netem-rate', { delayMs: 5, rate: 1_000_000 }],
    ['fq', { rate: 50_000_000, limitPackets: 10_000 }],
  ] as const) {
    it(`reads ${name} from JSON and from text alike`, () => {
      const isIt = ({ device }: { device: string }): boolean => device === 'v0';
      expect(parseQdiscs(debianSample(`${name}.json`))!.find(isIt)).to.include(wanted);
      expect(parseQueueText(debianSample(`${name}.txt`)).find(isIt)).to.include(wanted);
    });
  }

  it('reads the bandwidth of cake', () => {
    expect(parseQdiscs(debianSample('cake.json'))!.find(({ kind }) => kind === 'cake')!.rate).to.equal(20_000_000);
  });

  it('has nothing to say about what is no JSON, as tc prints where there is hfsc', () => {
    expect(parseQdiscs('')).to.deep.equal([]);
    expect(parseQdiscs(debianSample('hfsc.json'))).to.equal(undefined);
    expect(parseQueueText(debianSample('hfsc.txt')).map(({ kind }) => kind)).to.include('hfsc');
  });
});

describe('parseQueueText', () => {
  it('reads the classes of htb with what each may lend and what waits in it', () => {
    const classes = parseQueueText(sample('tc -s -d class show dev gpb', 3));
    expect(classes.map(({ handle, parent, rate, ceil }) => ({ handle, parent, rate, ceil }))).to.have.deep.members([
      { handle: '1:1', parent: 'root', rate: 2_000_000, ceil: 2_000_000 },
      { handle: '1:10', parent: '1:1', rate: 300_000, ceil: 500_000 },
      { handle: '1:20', parent: '1:1', rate: 1_000_000, ceil: 2_000_000 },
    ]);
    expect(classes.find(({ handle }) => handle === '1:10')!.backlogPackets).to.be.greaterThan(0);
  });

  it('takes the upper limit of hfsc', () => {
    const one = parseQueueText(debianSample('hfsc-class.txt')).find(({ handle }) => handle === '1:1');
    expect(one).to.include({ kind: 'hfsc', parent: '1:', ceil: 2_000_000 });
  });
});

describe('parsePolicers', () => {
  it('reads the rate and the drops of a policer, and the filter it belongs to', () => {
    const [policer, ...others] = parsePolicers(debianSample('police.txt'));
    expect(others).to.deep.equal([]);
    expect(policer).to.include({ rate: 100_000, burst: 10_240, prio: 5, protocol: 'ip', packets: 200 });
    expect(policer.drops).to.be.greaterThan(100);
  });
});
