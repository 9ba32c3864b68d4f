import { expect } from 'chai';
import { COLLECTORS } from '../../../src/evidence/index.js';
import type { EvidenceParams } from '../../../src/evidence/types.js';
import { sampleSource } from '../samples.js';
import { SAMPLE_QUESTIONS } from '../sample-questions.js';

async function value(name: string, params: EvidenceParams, source = sampleSource()): Promise<Record<string, unknown>> {
  const fact = await COLLECTORS.get(name)!.collect(source, params);
  if (!fact.known) throw new Error(`${name}: ${fact.why}`);
  return fact.value;
}

async function why(name: string, params: EvidenceParams): Promise<string> {
  const fact = await COLLECTORS.get(name)!.collect(sampleSource(), params);
  if (fact.known) throw new Error(`${name} is known: ${fact.text}`);
  return fact.why;
}

describe('collectors on real answers', () => {
  it('document every member they give', async () => {
    for (const { collector, netns, params } of SAMPLE_QUESTIONS) {
      const fact = await COLLECTORS.get(collector)!.collect(sampleSource(), { ...params, ...(netns ? { netns } : {}) });
      if (fact.known)
        expect(Object.keys(COLLECTORS.get(collector)!.members), collector).to.include.members(Object.keys(fact.value));
    }
  });

  it('qdisc: the limit, what it did, and how to change and restore it', async () => {
    const tbf = await value('qdisc', { netns: 3, device: 'gpa', seconds: 3 });
    expect(tbf).to.include({ kind: 'tbf', shaping: true, mechanism: 'rate', rate: '700kbit', burst: '4kb' });
    expect(tbf.dropsDelta).to.be.greaterThan(0);
    expect(tbf.text).to.equal('tbf on gpa: rate 700kbit burst 4kb limit 100kb');
    expect(tbf.restoreCommand).to.equal(
      'ip netns exec gcr tc qdisc replace dev gpa root tbf rate 700kbit burst 4kb limit 100kb',
    );
    expect(tbf.changeCommand).to.equal(
      'ip netns exec gcr tc qdisc change dev gpa root tbf rate 10mbit burst 32kb latency 50ms',
    );
  });

  it('qdisc: without the counters of before a delta is unknown, not zero', async () => {
    const source = sampleSource((entry) => (entry.phase === 'before' ? undefined : entry));
    const tbf = await value('qdisc', { netns: 3, device: 'gpa', seconds: 3 }, source);
    expect(tbf).to.include({ dropsDelta: null, offeredBits: null, rate: '700kbit' });
  });

  it('qdisc: the class of htb that holds packets back', async () => {
    const htb = await value('qdisc', { netns: 3, device: 'gpb' });
    expect(htb).to.include({ kind: 'htb', class: '1:10', rate: '500kbit', mechanism: 'rate' });
    expect(htb.changeCommand).to.match(/tc class change dev gpb parent 1:1 classid 1:10 htb rate 300kbit ceil 5mbit$/);
  });

  it('qdisc: a queue without a limit shapes nothing', async () => {
    expect(await value('qdisc', { netns: 3, device: 'gtap0' })).to.include({
      shaping: false,
      mechanism: '',
      changeCommand: '',
    });
    expect(await why('qdisc', { netns: 3, device: 'nosuch0' })).to.contain('not in this network namespace');
    expect(await why('qdisc', { netns: 3, device: '-h' })).to.contain('no device');
  });

  it('link: a port that is isolated, a tap, a tunnel, and a device that is not there', async () => {
    expect(await value('link', { netns: 3, device: 'gpb' })).to.include({
      portState: 'forwarding',
      isolated: true,
      master: 'gbr0',
    });
    expect(await value('link', { netns: 3, device: 'gtap0' })).to.include({ kind: 'tap', isolated: false, up: true });
    expect(await value('link', { netns: 3, device: 'gvx0' })).to.include({
      kind: 'vxlan',
      vxlanId: 42,
      vxlanPort: 4789,
      mtu: 1450,
    });
    expect(await value('link', { netns: 3, device: 'gdown0' })).to.include({ up: false, portState: '' });
    expect(await value('link', { netns: 3, device: 'nosuch0' })).to.include({ exists: false });
  });

  it('socket: a full accept queue, an unread receive buffer, a port served on loopback only', async () => {
    const listener = await value('socket', { netns: 2, protocol: 'TCP', address: '10.92.0.2', port: 7100 });
    expect(listener).to.include({
      listens: true,
      process: 'python3',
      acceptQueue: 2,
      backlogMax: 1,
      backlogFull: true,
    });
    const unread = await value('socket', { netns: 2, protocol: 'UDP', address: '10.92.0.2', port: 5500 });
    expect(unread).to.include({ receiveFull: true, rmem: 7680, rcvbuf: 8192, wildcard: true, dropsDelta: 14 });
    const elsewhere = await value('socket', { netns: 2, protocol: 'TCP', address: '10.92.0.2', port: 7200 });
    expect(elsewhere).to.include({ listens: false, elsewhere: '127.0.0.1:7200' });
    expect(await value('socket', { netns: 2, protocol: 6, address: '10.92.0.2', port: 7300 })).to.include({
      listens: true,
      local: '*:7300',
    });
    expect(await value('socket', { netns: 2, protocol: 'TCP', address: '10.92.0.2', port: 7555 })).to.include({
      listens: false,
      exists: false,
    });
    expect(await why('socket', { netns: 2, protocol: 'ICMP', port: 1 })).to.contain('only TCP and UDP');
  });

  it('socket: the connection with a peer, and still whether the port is served', async () => {
    const one = await value('socket', {
      netns: 2,
      protocol: 'TCP',
      address: '10.92.0.2',
      port: 7100,
      peer: '10.92.0.1',
    });
    expect(one).to.include({ state: 'ESTAB', listens: true, acceptQueue: null });
    expect(one.cwnd).to.be.greaterThan(0);
  });

  for (const [dst, expected] of [
    ['10.99.1.1', { type: 'blackhole', found: false, rejecting: 'blackhole 10.99.1.0/24' }],
    ['10.99.2.1', { type: 'unreachable', rejecting: 'unreachable 10.99.2.0/24' }],
    ['10.99.3.1', { type: 'prohibit', rejecting: 'prohibit 10.99.3.0/24' }],
    ['10.98.0.1', { type: 'prohibit', rule: '32765: from all to 10.98.0.0/16 prohibit' }],
    ['10.99.4.1', { type: 'unicast', gateway: '10.92.0.254', device: 'eth0', mtu: 1500, found: true }],
    ['10.99.5.1', { type: 'unicast', mtu: 1300 }],
    ['8.8.8.8', { type: 'none', error: 'Network is unreachable', removeCommand: '' }],
    ['2001:db8::1', { type: 'none' }],
    ['10.92.0.2', { type: 'local' }],
  ] as const) {
    it(`route: ${dst} is ${expected.type}`, async () => {
      expect(await value('route', { netns: 2, dst })).to.include(expected);
    });
  }

  it('route: of a packet to be passed on, with forwarding off', async () => {
    const value_ = await value('route', { netns: 2, dst: '10.99.4.1', src: '10.92.0.1', iif: 'eth0' });
    expect(value_).to.include({ type: 'not-forwarded', forwarding: false });
  });

  it("route: of this host's own packet the device it leaves by is not taken for one it came in by", async () => {
    expect(await value('route', { netns: 2, dst: '10.92.0.1', src: '10.92.0.2', iif: 'eth0' })).to.include({
      type: 'unicast',
      device: 'eth0',
    });
  });

  it('neighbour: set by hand, not answering, answered for by this host, and beyond a gateway', async () => {
    expect(await value('neighbour', { netns: 2, address: '10.92.0.66' })).to.include({
      state: 'PERMANENT',
      resolved: true,
    });
    expect(await value('neighbour', { netns: 2, address: '10.92.0.67' })).to.include({
      failed: true,
      resolved: false,
      lladdr: '',
    });
    expect(await value('neighbour', { netns: 2, address: '10.92.0.68' })).to.include({ exists: false, proxied: true });
    expect(await value('neighbour', { netns: 2, address: '10.99.4.1' })).to.include({
      address: '10.92.0.254',
      state: 'REACHABLE',
    });
    expect(await why('neighbour', { netns: 2, address: '; reboot' })).to.contain('not an IP address');
  });

  it('tap-owner: the process that holds the tap, and that it is stopped', async () => {
    const owner = await value('tap-owner', { netns: 3, device: 'gtap0' });
    expect(owner).to.include({ found: true, comm: 'python3', state: 'T', stopped: true });
    expect(owner.continueCommand).to.equal(`kill -CONT ${String(owner.pid)}`);
    expect(await value('tap-owner', { netns: 3, device: 'gtap9' })).to.include({ found: false, pid: 0 });
  });

  it('schedstat and process: of a process that holds a tap there is a before', async () => {
    const { pid } = (await value('tap-owner', { device: 'gtap0' })) as { pid: number };
    const threads = await value('schedstat', { pid, seconds: 3 });
    expect(threads.runDelayDeltaMs).to.be.at.least(0);
    expect(await value('process', { pid })).to.include({ stopped: true, guest: '' });
  });

  it('snmp: counters of all three files', async () => {
    expect((await value('snmp', { netns: 2, counter: 'UdpRcvbufErrors' })).delta).to.equal(14);
    expect((await value('snmp', { netns: 2, counter: 'TcpExtListenOverflows', seconds: 2 })).perSecond).to.equal(2);
    expect((await value('snmp', { netns: 2, counter: 'Ip6InReceives' })).delta).to.be.greaterThan(0);
    expect(await why('snmp', { netns: 2, counter: 'UdpNoSuchThing' })).to.contain('no counter UdpNoSuchThing');
  });

  it('sysctl: of a device as the kernel joins it, of the host, and of several numbers', async () => {
    expect(await value('sysctl', { netns: 2, name: 'net.ipv4.conf.*.rp_filter', device: 'eth0' })).to.include({
      value: 0,
      joined: 'max',
    });
    expect(await value('sysctl', { netns: 2, name: 'ip_forward' })).to.include({
      name: 'net.ipv4.ip_forward',
      value: 0,
    });
    expect((await value('sysctl', { netns: 2, name: 'tcp_rmem' })).values).to.have.length(3);
    const source = sampleSource((entry) =>
      entry.what[0] === '/proc/sys/net/ipv4/conf/all/rp_filter'
        ? { ...entry, answer: { status: 'ok', text: '1\n' } }
        : entry,
    );
    expect(await value('sysctl', { netns: 2, name: 'rp_filter', device: 'eth0' }, source)).to.include({
      value: 1,
      all: 1,
      own: 0,
    });
    expect(await why('sysctl', { name: '../../etc/passwd' })).to.contain('not the name of a setting');
  });

  it('conntrack, softnet, interrupts, softirqs, cpu and pressure compare with before', async () => {
    expect(await value('conntrack', { netns: 2 })).to.include({ dropDelta: 0, full: false });
    expect(await value('softnet', {})).to.include({ droppedDelta: 0, maxBacklog: 1000 });
    for (const name of ['interrupts', 'softirqs']) expect((await value(name, {})).total, name).to.be.greaterThan(0);
    expect((await value('cpu', {})).busy).to.be.within(0, 1);
    expect((await value('pressure', { seconds: 5 })).someShare).to.be.within(0, 1);
  });

  it('conntrack: a full table', async () => {
    const source = sampleSource((entry) =>
      entry.what[0].endsWith('nf_conntrack_max') ? { ...entry, answer: { status: 'ok', text: '7\n' } } : entry,
    );
    expect(await value('conntrack', { netns: 2 }, source)).to.include({ full: true, usage: 1, suggestedMax: 28 });
  });

  it('say which package a missing tool is in', async () => {
    expect(await why('ovs', {})).to.contain('openvswitch-switch');
  });
});
