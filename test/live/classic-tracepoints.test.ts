import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { openTrace } from '../../src/bpf/trace-session.js';
import { inNamespace, ip, TestNetwork } from '../support/network-namespaces.js';
import { type RingRecord, readRing } from '../support/ring-records.js';

const SYN_SENT = 2;

/** Runs in a mount namespace of its own, so that tracefs can be mounted without a trace: prints what was attached and seen. */
const CLASSIC = `
import { execFileSync } from 'node:child_process';
import { openTrace } from './src/bpf/trace-session.js';
import { openTracefs } from './src/bpf/tracefs.js';
import { kernelSupport } from './src/bpf/support.js';
import { placesIn } from './src/bpf/tracepoint-format.js';
import { readRing } from './test/support/ring-records.js';
const points = [
  ['net:netif_receive_skb', 'skb', ['skb']],
  ['net:net_dev_queue', 'skb', ['skb']],
  ['net:net_dev_xmit', 'xmit', ['skb', 'rc', 'dev', 'len']],
  ['skb:consume_skb', 'free', ['skb']],
  ['skb:kfree_skb', 'drop', ['skb', 'location', 'reason']],
  ['sock:inet_sock_set_state', 'socket', ['sk', 'old', 'new']],
];
const tracefs = openTracefs();
const requests = points.map(([target, program, names], index) => ({
  index, program, target, backend: 'tracepoint', args: {}, nargs: 0, wantReturn: false,
  fields: placesIn(tracefs.fields(target), names),
}));
const session = openTrace({ requests, filter: { dst: '10.194.0.2' }, ringBytes: 1 << 20 });
execFileSync('sh', ['-c', 'ping -q -c1 -W2 10.194.0.2; busybox nc -w1 10.194.0.2 99 </dev/null; true'], { stdio: 'ignore' });
session.detach();
const records = readRing(session).map((record) => ({ ...record, target: points[record.probe][0] }));
console.log(JSON.stringify({ ability: kernelSupport().tracepoint, failed: session.failed, records }));
session.close();
`;

describe('classic tracepoints and states of sockets, live', function () {
  this.timeout(60_000);
  const network = new TestNetwork('vd-o-');
  afterEach(() => network.remove());

  function connected(): { a: string; b: string } {
    const [a, b] = ['a', 'b'].map((name) => network.add(name));
    network.veth([a, 'eth0', '10.194.0.1/24'], [b, 'eth1', '10.194.0.2/24']);
    return { a, b };
  }

  it('follows packets by the records of classic tracepoints, with device, result, reason and location', () => {
    const { a, b } = connected();
    const text = execFileSync(
      'ip',
      [
        ...['netns', 'exec', a, 'sh', '-c'],
        'mount -t tracefs none /sys/kernel/tracing && exec node --import=tsx --input-type=module -e "$JOB"',
      ],
      { encoding: 'utf8', env: { ...process.env, JOB: CLASSIC } },
    );
    const seen = JSON.parse(text) as {
      ability: object;
      failed: object[];
      records: (RingRecord & { target: string })[];
    };
    expect(seen.ability).to.deep.equal({ ok: true });
    expect(seen.failed).to.deep.equal([]);
    const request = seen.records.find(({ outer }) => outer?.icmpType === 8)!;
    const path = seen.records.filter((record) => record.path === request.path);
    expect(path.map(({ target }) => target).slice(0, 2)).to.deep.equal(['net:net_dev_queue', 'net:net_dev_xmit']);
    expect(path[1]).to.deep.include({ dev: 'eth0', len: 98, ret: 0, netns: network.inode(a) });
    expect(path.find(({ target }) => target === 'net:netif_receive_skb')).to.deep.include({
      ...{ dev: 'eth1', netns: network.inode(b) },
    });
    const drop = seen.records.find(({ target }) => target === 'skb:kfree_skb')!;
    expect(drop.flags).to.include.members(['FREED', 'DROPPED']);
    expect(drop.ret).to.be.greaterThan(1);
    expect(drop.aux).to.be.greaterThan(0);
    const states = seen.records.filter(({ target }) => target === 'sock:inet_sock_set_state');
    expect(states.map(({ a: from, b: to }) => [from, to])).to.deep.include([7, SYN_SENT]);
  });

  it('tells the state of a socket that sends its SYN again, and of one that is refused', () => {
    const { a } = connected();
    ip('-n', a, 'neigh', 'add', '10.194.0.9', 'lladdr', '02:00:00:00:00:09', 'dev', 'eth0');
    const socket = { program: 'socket', backend: 'raw-tracepoint', nargs: 2, wantReturn: false } as const;
    const session = openTrace({
      requests: [
        { ...socket, index: 0, target: 'tcp:tcp_retransmit_skb', args: { sk: 0, skb: 1 } },
        { ...socket, index: 1, target: 'tcp:tcp_receive_reset', args: { sk: 0 }, nargs: 1 },
      ],
      filter: { src: '10.194.0.1' },
      ringBytes: 1 << 20,
    });
    try {
      expect(session.failed).to.deep.equal([]);
      inNamespace(
        a,
        'sh',
        '-c',
        'busybox nc -w2 10.194.0.9 99 </dev/null; busybox nc -w1 10.194.0.2 99 </dev/null; true',
      );
      session.detach();
      const seen = readRing(session);
      for (const [probe, dst] of [
        [0, '10.194.0.9'],
        [1, '10.194.0.2'],
      ] as const) {
        const record = seen.find((one) => one.probe === probe);
        expect(record, `probe ${probe}`).to.deep.include({ kind: 'SOCKET', a: SYN_SENT, b: SYN_SENT });
        expect(record?.socket?.dst).to.equal(dst);
      }
    } finally {
      session.close();
    }
  });
});
