import { expect } from 'chai';
import { COLLECTORS, createRecordedSource, type EvidenceEntry } from '../../../src/evidence/index.js';
import type { Fact } from '../../../src/evidence/types.js';

const V4 = `10.9.0.0/24 dev d0 proto kernel scope link src 10.9.0.1 quickack 1 
10.9.0.7 dev d0 scope link rto_min lock 5ms 
default proto static
	nexthop via 10.9.0.2 dev d0 weight 1
`;
const V6 = `fd09::7 dev d0 metric 1024 rto_min lock 500us pref medium
fd09::/64 dev d0 proto kernel metric 256 pref medium
`;

async function ask(dst: string, sysctl?: string): Promise<Fact> {
  const question = (version: string, text: string): EvidenceEntry => ({
    kind: 'run',
    what: ['ip', version, 'route', 'show', 'match', dst],
    phase: 'after',
    answer: { status: 'ok', text },
  });
  const entries: EvidenceEntry[] = [question('-4', V4), question('-6', V6)];
  if (sysctl) {
    entries.push({
      kind: 'read',
      what: ['/proc/sys/net/ipv4/tcp_rto_min_us'],
      phase: 'after',
      answer: { status: 'ok', text: sysctl },
    });
  }
  return COLLECTORS.get('route-metrics')!.collect(createRecordedSource(entries), { dst });
}

const valueOf = (fact: Fact): Record<string, unknown> => (fact.known ? fact.value : {});

describe('evidence of what a route tells TCP', () => {
  it('is the most specific route, with the command that takes its least timeout back, and the one that undoes that', async () => {
    expect(valueOf(await ask('10.9.0.7'))).to.deep.include({
      route: '10.9.0.7',
      setting: 'rto_min of the route to 10.9.0.7',
      rtoMin: '5ms',
      rtoMinMs: 5,
      usual: '200ms',
      quickack: false,
      usualRtoCommand: 'ip -4 route change 10.9.0.7 dev d0 scope link',
      quickackCommand: 'ip -4 route change 10.9.0.7 dev d0 scope link rto_min 5ms quickack 1',
      restoreRouteCommand: 'ip -4 route change 10.9.0.7 dev d0 scope link rto_min 5ms',
    });
  });

  it('is that of IPv6, and of units below a millisecond', async () => {
    expect(valueOf(await ask('fd09::7'))).to.deep.include({
      rtoMinMs: 0.5,
      usualRtoCommand: 'ip -6 route change fd09::7 dev d0 metric 1024 pref medium',
    });
  });

  it('is the setting of the host where the route has none', async () => {
    const without = V4.replace(' rto_min lock 5ms', '');
    const source = createRecordedSource([
      {
        kind: 'run',
        what: ['ip', '-4', 'route', 'show', 'match', '10.9.0.7'],
        phase: 'after',
        answer: { status: 'ok', text: without },
      },
      {
        kind: 'read',
        what: ['/proc/sys/net/ipv4/tcp_rto_min_us'],
        phase: 'after',
        answer: { status: 'ok', text: '5000\n' },
      },
    ]);
    expect(valueOf(await COLLECTORS.get('route-metrics')!.collect(source, { dst: '10.9.0.7' }))).to.deep.include({
      setting: 'net.ipv4.tcp_rto_min_us',
      rtoMin: '5ms',
      usualRtoCommand: 'sysctl -w net.ipv4.tcp_rto_min_us=200000',
      restoreRouteCommand: 'sysctl -w net.ipv4.tcp_rto_min_us=5000',
    });
  });

  it('is not known for what is no address', async () => {
    expect((await ask('')).known).to.equal(false);
    expect((await ask('--help')).known).to.equal(false);
  });
});
