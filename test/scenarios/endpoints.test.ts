import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import type { EvidenceSource, RawEvidence } from '../../src/evidence/types.js';
import { resolveEndpoints } from '../../src/scenarios/endpoints.js';
import { domainOf } from '../../src/scenarios/libvirt-domains.js';

const NETNS = 4026531840;
const tap = (ifindex: number, ifname: string, master = 'br0'): object => ({
  ...{ ifindex, ifname, link_type: 'ether', master },
  linkinfo: { info_kind: 'tun', info_data: { type: 'tap' }, info_slave_kind: 'bridge' },
});
const LINKS = [
  { ifindex: 1, ifname: 'lo', link_type: 'loopback' },
  { ifindex: 2, ifname: 'eth0', link_type: 'ether' },
  { ifindex: 3, ifname: 'br0', link_type: 'ether', linkinfo: { info_kind: 'bridge' } },
  tap(5, 'tap1'),
  tap(6, 'tap2'),
  tap(7, 'vnet3', 'br1'),
];
const HOLDERS = {
  incomplete: false,
  holders: [
    {
      ...{ pid: 4711, comm: 'qemu-system-x86', state: 'S', cpus: '0-1', cgroup: '/', guest: 'db-1', devices: ['tap2'] },
      threads: [
        { tid: 4711, comm: 'qemu-system-x86', state: 'S' },
        { tid: 4719, comm: 'vhost-4711', state: 'S' },
      ],
    },
  ],
};
const SOFTIRQS = [
  { pid: 22, comm: 'ksoftirqd/1', state: 'S', cpus: '1', cgroup: '/', threads: [] },
  { pid: 259, comm: 'napi/tap1-8193', state: 'S', cpus: '0-1', cgroup: '/', threads: [] },
];
const DOMAIN = `<domstatus><domain><name>shop &amp; co</name><devices>
  <disk><target dev='vda' bus='virtio'/></disk>
  <interface type='bridge'><source bridge='br1'/><target dev='vnet3'/></interface></devices></domain></domstatus>`;

/** A host that answers from a table: what the evidence layer does with a recording. */
function host(links: readonly object[] = LINKS, holders: object = HOLDERS): EvidenceSource {
  const answers: Record<string, string> = {
    'ip -j -s -d link show': JSON.stringify(links),
    'vdiag:tap-holders': JSON.stringify(holders),
    '/run/libvirt/qemu': 'autostart\nshop.xml',
    '/run/libvirt/qemu/shop.xml': DOMAIN,
  };
  const ask = (what: string): Promise<RawEvidence> =>
    Promise.resolve(what in answers ? { status: 'ok', text: answers[what] } : { status: 'missing', why: `no ${what}` });
  return { run: (argv) => ask(argv.join(' ')), read: ask, list: ask };
}

const VMS = { id: 'vm-to-vm-latency', endpoints: 'virtual-machines' } as const;
const ANY = { id: 'packet-drop', endpoints: 'any' } as const;
const resolve = (
  ends: { src?: string; dst?: string },
  scenario: typeof VMS | typeof ANY = VMS,
  devices: string[] = [],
  source = host(),
): ReturnType<typeof resolveEndpoints> => resolveEndpoints(scenario, ends, devices, source, [NETNS]);

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(VdiagError);
  return (error as VdiagError).message;
}

