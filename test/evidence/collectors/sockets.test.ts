import { expect } from 'chai';
import { COLLECTORS, createRecordedSource, type EvidenceEntry } from '../../../src/evidence/index.js';
import type { EvidenceParams, EvidencePhase } from '../../../src/evidence/types.js';

/** A host's answers, by question; what ss and /proc say is written as they write it. */
class Host {
  #entries: EvidenceEntry[] = [];

  run(question: string, text: string, phase: EvidencePhase = 'after'): this {
    this.#entries.push({ kind: 'run', what: question.split(' '), phase, answer: { status: 'ok', text } });
    return this;
  }

  /** Words that hold blanks themselves. */
  runWords(what: string[], text: string): this {
    this.#entries.push({ kind: 'run', what, phase: 'after', answer: { status: 'ok', text } });
    return this;
  }

  refuses(question: string, why: string): this {
    this.#entries.push({ kind: 'run', what: question.split(' '), phase: 'after', answer: { status: 'failed', why } });
    return this;
  }

  read(path: string, text: string, phase: EvidencePhase = 'after'): this {
    this.#entries.push({ kind: 'read', what: [path], phase, answer: { status: 'ok', text } });
    return this;
  }

  /** A process, as `vdiag:process` tells it. */
  process(pid: number, state: string, cgroup = '/system.slice/web.service'): this {
    const process = { pid, comm: 'web', state, cpus: '0-3', cgroup, threads: [{ tid: pid, comm: 'web', state }] };
    return this.run(`vdiag:process ${pid}`, JSON.stringify(process));
  }

  netstat(counters: Record<string, number>, phase: EvidencePhase): this {
    const names = Object.keys(counters);
    return this.read(
      '/proc/net/netstat',
      `TcpExt: ${names.join(' ')}\nTcpExt: ${Object.values(counters).join(' ')}\n`,
      phase,
    );
  }

