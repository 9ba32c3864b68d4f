import { expect } from 'chai';
import { subjectsOf } from '../../src/diagnosis/subjects.js';
import type { DiagnosisRule } from '../../src/diagnosis/types.js';
import type { PacketView, SkbEvent } from '../../src/events/types.js';
import type { PairStats, PathView } from '../../src/paths/types.js';
import { subjectMembers } from '../../src/rules/diagnosis-facts.js';
import { analysis, pair } from '../support/analysis.js';

const [MAC_A, MAC_B, MAC_C] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b', '02:00:00:00:00:0c'];

type Step = [role: string, device: string, netns: number];

function path(id: number, packet: Partial<PacketView>, ...steps: Step[]): PathView {
  const events = steps.map(([role, device, netns]) => ({ role, device, netns, packet }) as unknown as SkbEvent);
  return { id, pair: 0, summary: '', end: 'freed', duration: 0, events };
}

/** From a through the host's bridge (namespace 4), where b's frames come in by tap2. */
const asked = path(
  1,
  { src: '10.0.0.5', dst: '10.0.0.6', proto: 'ICMP', smac: MAC_A, dmac: MAC_B },
  ['queue', 'eth0', 3],
  ['transmitted', 'eth0', 3],
  ['receive', 'tap1', 4],
  ['queue', 'tap2', 4],
);
const told = path(
  2,
  { src: '10.0.0.6', dst: '10.0.0.5', proto: 'ARP', smac: MAC_B, dmac: MAC_A },
  ['receive', 'tap2', 4],
  ['queue', 'tap1', 4],
);

function hops(of: Partial<PairStats>, paths: PathView[]): Record<string, unknown>[] {
  const rule = { suspect: { each: 'hop' } } as unknown as DiagnosisRule;
  return subjectsOf(rule, analysis({ pairs: [pair([], { a: '10.0.0.5', b: '10.0.0.6', ...of })], paths })).map(
    ({ data }) => data,
  );
}

describe('hops of packets that seem not to arrive', () => {
  const silent = { packets: { forward: 9, reverse: 1 }, linkPackets: { forward: 1, reverse: 1 } };

  it('are the namespaces on their way, though ARP was answered', () => {
    const found = hops(silent, [asked, told]);
    expect(
      found.map(({ netns, device, outDevice, came, last }) => ({ netns, device, outDevice, came, last })),
    ).to.deep.equal([
      { netns: 3, device: 'eth0', outDevice: 'eth0', came: false, last: false },
      { netns: 4, device: 'tap1', outDevice: 'tap2', came: true, last: true },
    ]);
    expect(found[1]).to.include({
      src: '10.0.0.5',
      dst: '10.0.0.6',
      count: 8,
      mac: MAC_B,
      seenDevice: 'tap2',
      macs: 1,
    });
    expect(Object.keys(found[0])).to.have.members(Object.keys(subjectMembers({ each: 'hop' }, {})));
  });

  it('tell of two machines that speak for one address', () => {
    const other = path(3, { src: '10.0.0.6', dst: '10.0.0.5', proto: 'ARP', smac: MAC_C, dmac: MAC_A }, [
      'receive',
      'tap3',
      4,
    ]);
    expect(hops(silent, [asked, told, other])[0]).to.include({ macs: 2, macsText: `${MAC_B}, ${MAC_C}` });
  });

  it('are of questions for a link address where nothing else was sent', () => {
    const question = path(
      4,
      { src: '10.0.0.5', dst: '10.0.0.6', proto: 'ARP', smac: MAC_A, dmac: 'ff:ff:ff:ff:ff:ff' },
      ['receive', 'tap1', 4],
    );
    const found = hops({ packets: { forward: 4, reverse: 0 }, linkPackets: { forward: 4, reverse: 0 } }, [question]);
    expect(found).to.have.length(1);
    expect(found[0]).to.include({ device: 'tap1', count: 4, mac: 'ff:ff:ff:ff:ff:ff', seenDevice: '' });
  });

  it('are none where there were answers, too few packets or a group is asked', () => {
    expect(hops({ packets: { forward: 9, reverse: 8 } }, [asked])).to.deep.equal([]);
    expect(hops({ packets: { forward: 2, reverse: 0 } }, [asked])).to.deep.equal([]);
    expect(hops({ packets: { forward: 9, reverse: 0 }, b: '224.0.0.1' }, [asked])).to.deep.equal([]);
  });
});
