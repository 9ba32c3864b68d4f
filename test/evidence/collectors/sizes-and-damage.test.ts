import { expect } from 'chai';
import { COLLECTORS } from '../../../src/evidence/index.js';
import type { EvidenceParams, EvidenceSource, Fact } from '../../../src/evidence/types.js';

/** A host that answers from a list: `phase command` or `phase path`, or without the phase for both. */
function hostWith(answers: Record<string, string>): EvidenceSource {
  const answer = (question: string, phase: string) => {
    const text = answers[`${phase} ${question}`] ?? answers[question];
    return Promise.resolve(
      text === undefined ? ({ status: 'missing', why: `no ${question}` } as const) : ({ status: 'ok', text } as const),
    );
  };
  return {
    run: (argv, { phase }) => answer(argv.join(' '), phase),
    read: (path, { phase }) => answer(path, phase),
    list: (path, { phase }) => answer(path, phase),
  };
}

async function valueOf(name: string, answers: Record<string, string>, params: EvidenceParams) {
  const fact: Fact = await COLLECTORS.get(name)!.collect(hostWith(answers), params);
  return fact.known ? fact.value : { unknown: fact.why };
}

const link = (ifname: string, mtu: number, more: object = {}): object => ({
  ...{ ifindex: 2, ifname, mtu, flags: ['UP', 'LOWER_UP'], operstate: 'UP', link_type: 'ether' },
  ...more,
});
const links = (...list: object[]): Record<string, string> => ({
  'ip -j -s -d link show': JSON.stringify(list),
});

describe('evidence: link, what happened to it', () => {
  const asked = 'ip -j -s -d link show';
  const shown = (flags: string[], ifindex = 9): string => JSON.stringify([link('c4', 1500, { ifindex, flags })]);
  const [up, down] = [shown(['UP']), shown([])];
  const cases: [change: string | null, before: string | undefined, after: string][] = [
    ['', up, up],
    ['', down, down],
    ['set up', down, up],
    ['set down', up, down],
    ['made', '[]', up],
    ['removed', up, '[]'],
    ['removed', '[]', '[]'],
    ['removed', up, shown(['UP'], 11)],
    [null, undefined, up],
  ];
  for (const [change, before, after] of cases)
    it(`${change ?? 'not known'}: ${before ?? 'not asked'} became ${after}`, async () => {
      const answers = { [`after ${asked}`]: after, ...(before !== undefined && { [`before ${asked}`]: before }) };
      expect(await valueOf('link', answers, { device: 'c4', index: 9 })).to.include({ change });
    });
});

describe('evidence: path-mtu', () => {
  const route = (answer: object): Record<string, string> => ({ 'ip -j route get 10.0.0.9': JSON.stringify([answer]) });
  const host = { ...links(link('eth0', 1500), link('wan', 1400)), ...route({ dst: '10.0.0.9', dev: 'wan' }) };

  it('compares a packet with the device that it leaves by', async () => {
    const params = { dst: '10.0.0.9', length: 1500 };
    expect(await valueOf('path-mtu', host, params)).to.include({
      ...{ device: 'wan', deviceMtu: 1400, limit: 1400, tooLong: true, learnt: null, mss: 1360 },
      ...{ raiseMtuCommand: 'ip link set dev wan mtu 1500', restoreMtuCommand: 'ip link set dev wan mtu 1400' },
    });
    expect(await valueOf('path-mtu', host, { ...params, length: 1400 })).to.include({ tooLong: false });
  });

  it('knows what the kernel learnt from an ICMP error, and what a route was given', async () => {
    const learnt = { dst: '10.0.0.9', dev: 'eth0', cache: [], expires: 599, metrics: [{ mtu: 1280 }] };
    expect(await valueOf('path-mtu', { ...host, ...route(learnt) }, { dst: '10.0.0.9' })).to.include({
      ...{ device: 'eth0', deviceMtu: 1500, limit: 1280, learnt: 1280, tooLong: null, raiseMtuCommand: '' },
    });
    const set = { dst: '10.0.0.9', dev: 'eth0', metrics: [{ mtu: 1300 }] };
    expect(await valueOf('path-mtu', { ...host, ...route(set) }, { dst: '10.0.0.9' })).to.include({
      ...{ limit: 1300, learnt: null },
    });
  });

  it('names the narrow device only where the error came from this host and its MTU is that', async () => {
    const own = { 'ip -j route get 10.0.0.1': '[{"type":"local","dev":"lo"}]' };
    const params = { dst: '10.0.0.9', told: 1400, reporter: '10.0.0.1' };
    expect(await valueOf('path-mtu', { ...host, ...own }, params)).to.include({ own: true, narrow: 'wan' });
    expect(await valueOf('path-mtu', { ...host, ...own }, { ...params, told: 1300 })).to.include({ narrow: '' });
    const other = { 'ip -j route get 10.0.0.1': '[{"dst":"10.0.0.1","dev":"eth0"}]' };
    expect(await valueOf('path-mtu', { ...host, ...other }, params)).to.include({ own: false, narrow: '' });
    expect(await valueOf('path-mtu', host, { ...params, dst: '10.0.0.9; reboot' })).to.have.property('unknown');
  });
});

