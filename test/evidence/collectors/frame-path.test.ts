import { expect } from 'chai';
import { COLLECTORS } from '../../../src/evidence/index.js';
import type { EvidenceParams, EvidenceSource, Fact } from '../../../src/evidence/types.js';

const HOST = 1;
const A = 2;
const B = 3;
const MAC_A = '02:77:00:00:00:01';
const MAC_B = '02:77:00:00:00:02';

interface Device {
  name: string;
  index: number;
  mac?: string;
  peer?: [index: number, nsid: number];
  master?: string;
  port?: Record<string, unknown>;
  bridge?: Record<string, unknown>;
  addresses?: string[];
  up?: boolean;
}

/** As `ip -j -s -d address show` prints it. */
function shown(devices: Device[]): string {
  return JSON.stringify(
    devices.map(
      ({ name, index, mac = '02:00:00:00:00:99', peer, master, port, bridge, addresses = [], up = true }) => ({
        ifname: name,
        ifindex: index,
        address: mac,
        flags: up ? ['BROADCAST', 'UP', 'LOWER_UP'] : ['BROADCAST'],
        ...(peer && { link_index: peer[0], link_netnsid: peer[1] }),
        ...(master && { master }),
        linkinfo: {
          info_kind: bridge ? 'bridge' : 'veth',
          ...(bridge && { info_data: bridge }),
          ...(master && { info_slave_kind: 'bridge', info_slave_data: { state: 'forwarding', ...port } }),
        },
        addr_info: addresses.map((one) => ({ local: one.split('/')[0], prefixlen: Number(one.split('/')[1]) })),
      }),
    ),
  );
}

interface Host {
  vma?: Partial<Device>;
  vmb?: Partial<Device>;
  b?: Partial<Device>;
  a?: Partial<Device>;
  bridge?: Record<string, unknown>;
  fdb?: object[];
  vlans?: object[];
  neighbour?: object[];
}

/** A host with the bridge br0, and the machines a and b at its ports vma and vmb. */
function host({
  vma,
  vmb,
  a,
  b,
  bridge = { stp_state: 0 },
  fdb = [],
  vlans = [],
  neighbour = [],
}: Host): EvidenceSource {
  const answers: Record<string, string> = {
    'vdiag:namespaces': JSON.stringify({
      namespaces: [
        { inode: HOST, own: true },
        { inode: A, name: 'a' },
        { inode: B, name: 'b' },
      ],
      left: 0,
    }),
    [`${HOST} ip -j -s -d address show`]: shown([
      { name: 'br0', index: 2, bridge },
      { name: 'vma', index: 3, peer: [2, 0], master: 'br0', ...vma },
      { name: 'vmb', index: 4, peer: [2, 1], master: 'br0', ...vmb },
    ]),
    [`${A} ip -j -s -d address show`]: shown([
      { name: 'eth0', index: 2, mac: MAC_A, peer: [3, 0], addresses: ['10.77.0.1/24'], ...a },
    ]),
    [`${B} ip -j -s -d address show`]: shown([
      { name: 'eth0', index: 2, mac: MAC_B, peer: [4, 0], addresses: ['10.77.0.2/24'], ...b },
    ]),
    [`${HOST} ip -j netns list-id`]: JSON.stringify([
      { nsid: 0, name: 'a' },
      { nsid: 1, name: 'b' },
    ]),
    [`${HOST} bridge -j fdb show`]: JSON.stringify(fdb),
    [`${HOST} bridge -j vlan show`]: JSON.stringify(vlans),
    [`${A} ip -j route get 10.77.0.2 oif eth0`]: '[{"dst":"10.77.0.2","dev":"eth0"}]',
    [`${A} ip -j neigh show to 10.77.0.2 dev eth0`]: JSON.stringify(neighbour),
    [`vdiag:netns ${A}`]: '{"name":"a"}',
  };
  const run: EvidenceSource['run'] = async (argv, { netns }) => {
    const words = argv.join(' ');
    const text = answers[words] ?? answers[`${netns ?? HOST} ${words}`];
    return text === undefined ? { status: 'failed', why: `nothing for ${words}` } : { status: 'ok', text };
  };
  const nothing = async (): Promise<{ status: 'missing'; why: string }> => ({ status: 'missing', why: 'not there' });
  return { run, read: nothing, list: nothing };
}

