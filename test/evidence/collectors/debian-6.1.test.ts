import { expect } from 'chai';
import { COLLECTORS, createRecordedSource, type EvidenceEntry } from '../../../src/evidence/index.js';
import type { EvidenceParams } from '../../../src/evidence/types.js';
import { debianSample } from '../samples.js';

type Answers = Record<string, [before: string | undefined, after: string]>;

/** A fact from samples of Debian 6.1: command → the samples that answer it before and after. */
async function value(name: string, params: EvidenceParams, answers: Answers): Promise<Record<string, unknown>> {
  const entries = Object.entries(answers).flatMap(([command, [before, after]]) => [
    ...(before === undefined ? [] : [entry(command, 'before', before)]),
    entry(command, 'after', after),
  ]);
  const fact = await COLLECTORS.get(name)!.collect(createRecordedSource(entries), params);
  if (!fact.known) throw new Error(fact.why);
  return fact.value;
}

function entry(command: string, phase: 'before' | 'after', sample: string): EvidenceEntry {
  return { kind: 'run', what: command.split(' '), phase, answer: { status: 'ok', text: debianSample(sample) } };
}

const QDISCS = 'tc -j -s -d qdisc show';

describe('collectors on answers of Debian 6.1', () => {
  it('qdisc: a delay on purpose, and how to restore it', async () => {
    const netem = await value('qdisc', { device: 'v0' }, { [QDISCS]: ['netem.json', 'netem.json'] });
    expect(netem).to.include({
      kind: 'netem',
      mechanism: 'delay',
      delayMs: 50,
      jitterMs: 10,
      lossPercent: 2.5,
      shaping: true,
    });
    expect(netem.restoreCommand).to.equal('tc qdisc replace dev v0 root netem limit 500 delay 50ms 10ms loss 2.5%');
    expect(netem.removeCommand).to.equal('tc qdisc del dev v0 root');
  });

  it('qdisc: the rate of fq and of cake', async () => {
    const fq = await value('qdisc', { device: 'v0' }, { [QDISCS]: [undefined, 'fq.json'] });
    expect(fq).to.include({
      kind: 'fq',
      rate: '50mbit',
      changeCommand: 'tc qdisc change dev v0 root fq maxrate 500mbit',
    });
    expect(await value('qdisc', { device: 'v0' }, { [QDISCS]: [undefined, 'cake.json'] })).to.include({
      kind: 'cake',
      rate: '20mbit',
    });
  });

  it('qdisc: hfsc, for which tc prints no JSON', async () => {
    const hfsc = await value(
      'qdisc',
      { device: 'v0' },
      {
        [QDISCS]: ['hfsc.json', 'hfsc.json'],
        'tc -s -d qdisc show': ['hfsc.txt', 'hfsc.txt'],
        'tc -s -d class show dev v0': ['hfsc-class.txt', 'hfsc-class.txt'],
      },
    );
    expect(hfsc).to.include({ kind: 'hfsc', class: '1:1', rate: '2mbit', dropsDelta: 0, mechanism: 'rate' });
  });

  it('qdisc: a policer on the ingress', async () => {
    const policed = await value(
      'qdisc',
      { device: 'v1' },
      {
        [QDISCS]: ['ingress-before.json', 'ingress.json'],
        'tc -s filter show dev v1 ingress': ['police-before.txt', 'police.txt'],
      },
    );
    expect(policed).to.include({
      mechanism: 'police',
      rate: '100kbit',
      shaping: true,
      removeCommand: 'tc filter del dev v1 ingress prio 5',
    });
    expect(policed.policerDropsDelta).to.be.greaterThan(100);
  });

  it('link and bridge: a port that is disabled, and VLANs that it takes', async () => {
    const answers: Answers = {
      'ip -j -s -d link show': [undefined, 'link.json'],
      'bridge -j vlan show': [undefined, 'vlan.json'],
    };
    expect(await value('link', { device: 'd0' }, answers)).to.include({
      portState: 'disabled',
      kind: 'dummy',
      master: 'br0',
    });
    expect(await value('bridge', { device: 'd0', vlan: 8 }, answers)).to.include({
      vlanFiltering: true,
      vlanAllowed: true,
      blockedPorts: 'd0 (disabled)',
      blockedPort: 'd0',
      blockedState: 'disabled',
      portUpCommand: 'bridge link set dev d0 state 3',
    });
    const refused = await value('bridge', { device: 'd0', vlan: 10 }, answers);
    expect(refused).to.include({ vlanAllowed: false, vlanCommand: 'bridge vlan add dev d0 vid 10' });
  });
});
