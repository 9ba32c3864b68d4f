import { expect } from 'chai';
import type { Analysis } from '../../src/analysis/types.js';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import type { Diagnosis } from '../../src/diagnosis/types.js';
import type { SkbEvent } from '../../src/events/types.js';
import type { PathView } from '../../src/paths/types.js';
import { analysis, finding, pair } from '../support/analysis.js';

async function ask(of: Partial<Analysis>, run = {}, endsNamed = false): Promise<Diagnosis[]> {
  const nothing = async (): Promise<{ status: 'missing'; why: string }> => ({ status: 'missing', why: 'no host' });
  const { diagnoses } = await diagnose({
    analysis: analysis(of),
    rules: [],
    source: { run: nothing, read: nothing, list: nothing },
    collectors: new Map(),
    article: () => undefined,
    remedies: () => [],
    run,
    endsNamed,
    netnsPrefix: async () => '',
  });
  return diagnoses;
}

function event(role: string, probe: string, device: string, ts: number, more: object = {}): SkbEvent {
  return { role, probe, device, ts, netns: 7, ...more } as unknown as SkbEvent;
}

const REQUEST = { packet: { src: '10.0.0.1', dst: '10.0.0.2', proto: 'ICMP', icmpType: 8, flags: '' } };
const WAY = [
  event('transmit', 'net_dev_start_xmit', 'eth0', 0, REQUEST),
  event('receive', 'netif_receive_skb', 'tap2', 2e6),
  event('clone', 'skb_clone', '', 3e6),
];

const path = (end: PathView['end'], events = WAY): PathView => ({
  ...{ id: 4, pair: 0, summary: 'ICMP 10.0.0.1 → 10.0.0.2 echo request', end, duration: 5 },
  events,
});

describe('what is not established', () => {
  it('says of a drop where the packet was last seen, what freed it and what this kernel does not show', async () => {
    const drop = event('drop', 'kfree_skb', 'tap2', 5e6);
    const group = finding('lifecycle.unspecified', {
      subject: { device: 'tap2', location: 'mystery+0x10' },
      samples: [{ ...drop, path: 4 }],
    });
    const [said, ...others] = await ask(
      { findings: [group], paths: [path('dropped', [...WAY, drop])] },
      { tracepointsOnly: true },
    );
    expect(others).to.deep.equal([]);
    expect(said).to.include({ id: 'drop-not-established', confidence: 'not established' });
    expect(said.names).to.include({ location: 'mystery+0x10', lastProbe: 'netif_receive_skb', lastDevice: 'tap2' });
    expect(said.why.map(({ text, says }) => `${says}: ${text}`)).to.deep.equal([
      'supports: 3 × lifecycle.unspecified happened',
      'supports: last seen received on tap2 (netif_receive_skb), 3.00 ms before it was freed: ICMP 10.0.0.1 → 10.0.0.2 echo request',
      'unknown: not known: this kernel gives no reason for the drop; only the function that freed the packet is certain',
      'unknown: not known: this kernel offers tracepoints only, so that no hook, table or route decision could be watched',
    ]);
  });

  const silent = pair([], { packets: { forward: 6, reverse: 1 }, linkPackets: { forward: 1, reverse: 1 } });

  it('says of questions without an answer how far they came, ARP being no answer', async () => {
    const [said, ...others] = await ask({ pairs: [silent], paths: [path('lost')] });
    expect(others).to.deep.equal([]);
    expect(said).to.include({
      ...{ id: 'no-answer-not-established', severity: 'warn', confidence: 'not established' },
      summary: '5 packets from 10.0.0.1 to 10.0.0.2 (echo requests) got no answer; why is not established',
    });
    expect(said.names).to.deep.equal({
      ...{ src: '10.0.0.1', dst: '10.0.0.2', packets: 5, netns: 7 },
      ...{ device: 'tap2', lastProbe: 'netif_receive_skb', lastDevice: 'tap2' },
    });
    expect(said.why[1].text).to.equal(
      'after that it was not seen to be forwarded, queued on another device or given to a socket',
    );
  });

  it('says of ARP without an answer so where the run is about these two ends', async () => {
    const arp = event('queue', 'net_dev_queue', 'tap2', 0, {
      packet: { src: '10.0.0.1', dst: '10.0.0.2', proto: 'ARP', icmpType: 0, flags: '' },
    });
    const asking = { packets: { forward: 4, reverse: 0 }, protocols: ['ARP'] };
    const pairs = [pair([], { ...asking, linkPackets: asking.packets })];
    const seen = { pairs, paths: [path('lost', [arp])] };
    expect(await ask(seen)).to.deep.equal([]);
    expect((await ask(seen, {}, true))[0]).to.include({
      summary: '4 packets from 10.0.0.1 to 10.0.0.2 (ARP requests) got no answer; why is not established',
    });
    const probed = { ...seen, pairs: [{ ...pairs[0], a: '0.0.0.0' }] };
    expect(await ask(probed, {}, true)).to.deep.equal([]);
  });

  it('says nothing of answers, of what asks for none, of what something found accounts for', async () => {
    const answered = { ...silent, packets: { forward: 6, reverse: 2 } };
    expect(await ask({ pairs: [answered], paths: [path('lost')] })).to.deep.equal([]);
    const datagram = event('transmit', 'net_dev_start_xmit', 'eth0', 0, {
      packet: { src: '10.0.0.1', dst: '10.0.0.2', proto: 'UDP', icmpType: 0, flags: '' },
    });
    expect(await ask({ pairs: [silent], paths: [path('lost', [datagram])] })).to.deep.equal([]);
    const dropped = { ...silent, drops: { forward: 5, reverse: 0 } };
    expect(await ask({ pairs: [dropped], paths: [path('lost')] })).to.deep.equal([]);
    const failed = finding('l2.neighbour-failed', { level: 'warn', tags: [], flows: [], subject: { dst: '10.0.0.2' } });
    expect(await ask({ pairs: [silent], paths: [path('lost')], findings: [failed] })).to.deep.equal([]);
  });
});
