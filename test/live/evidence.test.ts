import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { expect } from 'chai';
import {
  COLLECTORS,
  createLiveSource,
  createRecordingSource,
  snapshotBefore,
  type RecordingSource,
} from '../../src/evidence/index.js';
import type { EvidenceParams } from '../../src/evidence/types.js';

// Two namespaces, joined by a veth pair; names are this process's own, so that runs do not meet.
const suffix = process.pid.toString(36);
const A = `vge-a-${suffix}`;
const B = `vge-b-${suffix}`;
const run = (...argv: string[]): string =>
  execFileSync(argv[0], argv.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const inA = (...argv: string[]): string => run('ip', 'netns', 'exec', A, ...argv);
const inB = (...argv: string[]): string => run('ip', 'netns', 'exec', B, ...argv);
/** Runs a command that a fact suggested, as a user would: in a shell. */
const paste = (command: unknown): string => run('sh', '-c', String(command));
const inode = (name: string): number => statSync(`/run/netns/${name}`).ino;

async function value(source: RecordingSource, name: string, params: EvidenceParams): Promise<Record<string, unknown>> {
  const fact = await COLLECTORS.get(name)!.collect(source, params);
  if (!fact.known) throw new Error(`${name}: ${fact.why}`);
  return fact.value;
}

/** Sends UDP datagrams from A to B's port. */
function send(port: number, count: number, size = 100): void {
  const script = `
    import socket
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i in range(${count}):
        try: u.sendto(b'x' * ${size}, ('10.93.7.2', ${port}))
        except OSError: pass
  `.replace(/^ {4}/gm, '');
  inA('python3', '-c', script);
}

/** What a run sees: counters before, then the traffic. */
async function observe(names: string[], traffic: () => void): Promise<RecordingSource> {
  const source = createRecordingSource(createLiveSource());
  await snapshotBefore(source, names, [inode(A), inode(B)]);
  source.closeBefore();
  traffic();
  return source;
}

describe('evidence, live', function () {
  this.timeout(60_000);
  const children: ChildProcess[] = [];

  before(() => {
    for (const name of [A, B]) {
      run('ip', 'netns', 'add', name);
      run('ip', '-n', name, 'link', 'set', 'lo', 'up');
    }
    run('ip', '-n', A, 'link', 'add', 'vge0', 'type', 'veth', 'peer', 'name', 'vge1', 'netns', B);
    run('ip', '-n', A, 'addr', 'add', '10.93.7.1/24', 'dev', 'vge0');
    run('ip', '-n', B, 'addr', 'add', '10.93.7.2/24', 'dev', 'vge1');
    run('ip', '-n', A, 'link', 'set', 'vge0', 'up');
    run('ip', '-n', B, 'link', 'set', 'vge1', 'up');
    inA('ping', '-c1', '-W2', '10.93.7.2');
  });

  after(() => {
    for (const child of children) child.kill('SIGKILL');
    for (const name of [A, B]) run('ip', 'netns', 'del', name);
  });

  it('names a token bucket, what it dropped, and commands that change and restore it', async () => {
    inA('tc', 'qdisc', 'add', 'dev', 'vge0', 'root', 'tbf', 'rate', '700kbit', 'burst', '4kb', 'limit', '20kb');
    const configured = (): string => inA('tc', 'qdisc', 'show', 'dev', 'vge0').replace(/qdisc tbf \S+/, '');
    const original = configured();
    const source = await observe(['qdisc'], () => send(9, 100, 1000));
    const tbf = await value(source, 'qdisc', { netns: inode(A), device: 'vge0', seconds: 1 });
    expect(tbf).to.include({
      kind: 'tbf',
      rate: '700kbit',
      burst: '4kb',
      mechanism: 'rate',
      configured: 'tbf rate 700kbit burst 4kb limit 20kb',
    });
    expect(tbf.dropsDelta).to.be.within(50, 99);
    // What still lies in its queue of 20 kB is not counted.
    expect(tbf.offeredBits).to.be.within(100 * 1042 * 8 - 180_000, 100 * 1042 * 8 + 50_000);
    paste(tbf.changeCommand);
    expect(configured()).to.contain('rate 10Mbit');
    paste(tbf.restoreCommand);
    expect(configured()).to.equal(original);
    paste(tbf.removeCommand);
    expect(configured()).to.contain('noqueue');
  });

  for (const [backend, port, add] of [
    [
      'iptables-legacy',
      5301,
      ['iptables-legacy', '-A', 'INPUT', '-p', 'udp', '-m', 'comment', '--comment', 'a "b" $(c)', '-j', 'DROP'],
    ],
    ['iptables-nft', 5302, ['iptables-nft', '-A', 'INPUT', '-p', 'udp', '--dport', '5302', '-j', 'DROP']],
    [
      'nft',
      5303,
      [
        'nft',
        'add table inet vg; add chain inet vg in { type filter hook input priority 0; }; add rule inet vg in udp dport 5303 counter drop',
      ],
    ],
  ] as const) {
    it(`names the rule of ${backend} that drops, removes it and puts it back as it was`, async () => {
      inB(...add);
      const list = (): string =>
        inB(backend === 'nft' ? 'nft' : `${backend}-save`, ...(backend === 'nft' ? ['list', 'ruleset'] : [])).replace(
          /^#.*$|\[\d+:\d+\]|packets \d+ bytes \d+/gm,
          '',
        );
      const original = list();
      const source = await observe(['firewall-rule'], () => send(port, 7));
      const flow = { src: '10.93.7.1', dst: '10.93.7.2', proto: 'UDP', dport: port };
      const rule = await value(source, 'firewall-rule', { netns: inode(B), hook: 'INPUT', ...flow });
      expect(rule).to.include({ found: true, backend, verdict: 'DROP', counterDelta: 7, number: 1, fit: 'yes' });
      paste(rule.deleteCommand);
      expect(list()).to.not.equal(original);
      paste(rule.restoreCommand);
      expect(list()).to.equal(original);
      const again = await observe(['firewall-rule'], () => send(port, 3));
      const restored = await value(again, 'firewall-rule', { netns: inode(B), hook: 'INPUT', ...flow });
      expect(restored).to.include({ found: true, counterDelta: 3 });
      paste(restored.insertAcceptCommand || restored.acceptCommand);
      const accepted = await observe(['firewall-rule'], () => send(port, 5));
      const now = await value(accepted, 'firewall-rule', { netns: inode(B), hook: 'INPUT', ...flow });
      expect(now, JSON.stringify([restored.insertAcceptCommand, now])).to.include({
        found: false,
      });
      if (restored.removeAcceptCommand) {
        paste(restored.removeAcceptCommand);
        expect(list()).to.equal(original);
      }
      if (backend === 'nft') inB('nft', 'delete', 'table', 'inet', 'vg');
      else inB(backend, '-F', 'INPUT');
    });
  }

  it('leaves a namespace without legacy tables without them', async () => {
    await observe(['firewall-rule'], () => undefined);
    expect(inA('cat', '/proc/net/ip_tables_names')).to.equal('');
  });

  it('counts what an unread socket drops, and who has it', async () => {
    const script = `
import socket, time
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); u.bind(('0.0.0.0', 5500))
print('ready', flush=True); time.sleep(60)`;
    const child = spawn('ip', ['netns', 'exec', B, 'python3', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout!, 'data');
    const source = await observe(['socket', 'snmp'], () => send(5500, 40, 400));
    const socket = await value(source, 'socket', {
      netns: inode(B),
      protocol: 'UDP',
      address: '10.93.7.2',
      port: 5500,
    });
    expect(socket).to.include({ listens: true, receiveFull: true, process: 'python3', pid: child.pid });
    expect(socket.dropsDelta).to.be.within(20, 39);
    expect((await value(source, 'snmp', { netns: inode(B), counter: 'UdpRcvbufErrors' })).delta).to.equal(
      socket.dropsDelta,
    );
    expect(await value(source, 'socket', { netns: inode(A), protocol: 'UDP', port: 5500 })).to.include({
      listens: false,
    });
  });

  it("reads a namespace's own settings, devices and routes, not the host's", async () => {
    inA('sysctl', '-qw', 'net.ipv4.ip_forward=1');
    run('ip', '-n', A, 'route', 'add', 'blackhole', '10.94.0.0/16');
    const source = await observe(['link'], () => undefined);
    expect(await value(source, 'sysctl', { netns: inode(A), name: 'ip_forward' })).to.include({ value: 1 });
    expect(await value(source, 'sysctl', { netns: inode(B), name: 'ip_forward' })).to.include({ value: 0 });
    expect(await value(source, 'link', { netns: inode(A), device: 'vge0' })).to.include({
      exists: true,
      kind: 'veth',
      up: true,
    });
    expect(await value(source, 'link', { device: 'vge0' })).to.include({ exists: false });
    const route = await value(source, 'route', { netns: inode(A), dst: '10.94.1.1' });
    expect(route).to.include({ type: 'blackhole', rejecting: 'blackhole 10.94.0.0/16' });
    paste(route.removeCommand);
    expect(inA('ip', 'route')).to.not.contain('blackhole');
    paste(route.restoreCommand);
    expect(inA('ip', 'route')).to.contain('blackhole 10.94.0.0/16');
  });

  it('finds the process that holds a tap, and that it is stopped', async () => {
    const script = `
import os, fcntl, struct, time
f = os.open('/dev/net/tun', os.O_RDWR); fcntl.ioctl(f, 0x400454ca, struct.pack('16sH14s', b'vgetap0', 0x1002, b''))
print('ready', flush=True); time.sleep(60)`;
    const child = spawn('ip', ['netns', 'exec', A, 'python3', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout!, 'data');
    const source = await observe(['tap-owner', 'schedstat'], () => process.kill(child.pid!, 'SIGSTOP'));
    const owner = await value(source, 'tap-owner', { netns: inode(A), device: 'vgetap0' });
    expect(owner).to.include({ pid: child.pid, comm: 'python3', stopped: true, state: 'T' });
    expect((await value(source, 'schedstat', { pid: child.pid! })).runDelayDeltaMs).to.be.at.least(0);
    paste(owner.continueCommand);
    expect(await value(await observe([], () => undefined), 'tap-owner', { device: 'vgetap0' })).to.include({
      stopped: false,
    });
  });

  it('enters a namespace without a name through a process in it, and says when it is gone', async () => {
    const child = spawn('unshare', ['-n', 'sh', '-c', 'echo ready; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    await once(child.stdout!, 'data');
    const netns = statSync(`/proc/${child.pid}/ns/net`).ino;
    const source = createLiveSource();
    const answer = await source.run(['ip', '-j', 'link', 'show'], { netns, phase: 'after' });
    expect(
      answer.status === 'ok' &&
        (JSON.parse(answer.text) as { ifname: string }[]).some(({ ifname }) => ifname === 'eth0'),
    ).to.equal(false);
    expect(await source.list('/proc/sys/net/ipv4/conf', { netns, phase: 'after' })).to.deep.equal({
      status: 'ok',
      text: expectedConf(child.pid!).trimEnd(),
    });
    const fact = await COLLECTORS.get('link')!.collect(createRecordingSource(createLiveSource()), {
      netns,
      device: 'lo',
    });
    expect(fact.source).to.equal(`nsenter --net=/proc/${child.pid}/ns/net ip -s -d link show dev lo`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const gone = await COLLECTORS.get('link')!.collect(createRecordingSource(createLiveSource()), {
      netns,
      device: 'lo',
    });
    expect(gone.known === false && gone.why).to.contain(`network namespace ${netns} is gone`);
  });

  it('keeps no namespace alive and no file open', async () => {
    const fds = (): number => readdirSync('/proc/self/fd').length;
    const source = createLiveSource();
    await source.run(['ip', 'link', 'show'], { netns: inode(A), phase: 'after' });
    const open = fds();
    for (let i = 0; i < 20; i++) await source.run(['ip', 'link', 'show'], { netns: inode(A), phase: 'after' });
    expect(fds()).to.equal(open);
  });
});

/** The devices of a fresh namespace, as its own process sees them. */
function expectedConf(pid: number): string {
  return run('nsenter', `--net=/proc/${pid}/ns/net`, 'ls', '-1A', '/proc/sys/net/ipv4/conf');
}