async function ask(name: string, source: EvidenceSource, params: EvidenceParams): Promise<Record<string, unknown>> {
  const fact: Fact = await COLLECTORS.get(name)!.collect(source, params);
  if (!fact.known) throw new Error(fact.why);
  return fact.value;
}

/** A frame of a for b, at the bridge's port. */
const bridged = (of: Host, more: EvidenceParams = {}): Promise<Record<string, unknown>> =>
  ask('frame-path', host(of), { netns: HOST, device: 'vma', address: '10.77.0.2', mac: MAC_B, ...more });
/** The same where it is sent. */
const sent = (of: Host): Promise<Record<string, unknown>> =>
  ask('frame-path', host(of), { netns: A, device: 'eth0', address: '10.77.0.2' });

describe('the way of a frame', () => {
  it('is open on a host without trouble, from the bridge and from the sender', async () => {
    expect(await bridged({})).to.include({ found: true, trouble: '', owner: 'eth0 in b', fixCommand: '' });
    const neighbour = [{ dst: '10.77.0.2', lladdr: MAC_B, state: ['REACHABLE'] }];
    expect(await sent({ neighbour })).to.include({ found: true, trouble: '', mac: MAC_B, usedMac: MAC_B });
  });

  it('ends at two isolated ports, and not at one', async () => {
    const isolated = { port: { isolated: true } };
    expect(await sent({ vma: isolated, vmb: isolated })).to.include({
      trouble: 'isolated',
      inPort: 'vma',
      device: 'vmb',
      fixCommand: 'bridge link set dev vmb isolated off',
      undoCommand: 'bridge link set dev vmb isolated on',
    });
    expect(await sent({ vmb: isolated })).to.include({ trouble: '' });
  });

  it('ends at a port that does not forward', async () => {
    const value = await bridged({ vmb: { port: { state: 'listening' } } });
    expect(value).to.include({ trouble: 'blocked', device: 'vmb', portState: 'listening', bridge: 'br0' });
  });

  it('ends at a device that is down, in whichever namespace', async () => {
    expect(await sent({ b: { up: false } })).to.include({
      trouble: 'down',
      device: 'eth0',
      netns: B,
      fixCommand: 'ip netns exec b ip link set dev eth0 up',
    });
  });

  it('ends where the bridge filters by VLAN and the port out is in another one', async () => {
    const bridge = { stp_state: 0, vlan_filtering: 1 };
    const vlans = (vlan: number): object[] => [
      { ifname: 'vma', vlans: [{ vlan: 1, flags: ['PVID', 'Egress Untagged'] }] },
      { ifname: 'vmb', vlans: [{ vlan, flags: ['PVID', 'Egress Untagged'] }] },
    ];
    expect(await bridged({ bridge, vlans: vlans(20) })).to.include({
      trouble: 'vlan',
      vlan: 1,
      otherVlans: '20 (untagged)',
    });
    expect(await bridged({ bridge, vlans: vlans(1) })).to.include({ trouble: '' });
    expect(await bridged({ vlans: vlans(20) })).to.include({ trouble: '' });
  });

  it("is another one by the bridge's table when an entry was set by hand, not when it was learned", async () => {
    const entry = { mac: MAC_B, ifname: 'vma', master: 'br0' };
    expect(await bridged({ fdb: [{ ...entry, flags: ['sticky'], state: 'static' }] })).to.include({
      trouble: 'fdb',
      fdbPort: 'vma',
      device: 'vmb',
      fixCommand: `bridge fdb replace ${MAC_B} dev vmb master static sticky`,
    });
    expect(await bridged({ fdb: [{ ...entry, flags: [], state: '' }] })).to.include({ trouble: '' });
  });

  it('is known from the port that the address is heard at when nobody on this host has it', async () => {
    const strange = '02:77:00:00:00:77';
    const fdb = [{ mac: strange, ifname: 'vma', master: 'br0', flags: [], state: 'static' }];
    const value = await bridged({ fdb }, { mac: strange, seenDevice: 'vmb', address: '10.77.0.9' });
    expect(value).to.include({ trouble: 'fdb', mac: strange, device: 'vmb' });
    expect(await bridged({ fdb }, { mac: strange, address: '10.77.0.9' })).to.include({ found: false, trouble: '' });
  });

  it('leads nowhere with an address that is not the neighbour’s', async () => {
    const neighbour = [{ dst: '10.77.0.2', lladdr: '02:de:ad:00:00:01', state: ['PERMANENT'] }];
    expect(await sent({ neighbour })).to.include({
      trouble: 'mac',
      usedMac: '02:de:ad:00:00:01',
      mac: MAC_B,
      state: 'PERMANENT',
      fixCommand: 'ip netns exec a ip neigh del 10.77.0.2 dev eth0',
    });
  });

  it('leads to two machines that have one address', async () => {
    const value = await sent({ vma: {}, b: {}, a: { addresses: ['10.77.0.1/24', '10.77.0.2/24'] } });
    expect(value).to.include({ trouble: 'duplicate', holders: 2 });
  });

  it('is lost where two machines have one Ethernet address, and names one that none has', async () => {
    const value = await sent({ a: { mac: MAC_B }, vmb: { mac: '02:77:00:00:00:03' } });
    expect(value).to.include({ trouble: 'twin', mac: MAC_B });
    expect(value.text).to.match(new RegExp(`^${MAC_B} is the Ethernet address of eth0 .+ and of eth0 `));
    expect(value.fixCommand).to.match(/ip link set dev eth0 address 02:77:00:00:00:04$/);
    expect(value.undoCommand).to.match(new RegExp(`ip link set dev eth0 address ${MAC_B}$`));
  });

  it('is open where one of the two that have one Ethernet address is not set up', async () => {
    const value = await sent({ a: { mac: MAC_B }, b: { up: false } });
    expect(value.trouble).not.to.equal('twin');
  });

  it('is not known when the device is not there', async () => {
    const fact = await COLLECTORS.get('frame-path')!.collect(host({}), { netns: HOST, device: 'tap9' });
    expect(fact).to.include({ known: false });
  });
});