describe('ends of a run', () => {
  it('come with the kernel threads that take packets in, after the readers', async () => {
    const source = host(LINKS, { ...HOLDERS, softirqs: SOFTIRQS });
    expect((await resolve({}, VMS, [], source)).watchTids).to.deep.equal([4711, 4719, 22, 259]);
  });

  it('come with no more threads than are measured, and with how many were left out', async () => {
    const threads = Array.from({ length: 300 }, (_, tid) => ({ tid: 5000 + tid, comm: 'CPU/KVM', state: 'S' }));
    const [guest] = HOLDERS.holders;
    const many = await resolve({}, VMS, [], host(LINKS, { holders: [{ ...guest, threads }], softirqs: SOFTIRQS }));
    expect(many.watchTids).to.have.length(256);
    expect(many.threadsNotWatched).to.equal(46);
    expect((await resolve({})).threadsNotWatched).to.equal(0);
  });

  it('without flags are the taps of this host and the threads that read them', async () => {
    const { filter, watchTids, devices, first } = await resolve({});
    expect(filter).to.deep.equal({ ifindex: [5, 6, 7] });
    expect(watchTids).to.deep.equal([4711, 4719]);
    expect(first).to.equal(undefined);
    expect(devices.find(({ name }) => name === 'tap2')).to.deep.equal({
      ...{ netns: NETNS, ifindex: 6, name: 'tap2', kind: 'tap', master: 'br0', masterKind: 'bridge', guest: 'db-1' },
      consumer: { pid: 4711, comm: 'qemu-system-x86', tids: [4711, 4719] },
    });
    expect(devices.find(({ name }) => name === 'eth0')?.kind).to.equal('physical');
  });

  it('may be addresses and prefixes; the first address is a', async () => {
    const pair = await resolve({ src: '10.0.0.5', dst: '10.0.0.0/24' });
    expect(pair.filter).to.deep.equal({ src: '10.0.0.5', dst: '10.0.0.0/24' });
    expect(pair.first).to.deep.equal({ addresses: ['10.0.0.5'], devices: [] });
    expect((await resolve({ src: '10.0.0.0/24' })).first, 'a prefix is nobody').to.equal(undefined);
    expect((await resolve({ src: 'FD00:0::1' })).first?.addresses).to.deep.equal(['fd00::1']);
  });

  it('may be devices, guests and libvirt domains', async () => {
    const pair = await resolve({ src: 'tap1', dst: 'db-1' });
    expect(pair.filter).to.deep.equal({ ifindex: [5, 6] });
    expect(pair.first).to.deep.equal({ addresses: [], devices: ['tap1'] });
    expect((await resolve({ src: 'tap1', dst: 'shop & co' })).filter).to.deep.equal({ ifindex: [5, 7] });
  });

  it('named alone by its device come with the other ports of its bridge, for the way back', async () => {
    expect((await resolve({ dst: 'tap2' })).filter).to.deep.equal({ ifindex: [6, 5] });
    expect((await resolve({ dst: 'tap2' })).watchTids).to.deep.equal([4711, 4719]);
  });

  it('mix: an address rules the filter', async () => {
    expect((await resolve({ src: '10.0.0.5', dst: 'tap2' })).filter).to.deep.equal({ src: '10.0.0.5' });
  });

  it('are nothing to a scenario of any traffic, but --dev is', async () => {
    expect((await resolve({}, ANY)).filter).to.deep.equal({});
    expect((await resolve({}, ANY, ['tap2'])).filter).to.deep.equal({ ifindex: [6] });
  });

  it('are not filtered by device when there are more than the kernel side compares', async () => {
    const many = Array.from({ length: 40 }, (_, i) => tap(100 + i, `tap${i}`));
    expect((await resolve({}, VMS, [], host(many))).filter).to.deep.equal({});
  });

  it('that are not known are refused, with what was perhaps meant', async () => {
    expect(await refusal(resolve({ src: 'tpa1' }))).to.match(
      /--src tpa1: not known here; expected an address.*did you mean "tap1"/,
    );
    expect(await refusal(resolve({ dst: 'db-l' }))).to.contain('did you mean "db-1"?');
    expect(await refusal(resolve({}, ANY, ['tap\u001b[31m']))).to.contain('--dev tap\\x1b[31m');
    expect(await refusal(resolve({ src: '10.1' })), 'half an address').to.contain('--src 10.1: not known');
  });

  it('are asked for when a host has no virtual machine', async () => {
    expect(await refusal(resolve({}, VMS, [], host(LINKS.slice(0, 3))))).to.contain('name the two ends with --src');
  });

  it('of libvirt are read from its status files, disks and entities told apart', () => {
    expect(domainOf(DOMAIN, 'x.xml')).to.deep.equal({ name: 'shop & co', devices: ['vnet3'] });
    expect(domainOf('<nothing/>', 'web.xml')).to.deep.equal({ name: 'web', devices: [] });
  });
});