  async value(name: string, params: EvidenceParams): Promise<Record<string, unknown>> {
    const fact = await COLLECTORS.get(name)!.collect(createRecordedSource(this.#entries), params);
    if (!fact.known) throw new Error(`${name}: ${fact.why}`);
    expect(Object.keys(COLLECTORS.get(name)!.members), name).to.include.members(Object.keys(fact.value));
    return fact.value;
  }
}

const local = (host: Host, address = '10.0.0.2'): Host =>
  host.run(`ip -j route get ${address}`, `[{"type":"local","dst":"${address}","dev":"lo"}]`);

const LISTENERS = 'ss -H -n -l -t -p -m -O';
const HALF_OPEN = 'ss -H -n -t -O state syn-recv state syn-sent';
const web = (recvQ: number, sendQ: number): string =>
  `LISTEN ${recvQ} ${sendQ} 10.0.0.2:80 0.0.0.0:* users:(("web",pid=7,fd=3)) skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)\n`;

describe('listener', () => {
  const server = (recvQ: number, sendQ: number, state = 'S'): Host =>
    local(new Host())
      .run(LISTENERS, `LISTEN 0 4096 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=2,fd=3))\n${web(recvQ, sendQ)}`)
      .process(7, state)
      .read('/proc/sys/net/core/somaxconn', '4096\n')
      .read('/proc/sys/net/ipv4/tcp_max_syn_backlog', '16\n');

  it('tells the full accept queue, who owns it, what limits it and what would do', async () => {
    const host = server(6, 5)
      .run(HALF_OPEN, '')
      .netstat({ ListenOverflows: 1, ListenDrops: 1 }, 'before')
      .netstat({ ListenOverflows: 10, ListenDrops: 12 }, 'after');
    expect(await host.value('listener', { address: '10.0.0.2' })).to.include({
      ...{ local: true, found: true, port: 80, bound: '10.0.0.2:80', process: 'web', pid: 7, unit: 'web.service' },
      ...{ acceptQueue: 6, backlog: 5, full: true, limitedBy: 'listen()', overflows: 9, drops: 11 },
      ...{ neededBacklog: 128, stopped: false, others: 1, restoreCommand: 'sysctl -w net.core.somaxconn=4096' },
    });
  });

  it('blames somaxconn when the limit is its', async () => {
    const host = local(new Host())
      .run(LISTENERS, web(9, 8))
      .run(HALF_OPEN, '')
      .process(7, 'S')
      .read('/proc/sys/net/core/somaxconn', '8\n');
    const value = await host.value('listener', { address: '10.0.0.2' });
    expect(value).to.include({ limitedBy: 'net.core.somaxconn', somaxconn: 8, overflows: null });
    expect(value.raiseCommand).to.equal('sysctl -w net.core.somaxconn=128');
  });

  it('is full from one more than the limit on, as in the kernel', async () => {
    for (const [queue, full] of [
      [5, false],
      [6, true],
    ] as const) {
      expect(await server(queue, 5).run(HALF_OPEN, '').value('listener', { address: '10.0.0.2' })).to.include({ full });
    }
  });

  it('says how long the oldest connection has waited for accept: one that no process has', async () => {
    const waiting = [
      'ss',
      '-H',
      '-n',
      '-t',
      '-p',
      '-i',
      '-O',
      'state',
      'established',
      'state',
      'close-wait',
      'sport = :80',
    ];
    const host = server(2, 128)
      .run(HALF_OPEN, '')
      .runWords(
        waiting,
        [
          'ESTAB 0 0 10.0.0.2:80 10.0.0.1:1000 users:(("web",pid=7,fd=9)) cubic lastsnd:90000 lastrcv:1',
          'ESTAB 0 0 10.0.0.2:80 10.0.0.1:1001 cubic lastsnd:2500 lastrcv:2500',
          'ESTAB 5 0 10.0.0.2:80 10.0.0.1:1002 cubic lastsnd:400 lastrcv:300',
        ].join('\n'),
      );
    expect(await host.value('listener', { address: '10.0.0.2' })).to.include({ waitingMs: 2500, late: true });
  });

  it('counts half-open connections against three quarters of tcp_max_syn_backlog, without cookies', async () => {
    const halfOpen = Array.from({ length: 13 }, (_, i) => `SYN-RECV 0 0 10.0.0.2:80 10.9.9.9:${1000 + i}`).join('\n');
    const host = server(0, 256)
      .run(HALF_OPEN, `${halfOpen}\nSYN-SENT 0 1 10.0.0.2:80 10.9.9.9:9\n`)
      .read('/proc/sys/net/ipv4/tcp_syncookies', '0\n');
    expect(await host.value('listener', { address: '10.0.0.2' })).to.include({
      ...{ halfOpen: 13, synLimit: 12, synLimitedBy: 'net.ipv4.tcp_max_syn_backlog', halfOpenFull: true },
      restoreSynCommand: 'sysctl -w net.ipv4.tcp_syncookies=0 net.ipv4.tcp_max_syn_backlog=16',
    });
  });

  it('says nothing about an address that is not of this namespace', async () => {
    const host = new Host().run('ip -j route get 10.0.0.9', '[{"dst":"10.0.0.9","dev":"eth0"}]');
    expect(await host.value('listener', { address: '10.0.0.9' })).to.include({ local: false, found: false });
    const away = new Host().refuses('ip -j route get 10.0.0.9', 'RTNETLINK answers: Network is unreachable');
    expect(await away.value('listener', { address: '10.0.0.9' })).to.include({ local: false });
  });
});

describe('stopped-owner', () => {
  const host = (state: string): Host =>
    local(new Host())
      .run(LISTENERS, web(3, 128))
      .run('ss -H -n -a -u -p -m -O', '')
      .run('ss -H -n -t -p -m -i -O src 10.0.0.2 dst 10.0.0.1', '')
      .process(7, state);
  const params = { address: '10.0.0.2', peer: '10.0.0.1' };

  it('finds the process that is stopped while connections wait for it, and how to go on', async () => {
    expect(await host('T').value('stopped-owner', params)).to.include({
      ...{ found: true, pid: 7, process: 'web', unit: 'web.service', port: 80, waiting: 3, what: 'connections' },
      ...{ continueCommand: 'kill -CONT 7', stopCommand: 'kill -STOP 7', stateText: 'stopped' },
    });
  });

  it('has nothing against one that sleeps', async () => {
    expect(await host('S').value('stopped-owner', params)).to.include({ found: false });
  });

  it('offers no signal to one that a debugger holds', async () => {
    expect(await host('t').value('stopped-owner', params)).to.include({ found: true, continueCommand: '' });
  });
});

describe('connection', () => {
  const filter = ['src', '10.0.0.1', 'dst', '10.0.0.2'];
  const host = (line: string): Host =>
    new Host()
      .runWords(['ss', '-H', '-n', '-t', '-a', '-p', '-m', '-i', '-O', ...filter], line)
      .process(8, 'S')
      .read('/proc/sys/net/ipv4/tcp_wmem', '4096\t4096\t8192\n')
      .read('/proc/sys/net/ipv4/tcp_rmem', '4096\t16384\t65536\n');
  const params = { address: '10.0.0.1', peer: '10.0.0.2' };

  it('tells what share of the time its send buffer held it back', async () => {
    const line =
      'ESTAB 0 7000 10.0.0.1:4000 10.0.0.2:80 users:(("app",pid=8,fd=20)) skmem:(r0,rb131072,t0,tb8192,f0,w8000,o0,bl0,d0) cubic mss:1448 cwnd:20 busy:4000ms rwnd_limited:40ms(1.0%) sndbuf_limited:3800ms(95.0%) snd_wnd:65536';
    expect(await host(line).value('connection', { ...params, of: 'sending' })).to.include({
      ...{ found: true, process: 'app', pid: 8, sendBufferLimitedPercent: 95, windowLimitedPercent: 1, busyMs: 4000 },
      ...{ sndbuf: 8192, sndbufMax: 8192, sndbufAtMost: true, couldTake: 28_960, sendBufferLeast: true },
      restoreCommand: 'sysctl -w "net.ipv4.tcp_wmem=4096 4096 8192"',
    });
  });

  it('tells that the send buffer was full by what was under way, where the kernel counted nothing', async () => {
    const line = (acked: number): string =>
      `ESTAB 0 0 10.0.0.1:4000 10.0.0.2:80 users:(("app",pid=8,fd=20)) skmem:(r0,rb131072,t0,tb8192,f0,w0,o0,bl0,d0) cubic rtt:90/2 mss:1448 cwnd:20 bytes_acked:${acked} busy:4000ms snd_wnd:65536 minrtt:30.2`;
    const told = (acked: number): Promise<unknown> =>
      host(line(acked)).value('connection', { ...params, of: 'sending' });
    expect(await told(800_000)).to.include({ sendBufferLimitedPercent: 0, underWay: 6040, sendBufferFilled: true });
    expect(await told(500_000)).to.include({ underWay: 3775, sendBufferFilled: false });
  });

  it('chooses the one with most unread data, and says whether a process has it', async () => {
    const lines = [
      'ESTAB 10 0 10.0.0.1:4000 10.0.0.2:80 users:(("app",pid=8,fd=20)) skmem:(r2304,rb65536,t0,tb8192,f0,w0,o0,bl0,d0)',
      'ESTAB 40000 0 10.0.0.1:4001 10.0.0.2:80 users:(("app",pid=8,fd=21)) skmem:(r60000,rb65536,t0,tb8192,f0,w0,o0,bl0,d0) lastrcv:12',
      'TIME-WAIT 0 0 10.0.0.1:4002 10.0.0.2:80',
    ].join('\n');
    expect(await host(lines).value('connection', params)).to.include({
      ...{ port: 4001, unread: 40_000, receiveFull: true, accepted: true, unreadMs: 12, rcvbufMax: 65_536 },
    });
    expect(await host('').value('connection', params)).to.include({ found: false });
  });
});

describe('local-ports', () => {
  const ports = (lines: string[]): Host =>
    new Host()
      .run('ss -H -n -t -a -p -O dst 10.0.0.2:80', lines.join('\n'))
      .read('/proc/sys/net/ipv4/ip_local_port_range', '40000\t40002\n')
      .read('/proc/sys/net/ipv4/tcp_tw_reuse', '2\n');
  const params = { address: '10.0.0.2', port: 80 };

  it('is exhausted when every port of the range is in use towards that address and port', async () => {
    const held = [40000, 40001, 40002].map((port) => `TIME-WAIT 0 0 10.0.0.1:${port} 10.0.0.2:80`);
    expect(await ports(held).value('local-ports', params)).to.include({
      ...{ exhausted: true, used: 3, size: 3, timeWait: 3, open: 0, holder: 'TIME-WAIT', range: '40000 40002' },
      restoreCommand: 'sysctl -w "net.ipv4.ip_local_port_range=40000 40002"',
    });
    expect(await ports(held.slice(1)).value('local-ports', params)).to.include({ exhausted: false, used: 2 });
  });

  it('names the process that keeps them open', async () => {
    const held = [40000, 40001, 40002, 50000].map(
      (port) => `ESTAB 0 0 10.0.0.1:${port} 10.0.0.2:80 users:(("leak",pid=9,fd=${port - 39000}))`,
    );
    expect(await ports(held).value('local-ports', params)).to.include({ holder: 'leak', pid: 9, used: 3, open: 3 });
  });

  it('asks for an IPv6 peer in brackets', async () => {
    const host = new Host()
      .run('ss -H -n -t -a -p -O dst [fd00::2]:80', '')
      .read('/proc/sys/net/ipv4/ip_local_port_range', '40000\t40002\n');
    expect(await host.value('local-ports', { address: 'fd00::2', port: 80 })).to.include({ used: 0, exhausted: false });
  });
});
