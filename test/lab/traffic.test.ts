import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { runClient } from '../../src/lab/traffic/client.js';
import { pingCommand, readPing } from '../../src/lab/traffic/ping.js';
import type { TrafficPlan } from '../../src/lab/traffic/plan.js';
import { startServer } from '../../src/lab/traffic/server.js';

const PLAN: TrafficPlan = {
  kind: 'tcp-stream',
  from: 'a',
  to: 'b',
  address: '127.0.0.1',
  family: 4,
  port: 0,
  burst: 1,
  count: 5,
  intervalMs: 5,
  timeoutMs: 500,
  maxMs: 5000,
  delayMs: 0,
  bytes: 300_000,
  size: 100,
  server: true,
  stalledReader: false,
};

/** A port of the loopback that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('lab: traffic', () => {
  const kinds: [TrafficPlan['kind'], Partial<TrafficPlan>, object][] = [
    ['tcp-stream', {}, { sent: 1, answered: 1, bytesSent: 300_000 }],
    ['tcp-request-response', {}, { sent: 5, answered: 5, bytesSent: 500, bytesReceived: 500 }],
    ['tcp-connect', {}, { sent: 5, answered: 5 }],
    ['udp-request-response', {}, { sent: 5, answered: 5, bytesSent: 500, bytesReceived: 500 }],
    ['http', { size: 2000 }, { sent: 5, answered: 5, bytesReceived: 10_000 }],
  ];
  for (const [kind, more, expected] of kinds) {
    it(`${kind}: everything that is sent is answered`, async () => {
      const plan = { ...PLAN, kind, port: await freePort(), ...more };
      const server = await startServer(plan);
      const outcome = await runClient(plan);
      const received = await server.stop();
      expect(outcome).to.deep.include(expected).and.to.deep.include({ failures: {}, cutShort: false });
      expect(outcome.roundTripsMs).to.have.length(outcome.answered);
      if (kind === 'tcp-stream') expect(received).to.equal(300_000);
    });

    it(`${kind}: a closed port is refused`, async () => {
      const outcome = await runClient({ ...PLAN, kind, port: await freePort(), ...more, count: 2 });
      expect(outcome.answered).to.equal(0);
      expect(outcome.failures).to.have.property('refused');
      expect(outcome.cutShort).to.equal(false);
    });
  }

  it('cuts a stream short when nobody reads it', async () => {
    const plan = { ...PLAN, port: await freePort(), stalledReader: true, bytes: 50_000_000, maxMs: 300 };
    const server = await startServer(plan);
    const started = performance.now();
    const outcome = await runClient(plan);
    expect(performance.now() - started).to.be.below(2000);
    expect(await server.stop()).to.equal(0);
    expect(outcome).to.include({ cutShort: true, answered: 0 });
  });

  it('counts a request that is not answered in time', async () => {
    const silent: Server = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    for (const kind of ['tcp-request-response', 'http'] as const) {
      const outcome = await runClient({ ...PLAN, kind, port, count: 1, timeoutMs: 100 });
      expect(outcome.failures, kind).to.deep.equal({ timeout: 1 });
    }
    silent.close();
  });

  it('says which port is taken', async () => {
    const plan = { ...PLAN, port: await freePort() };
    const server = await startServer(plan);
    const error = await startServer(plan).catch((reason: NodeJS.ErrnoException) => reason.code);
    expect(error).to.equal('EADDRINUSE');
    await server.stop();
  });

  it('reads what ping prints', () => {
    const text = [
      'PING 10.78.2.2 (10.78.2.2) 64(92) bytes of data.',
      '72 bytes from 10.78.2.2: icmp_seq=1 ttl=63 time=0.312 ms',
      '72 bytes from 10.78.2.2: icmp_seq=1 ttl=63 time=0.400 ms (DUP!)',
      'From 10.78.1.1 icmp_seq=2 Destination Host Unreachable',
      'From 10.78.1.1 icmp_seq=3 Frag needed and DF set (mtu = 1300)',
      '',
      '--- 10.78.2.2 ping statistics ---',
      '5 packets transmitted, 1 received, +2 errors, 80% packet loss, time 2043ms',
    ].join('\n');
    const plan = { ...PLAN, kind: 'ping' as const };
    expect(readPing(text, plan)).to.deep.include({
      sent: 5,
      answered: 1,
      roundTripsMs: [0.312],
      failures: { 'destination host unreachable': 1, 'frag needed and df set': 1, timeout: 2 },
    });
  });

  it('asks ping for no more than fits into the time', () => {
    const plan = { ...PLAN, kind: 'ping' as const, count: 100, intervalMs: 200, timeoutMs: 1000, maxMs: 3000 };
    expect(pingCommand(plan).join(' ')).to.equal('ping -4 -n -c 11 -i 0.2 -s 100 -W 1 127.0.0.1');
  });
});
