import { expect } from 'chai';
import { COLLECTORS, createRecordedSource, type EvidenceEntry } from '../../../src/evidence/index.js';
import { parseTimes } from '../../../src/evidence/cpu-users.js';
import type { EvidencePhase } from '../../../src/evidence/types.js';

const answered = (question: string, phase: EvidencePhase, text: string): EvidenceEntry => ({
  kind: 'run',
  what: question.split(' '),
  phase,
  answer: { status: 'ok', text },
});

async function collected(name: string, params: Record<string, string | number>, entries: EvidenceEntry[]) {
  const fact = await COLLECTORS.get(name)!.collect(createRecordedSource(entries), params);
  if (!fact.known) throw new Error(fact.why);
  expect(Object.keys(COLLECTORS.get(name)!.members)).to.include.members(Object.keys(fact.value));
  return fact;
}

const filter = (action: string, counters: string, keys = ['  eth_type ipv4', '  ip_proto udp']): string =>
  [
    'filter protocol ip pref 77 flower chain 0 ',
    'filter protocol ip pref 77 flower chain 0 handle 0x1 ',
    ...keys,
    '  not_in_hw',
    `\taction order 1: ${action}`,
    `\tSent 100 bytes ${counters} requeues 0) `,
  ].join('\n');
const show = (device: string, hook: string): string => `tc -s filter show dev ${device} ${hook}`;

describe('tc-filter', () => {
  const asked = (action: string, before: string, after: string): EvidenceEntry[] => [
    answered(show('rb', 'ingress'), 'after', ''),
    answered(show('rb', 'ingress'), 'before', ''),
    answered(show('rb', 'egress'), 'before', filter(action, before)),
    answered(show('rb', 'egress'), 'after', filter(action, after)),
  ];

  it('names the filter that dropped during the run, and how to remove and restore it', async () => {
    const entries = asked('gact action drop', '5 pkt (dropped 5, overlimits 0', '25 pkt (dropped 25, overlimits 0');
    const { value, text, source } = await collected('tc-filter', { device: 'rb' }, entries);
    expect(value).to.include({ found: true, hook: 'egress', verdict: 'drop', pref: 77, droppedDelta: 20, loop: false });
    expect(value.match).to.equal('ip_proto udp');
    expect(value.removeCommand).to.equal('tc filter del dev rb egress protocol ip pref 77 handle 0x1 flower');
    expect(value.restoreCommand).to.equal(
      'tc filter add dev rb egress protocol ip pref 77 handle 0x1 flower ip_proto udp action drop',
    );
    expect(text).to.equal('filter at egress of rb, pref 77: flower ip_proto udp → drop: 20 packets dropped');
    expect(source).to.equal('tc -s filter show dev rb egress');
  });

  it('finds none where no counter grew', async () => {
    const same = '5 pkt (dropped 5, overlimits 0';
    const { value } = await collected('tc-filter', { device: 'rb' }, asked('gact action drop', same, same));
    expect(value).to.include({ found: false, verdict: '', filters: 1 });
  });

  it('follows redirections until they come back, or do not', async () => {
    const none = '0 pkt (dropped 0, overlimits 0';
    const some = '100 pkt (dropped 0, overlimits 20';
    const toVb = 'mirred (Egress Redirect to device vb) stolen';
    const back = filter('mirred (Egress Redirect to device rb) stolen', some);
    const circle = await collected('tc-filter', { device: 'rb' }, [
      ...asked(toVb, none, some),
      answered(show('vb', 'egress'), 'after', back),
    ]);
    expect(circle.value).to.include({ verdict: 'redirect', to: 'vb', loop: true, droppedDelta: 20 });
    const open = await collected('tc-filter', { device: 'rb' }, [
      ...asked(toVb, none, some),
      answered(show('vb', 'egress'), 'after', ''),
    ]);
    expect(open.value).to.include({ verdict: 'redirect', to: 'vb', loop: false });
  });

  it('puts a policer back with its limit', async () => {
    const police = ' police 0x1 rate 200Kbit burst 5Kb mtu 2Kb action drop overhead 0b ';
    const entries = asked(police, '0 pkt (dropped 0, overlimits 0', '40 pkt (dropped 31, overlimits 31');
    const { value } = await collected('tc-filter', { device: 'rb' }, entries);
    expect(value).to.include({ verdict: 'police', rate: '200kbit', burst: '5Kb', hitsDelta: 40, droppedDelta: 31 });
    expect(value.restoreCommand).to.match(/action police rate 200kbit burst 5Kb conform-exceed drop$/);
  });

  it('does not offer to restore what it cannot write down', async () => {
    const entries = asked('gact action pipe', '0 pkt (dropped 0, overlimits 0', '0 pkt (dropped 0, overlimits 0');
    const { value } = await collected('tc-filter', { device: 'rb' }, entries);
    expect(value.restoreCommand).to.equal('');
  });
});