describe('evidence: link sizes', () => {
  it('a bridge port takes its MTU, the Ethernet header and a VLAN tag', async () => {
    const host = links(link('vmb', 1400));
    const fits = async (frame: number) => (await valueOf('link', host, { device: 'vmb', frame })).tooLong;
    expect(await fits(1418)).to.equal(false);
    expect(await fits(1419)).to.equal(true);
    expect(await valueOf('link', host, { device: 'vmb', length: 1401 })).to.include({ tooLong: true });
    expect(await valueOf('link', host, { device: 'vmb', length: 1400 })).to.include({ tooLong: false });
    const value = await valueOf('link', host, { device: 'vmb', frame: 1514 });
    expect(value).to.include({ raiseMtuCommand: 'ip link set dev vmb mtu 1500' });
    expect(await valueOf('link', host, { device: 'vmb' })).to.include({ tooLong: null, raiseMtuCommand: '' });
  });
});

describe('evidence: tunnel-mtu', () => {
  const vxlan = (mtu: number, data: object): object =>
    link('vx42', mtu, { ifindex: 3, linkinfo: { info_kind: 'vxlan', info_data: { id: 42, ...data } } });

  it('leaves room for 50 bytes over IPv4, for 70 over IPv6', async () => {
    const params = { kind: 'vxlan', below: 'eth1' };
    const over4 = links(link('eth1', 1500), vxlan(1500, { remote: '10.0.0.2' }));
    expect(await valueOf('tunnel-mtu', over4, params)).to.include({
      ...{ device: 'vx42', mtu: 1500, belowMtu: 1500, overhead: 50, needed: 1450, tooLarge: true },
    });
    const fits = links(link('eth1', 1500), vxlan(1450, { remote: '10.0.0.2' }));
    expect(await valueOf('tunnel-mtu', fits, params)).to.include({ tooLarge: false });
    const over6 = links(link('eth1', 1500), vxlan(1450, { remote6: 'fd00::2' }));
    expect(await valueOf('tunnel-mtu', over6, params)).to.include({ overhead: 70, needed: 1430, tooLarge: true });
    const none = links(link('eth1', 1500));
    expect(await valueOf('tunnel-mtu', none, params)).to.have.property('unknown');
  });
});

