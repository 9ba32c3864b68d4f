import { expect } from 'chai';
import { parsePolicers, parseQdiscs, parseQueueText } from '../../../src/evidence/parsers/traffic-control.js';
import { sample } from '../samples.js';

const QDISCS = 'tc -j -s -d qdisc show';

describe('parseQdiscs', () => {
  it('reads a token bucket: its rate is bytes/s in tc -j, its limit follows from its latency', () => {
    const tbf = parseQdiscs(sample(QDISCS, 3)).find((queue) => queue.device === 'gpa')!;
    expect(tbf).to.include({ kind: 'tbf', parent: 'root', rate: 700_000, burst: 4096, limitBytes: 102_400 });
    expect(tbf.latencyMs).to.be.closeTo(1123, 1);
    expect(tbf.drops).to.be.greaterThan(0);
  });

  it('reads which class packets of htb go to by default (tc prints it in hexadecimal)', () => {
    const htb = parseQdiscs(sample(QDISCS, 3)).find((queue) => queue.device === 'gpb')!;
    expect(htb).to.include({ kind: 'htb', handle: '1:', defaultClass: 0x10 });
    expect(htb.rate).to.equal(undefined);
  });

  it('tells root queues from those at an ingress hook', () => {
    const queues = parseQdiscs(sample(QDISCS, 3)).filter((queue) => queue.device === 'gbr0');
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
    const [tbf] = parseQdiscs(text);
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

  it('reads delay and loss of netem', () => {
    const text = 'qdisc netem 8001: dev eth0 root refcnt 2 limit 1000 delay 50ms  10ms loss 2.5%\n';
    expect(parseQdiscs(text)[0]).to.include({ delayMs: 50, jitterMs: 10, lossPercent: 2.5, limitPackets: 1000 });
    const json = JSON.stringify([
      {
        kind: 'netem',
        handle: '8001:',
        dev: 'eth0',
        root: true,
        options: {
          limit: 1000,
          delay: { delay: 0.05, jitter: 0.01, correlation: 0 },
          'loss-random': { loss: 0.025, correlation: 0 },
        },
      },
    ]);
    expect(parseQdiscs(json)[0]).to.include({ delayMs: 50, jitterMs: 10, lossPercent: 2.5 });
  });

  it('has nothing to say about what is neither', () => {
    expect(parseQdiscs('')).to.deep.equal([]);
    expect(parseQdiscs('Usage: tc qdisc …')).to.deep.equal([]);
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
    const text = 'class hfsc 1:1 parent 1: ls m1 0bit d 0us m2 1Mbit ul m1 0bit d 0us m2 2Mbit \n';
    expect(parseQueueText(text)[0].ceil).to.equal(2_000_000);
  });
});

describe('parsePolicers', () => {
  it('reads the rate and the drops of a policer, and the filter it belongs to', () => {
    const text = [
      'filter protocol ip pref 5 u32 chain 0 ',
      'filter protocol ip pref 5 u32 chain 0 fh 800::800 order 2048 key ht 800 bkt 0 flowid :1 not_in_hw ',
      '  match 0a5c00fe/ffffffff at 16',
      '\taction order 1:  police 0x1 rate 1Mbit burst 10Kb mtu 2Kb action drop overhead 0b ',
      '\tref 1 bind 1 installed 2 sec used 0 sec firstused 2 sec',
      '\tAction statistics:',
      '\tSent 86520 bytes 60 pkt (dropped 53, overlimits 53 requeues 0) ',
      '\tbacklog 0b 0p requeues 0',
    ].join('\n');
    expect(parsePolicers(text)).to.deep.equal([
      { rate: 1_000_000, burst: 10_240, prio: 5, protocol: 'ip', packets: 60, drops: 53, overlimits: 53 },
    ]);
  });
});
