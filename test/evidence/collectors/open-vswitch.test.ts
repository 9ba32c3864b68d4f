import { expect } from 'chai';
import { COLLECTORS, createRecordedSource, type EvidenceEntry } from '../../../src/evidence/index.js';
import type { EvidenceParams, EvidencePhase } from '../../../src/evidence/types.js';

const shown = (lost: number): string =>
  `system@ovs0:\n  lookups: hit:100 missed:${20 + lost} lost:${lost}\n  flows: 2\n  port 0: ovs0 (internal)\n  port 1: tap1\n`;
const flow = (packets: number, actions: string, proto = 17): string =>
  `recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=${proto}), packets:${packets}, bytes:0, used:0.5s, actions:${actions}\n`;

function entry(what: string[], phase: EvidencePhase, text: string, kind: 'run' | 'read' = 'run'): EvidenceEntry {
  return { kind, what, phase, answer: { status: 'ok', text } };
}

const SHOW = ['ovs-dpctl', 'show', '-s'];
const DUMP = ['ovs-dpctl', 'dump-flows', 'system@ovs0'];

async function value(name: string, entries: EvidenceEntry[], params: EvidenceParams): Promise<Record<string, unknown>> {
  const fact = await COLLECTORS.get(name)!.collect(createRecordedSource(entries), params);
  if (!fact.known) throw new Error(fact.why);
  return fact.value;
}

describe('ovs', () => {
  const counters = [entry(SHOW, 'before', shown(1)), entry(SHOW, 'after', shown(6))];
  const daemon = (status: string): EvidenceEntry[] => [
    entry(['/run/openvswitch/ovs-vswitchd.pid'], 'after', '77\n', 'read'),
    entry(['/proc/77/status'], 'after', status, 'read'),
  ];

  it('tells what was lost during the run', async () => {
    expect(await value('ovs', counters, { seconds: 5 })).to.include({
      ...{ present: true, flows: 2, hitDelta: 0, missedDelta: 5, lostDelta: 5, missesPerSecond: 1 },
    });
  });

  it('tells of the daemon that it runs, is stopped, or is another process by now', async () => {
    const told = async (entries: EvidenceEntry[]): Promise<unknown> =>
      (await value('ovs', [...counters, ...entries], {})).daemonText;
    expect(await told([])).to.equal('ovs-vswitchd does not run');
    expect(await told(daemon('Name:\tovs-vswitchd\nState:\tS (sleeping)\n'))).to.equal('ovs-vswitchd (77) runs');
    expect(await told(daemon('Name:\tovs-vswitchd\nState:\tT (stopped)\n'))).to.equal('ovs-vswitchd (77) is stopped');
    expect(await told(daemon('Name:\tsshd\nState:\tS (sleeping)\n'))).to.equal('ovs-vswitchd does not run');
  });
});

describe('ovs-flow', () => {
  const params = { device: 'tap1', src: '10.0.0.5', dst: '10.0.0.6', proto: 'UDP' };
  const host = (before: string, after: string): EvidenceEntry[] => [
    ...[entry(SHOW, 'before', shown(0)), entry(SHOW, 'after', shown(0))],
    ...[entry(DUMP, 'before', before), entry(DUMP, 'after', after)],
  ];

  it('names the flow that dropped during the run', async () => {
    const of = (before: string, after: string): Promise<unknown> => value('ovs-flow', host(before, after), params);
    expect(await of(flow(2, 'drop'), flow(9, 'drop'))).to.include({
      ...{ found: true, datapath: 'system@ovs0', port: 1, actions: 'drop', packetsDelta: 7, others: 0 },
      match: 'recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=17)',
    });
    // Made during the run.
    expect(await of('', flow(9, 'drop'))).to.include({ found: true, packetsDelta: 9 });
    expect(await of(flow(9, 'drop'), flow(9, 'drop'))).to.include({ found: false, datapath: 'system@ovs0' });
    expect(await of(flow(2, '2'), flow(9, '2'))).to.include({ found: false });
    expect(await of(flow(2, 'drop', 6), flow(9, 'drop', 6))).to.include({ found: false });
  });

  it('has nothing to say of a device that is no port of it', async () => {
    expect(await value('ovs-flow', host('', flow(9, 'drop')), { ...params, device: 'eth0' })).to.include({
      ...{ found: false, datapath: '', port: null },
    });
  });
});