describe('netmask', () => {
  const asked = (of: Host, dst: string): Promise<Record<string, unknown>> =>
    ask('netmask', host(of), { netns: A, device: 'eth0', src: '10.77.0.1', dst });

  it('finds a prefix that is shorter than those on the same link', async () => {
    expect(await asked({ a: { addresses: ['10.77.0.1/16'] } }, '10.77.5.5')).to.include({
      wrong: true,
      address: '10.77.0.1/16',
      device: 'eth0',
      expected: '24',
      reference: '10.77.0.2/24',
    });
  });

  it('finds none where prefixes agree, or where the address is on the link', async () => {
    expect(await asked({}, '10.77.5.5')).to.include({ wrong: false });
    expect(await asked({ a: { addresses: ['10.77.0.1/16'] } }, '10.77.0.2')).to.include({ wrong: false });
    const both = ['10.77.0.1/16'];
    expect(await asked({ a: { addresses: both }, b: { addresses: ['10.77.0.2/16'] } }, '10.77.5.5')).to.include({
      wrong: false,
    });
  });

  it('needs the question itself where the one who asks is not on this host', async () => {
    const params = { netns: HOST, device: 'vma', src: '10.77.0.7', dst: '10.77.5.5' };
    expect(await ask('netmask', host({}), params)).to.include({ wrong: false });
    const value = await ask('netmask', host({}), { ...params, mac: 'ff:ff:ff:ff:ff:ff' });
    expect(value).to.include({ wrong: true, address: '10.77.0.7', expected: '24' });
  });
});