describe('evidence: reassembly', () => {
  const host = {
    '/proc/net/sockstat': 'sockets: used 9\nFRAG: inuse 14 memory 34000\n',
    '/proc/net/sockstat6': 'FRAG6: inuse 0 memory 0\n',
    '/proc/sys/net/ipv4/ipfrag_high_thresh': '32768\n',
    '/proc/sys/net/ipv4/ipfrag_low_thresh': '16384\n',
    '/proc/sys/net/ipv4/ipfrag_time': '30\n',
    '/proc/sys/net/ipv6/ip6frag_high_thresh': '4194304\n',
    '/proc/sys/net/ipv6/ip6frag_low_thresh': '3145728\n',
    '/proc/sys/net/ipv6/ip6frag_time': '60\n',
    'before /proc/net/snmp': 'Ip: ReasmTimeout ReasmFails\nIp: 1 10\n',
    'after /proc/net/snmp': 'Ip: ReasmTimeout ReasmFails\nIp: 1 25\n',
    'before /proc/net/netstat': 'IpExt: ReasmOverlaps\nIpExt: 0\n',
    'after /proc/net/netstat': 'IpExt: ReasmOverlaps\nIpExt: 4\n',
    'before /proc/net/snmp6': 'Ip6ReasmFails\t2\n',
    'after /proc/net/snmp6': 'Ip6ReasmFails\t2\n',
  };

  it('is full when what waits takes more than the limit, of each IP version its own', async () => {
    expect(await valueOf('reassembly', host, { family: '10.0.0.1' })).to.include({
      ...{ waiting: 14, memory: 34_000, highThresh: 32_768, full: true, timeout: 30 },
      ...{
        failsDelta: 15,
        timeoutsDelta: 0,
        overlapsDelta: 4,
        contradictDelta: 4,
        setting: 'net.ipv4.ipfrag_high_thresh',
      },
      ...{ needed: 4_194_304, raiseLimitCommand: 'sysctl -w net.ipv4.ipfrag_high_thresh=4194304' },
    });
    expect(await valueOf('reassembly', host, { family: 'fd00::1' })).to.include({
      ...{ waiting: 0, full: false, failsDelta: 0, overlapsDelta: null, contradictDelta: 0, timeout: 60 },
    });
  });

  it('is of connection tracking where that gives up more IPv6 datagrams than ever came to IP', async () => {
    const tracked = {
      ...host,
      '/proc/sys/net/netfilter/nf_conntrack_frag6_high_thresh': '4194304\n',
      '/proc/sys/net/netfilter/nf_conntrack_frag6_low_thresh': '3145728\n',
      '/proc/sys/net/netfilter/nf_conntrack_frag6_timeout': '60\n',
      'before /proc/net/snmp6': 'Ip6ReasmTimeout\t0\nIp6ReasmReqds\t0\nIp6ReasmFails\t0\n',
      'after /proc/net/snmp6': 'Ip6ReasmTimeout\t12\nIp6ReasmReqds\t0\nIp6ReasmFails\t12\n',
    };
    expect(await valueOf('reassembly', tracked, { family: '6' })).to.include({
      ...{ by: 'connection tracking', waiting: null, memory: null, full: null, timeout: 60, timeoutsDelta: 12 },
      ...{ setting: 'net.netfilter.nf_conntrack_frag6_high_thresh', contradictDelta: 0 },
    });
    const both = { ...tracked, 'after /proc/net/snmp6': 'Ip6ReasmTimeout\t12\nIp6ReasmReqds\t24\n' };
    expect(await valueOf('reassembly', both, { family: '6' })).to.include({ by: 'ip', waiting: 0, full: false });
  });

  it('is full when the limit is 0, which switches it off', async () => {
    const off = {
      ...host,
      '/proc/sys/net/ipv4/ipfrag_high_thresh': '0\n',
      '/proc/net/sockstat': 'FRAG: inuse 0 memory 0\n',
    };
    expect(await valueOf('reassembly', off, {})).to.include({ full: true });
  });

  it('does not know what was not read before', async () => {
    const late = Object.fromEntries(Object.entries(host).filter(([question]) => question !== 'before /proc/net/snmp'));
    expect(await valueOf('reassembly', late, {})).to.include({ failsDelta: null, timeoutsDelta: null });
  });
});

describe('evidence: protocol-memory', () => {
  const host = {
    '/proc/net/sockstat': 'sockets: used 9\nTCP: inuse 5 orphan 0 tw 0 alloc 6 mem 15\nUDP: inuse 3 mem 1\n',
    '/proc/sys/net/ipv4/tcp_mem': '8\t12\t16\n',
    '/proc/sys/net/ipv4/udp_mem': '100\t200\t300\n',
    'before /proc/net/snmp': 'Udp: MemErrors\nUdp: 4\n',
    'after /proc/net/snmp': 'Udp: MemErrors\nUdp: 4\n',
    'before /proc/net/netstat': 'TcpExt: TCPRcvQDrop TCPMemoryPressures\nTcpExt: 1 0\n',
    'after /proc/net/netstat': 'TcpExt: TCPRcvQDrop TCPMemoryPressures\nTcpExt: 8 2\n',
  };

  it('tells what is used of the three limits, and how often there was none left', async () => {
    expect(await valueOf('protocol-memory', host, { protocol: 'TCP' })).to.deep.include({
      ...{ pages: 15, pressure: 12, limit: 16, values: '8 12 16', needed: '32 48 64', refusedDelta: 9 },
      raiseLimitCommand: "sysctl -w 'net.ipv4.tcp_mem=32 48 64'",
      restoreLimitCommand: "sysctl -w 'net.ipv4.tcp_mem=8 12 16'",
    });
    expect(await valueOf('protocol-memory', host, { protocol: 'UDP' })).to.include({ pages: 1, refusedDelta: 0 });
    const large = { ...host, '/proc/meminfo': 'MemTotal:        1024000 kB\nMemFree:            5 kB\n' };
    expect(await valueOf('protocol-memory', large, {})).to.include({ needed: '12000 16000 24000' });
    expect(await valueOf('protocol-memory', large, { protocol: 'UDP' })).to.include({ needed: '24000 32000 48000' });
  });

  it('is unknown where this namespace does not show the limits', async () => {
    const container = { ...host, '/proc/sys/net/ipv4/tcp_mem': '' };
    expect(await valueOf('protocol-memory', container, {})).to.have.property('unknown');
  });
});