describe('cpu-rival', () => {
  const thread = (tid: number, ticks: number, cpu: number, comm: string) => ({
    ...{ tid, comm, ticks, cpu, nice: 0, policy: 0 },
  });
  const users = (...processes: object[]): string => JSON.stringify({ processes, incomplete: false });

  it('names the process that had most of the CPU on which the thread waits', async () => {
    const guest = (ticks: number) => ({ ...thread(10, ticks, 1, 'guest'), threads: [thread(10, ticks, 1, 'guest')] });
    const hog = (ticks: number) => ({
      ...thread(20, 2 * ticks, 0, 'hog'),
      threads: [thread(21, ticks, 1, 'hog'), thread(22, ticks, 0, 'hog')],
    });
    const other = (ticks: number) => ({ ...thread(30, ticks, 0, 'other'), threads: [thread(30, ticks, 0, 'other')] });
    const { value, text } = await collected('cpu-rival', { pid: 10, seconds: 5 }, [
      answered('vdiag:cpu-users', 'before', users(guest(100), hog(50), other(900))),
      answered('vdiag:cpu-users', 'after', users(other(1400), hog(450), guest(110))),
    ]);
    expect(value).to.include({ cpu: 1, pid: 20, comm: 'hog', ms: 4000, share: 0.8, threads: 1, ownMs: 100, others: 0 });
    expect(text).to.equal('CPU 1: hog (20) took 4000 ms of it (nice 0), the waiting process 100 ms (nice 0)');
  });

  it('names nobody where nobody took much, and counts no more than the process itself', async () => {
    const guest = { ...thread(10, 100, 1, 'guest'), threads: [thread(10, 100, 1, 'guest')] };
    const { value } = await collected('cpu-rival', { pid: 10 }, [
      answered('vdiag:cpu-users', 'before', users(guest, thread(20, 1000, 1, 'old'))),
      answered(
        'vdiag:cpu-users',
        'after',
        users(guest, { ...thread(20, 1003, 1, 'old'), threads: [thread(20, 1003, 1, 'old')] }),
      ),
    ]);
    expect(value).to.include({ pid: 0, comm: '', share: null });
  });

  it('names vdiag itself, whose threads wander, only where it took twice as much as the next', async () => {
    const one = (tid: number, ticks: number, comm: string) => {
      const times = thread(tid, ticks, 1, comm);
      return { ...times, threads: [times], ...(comm === 'vdiag' && { own: true }) };
    };
    const rival = async (own: number): Promise<unknown> => {
      const { value } = await collected('cpu-rival', { pid: 10 }, [
        answered('vdiag:cpu-users', 'before', users(one(10, 100, 'guest'))),
        answered('vdiag:cpu-users', 'after', users(one(10, 110, 'guest'), one(20, 300, 'hog'), one(30, own, 'vdiag'))),
      ]);
      return value.comm;
    };
    expect(await rival(500)).to.equal('hog');
    expect(await rival(700)).to.equal('vdiag');
  });

  it('reads /proc/PID/stat, whose second field may hold anything', () => {
    const rest = Array.from({ length: 50 }, (_, i) => String(i + 3));
    const stat = `4711 (a) b (c) ${rest.join(' ')}`;
    expect(parseTimes(stat)).to.deep.equal({ tid: 4711, comm: 'a) b (c', ticks: 29, nice: 19, cpu: 39, policy: 41 });
    expect(parseTimes('')).to.equal(undefined);
    expect(parseTimes('4711 no name')).to.equal(undefined);
  });
});

describe('qdisc: the queue below a shaper', () => {
  const qdiscs = (drops: number, bytes: number, limit: number): string =>
    JSON.stringify([
      {
        ...{ kind: 'tbf', handle: '1:', dev: 'rb', root: true, bytes, packets: bytes / 1000, drops },
        options: { rate: 3_750_000, burst: 4096, lat: 200_000 },
      },
      {
        ...{ kind: 'pfifo', handle: '20:', dev: 'rb', parent: '1:1', bytes, packets: bytes / 1000, drops },
        options: { limit },
      },
    ]);
  const asked = (drops: number, bytes: number, limit: number): EvidenceEntry[] => [
    answered('tc -j -s -d qdisc show', 'before', qdiscs(0, 0, limit)),
    answered('tc -j -s -d qdisc show', 'after', qdiscs(drops, bytes, limit)),
  ];

  it('is too short when it drops and half of the rate is not used', async () => {
    const { value } = await collected('qdisc', { device: 'rb', seconds: 4 }, asked(300, 200_000, 3));
    expect(value).to.include({
      kind: 'tbf',
      holdingKind: 'pfifo',
      holdingHandle: '20:',
      holdingLimit: 3,
      tooShort: true,
    });
    expect(value.lengthenCommand).to.equal('tc qdisc change dev rb parent 1:1 handle 20: pfifo limit 1000');
    expect(value.shortenCommand).to.equal('tc qdisc change dev rb parent 1:1 handle 20: pfifo limit 3');
  });

  it('is not when the rate is used up, when it is long, or when nothing was dropped', async () => {
    for (const [drops, bytes, limit] of [
      [300, 14_000_000, 3],
      [300, 200_000, 1000],
      [0, 200_000, 3],
    ]) {
      const { value } = await collected('qdisc', { device: 'rb', seconds: 4 }, asked(drops!, bytes!, limit!));
      expect(value.tooShort, `${drops} ${bytes} ${limit}`).to.equal(false);
    }
  });
});