describe('evidence: receive-errors', () => {
  const host = {
    'before /proc/net/snmp': 'Ip: InHdrErrors\nIp: 0\nTcp: InErrs InCsumErrors\nTcp: 3 2\nUdp: InCsumErrors\nUdp: 0\n',
    'after /proc/net/snmp': 'Ip: InHdrErrors\nIp: 6\nTcp: InErrs InCsumErrors\nTcp: 9 7\nUdp: InCsumErrors\nUdp: 4\n',
    'before /proc/net/netstat': 'IpExt: InTruncatedPkts InCsumErrors\nIpExt: 0 0\n',
    'after /proc/net/netstat': 'IpExt: InTruncatedPkts InCsumErrors\nIpExt: 0 6\n',
    'before /proc/net/snmp6': '',
    'after /proc/net/snmp6': 'Udp6InCsumErrors\t3\n',
  };

  it('asks the counter of the checksum that was wrong, of the right IP version', async () => {
    const asked = (reason: string, address = '10.0.0.1') =>
      valueOf('receive-errors', host, { damage: 'checksum', reason, address });
    expect(await asked('TCP_CSUM')).to.include({ counter: 'TcpInCsumErrors', delta: 5, checksum: 'TCP' });
    expect(await asked('UDP_CSUM')).to.include({ counter: 'UdpInCsumErrors', delta: 4 });
    expect(await asked('UDP_CSUM', 'fd00::1')).to.include({ counter: 'Udp6InCsumErrors', delta: 3 });
    expect(await asked('IP_CSUM')).to.include({ counter: 'IpExtInCsumErrors', delta: 6, checksum: 'IP' });
    expect(await asked('SKB_CSUM')).to.include({ covers: false });
    expect(await asked('IP_INHDR', 'fd00::1')).to.include({ covers: false });
  });

  it('goes by the protocol where the kernel gives no reason', async () => {
    const params = { damage: 'checksum', protocol: 'TCP', address: '10.0.0.1' };
    expect(await valueOf('receive-errors', host, params)).to.include({ counter: 'TcpInCsumErrors', delta: 5 });
  });

  it('knows by the function that it was the IP header, and whether the counter accounts for all drops', async () => {
    const params = { damage: 'checksum', protocol: 'UDP', address: '10.0.0.1' };
    expect(
      await valueOf('receive-errors', host, { ...params, function: 'ip_rcv_core.constprop.0', count: 6 }),
    ).to.include({
      ...{ counter: 'IpExtInCsumErrors', covers: true },
    });
    expect(await valueOf('receive-errors', host, { ...params, count: 5 })).to.include({ delta: 4, covers: false });
    expect(await valueOf('receive-errors', host, { ...params, reason: 'NO_SOCKET' })).to.include({ covers: false });
  });

  it('does not take a wrong checksum for a bad header', async () => {
    // Six of each: the same packets.
    const params = { damage: 'header', address: '10.0.0.1' };
    expect(await valueOf('receive-errors', host, params)).to.include({
      counter: 'IpInHdrErrors',
      delta: 0,
      covers: false,
    });
    const bridge = { damage: 'checksum', reason: 'IP_INHDR', address: '10.0.0.1', count: 6 };
    expect(await valueOf('receive-errors', host, bridge)).to.include({ counter: 'IpExtInCsumErrors', covers: true });
  });

  it('of several counters names the one that grew', async () => {
    const params = { damage: 'truncated', address: '10.0.0.1' };
    expect(await valueOf('receive-errors', host, params)).to.include({ counter: 'TcpInErrs', delta: 6, checksum: '' });
  });
});
