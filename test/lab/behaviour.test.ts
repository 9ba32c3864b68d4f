import { createServer } from 'node:net';
import { expect } from 'chai';
import { planBehaviour } from '../../src/lab/traffic/behaviour.js';
import { runClient } from '../../src/lab/traffic/client.js';
import type { TrafficPlan } from '../../src/lab/traffic/plan.js';
import { planTraffic } from '../../src/lab/traffic/plan.js';
import { startServer } from '../../src/lab/traffic/server.js';
import type { Endpoint, Traffic } from '../../src/lab/types.js';

const HERE: Endpoint = {
  ...{ name: 'b', namespace: 'b', device: 'lo', address: '127.0.0.1', address6: '::1', port: 'lo', portNamespace: 'b' },
};

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function plan(traffic: Partial<Traffic>): Promise<TrafficPlan> {
  const all: Traffic = {
    ...{ from: 'b', to: 'b', kind: 'tcp-connect', count: 3, interval: '5ms', timeout: '500ms', max: '5s' },
    port: await freePort(),
    ...traffic,
  };
  return planTraffic(all, { b: HERE }, 0);
}

describe('lab: servers that behave badly', () => {
  it('reads what a fault says, templates filled in as text', () => {
    expect(planBehaviour({ backlog: '7', busyEach: '200ms', receiveBuffer: '8KiB', stopAfter: '0' })).to.deep.equal({
      ...{ backlog: 7, busyMs: 0, busyEachMs: 200, stopAfter: 0, readEveryMs: 0, receiveBuffer: 8192 },
    });
  });

  it('refuses what is more than a lab may do', () => {
    for (const [behaviour, why] of [
      [{ backlog: 100_000 }, /backlog/],
      [{ busy: '10m' }, /busy/],
      [{ reset: 'politely' }, /politely/],
      [{ receiveBuffer: '100MiB' }, /receiveBuffer/],
    ] as const) {
      expect(() => planBehaviour(behaviour)).to.throw(why);
    }
  });

  it('bound elsewhere: the address that clients ask for is closed', async () => {
    const bound = await plan({ server: true, behaviour: { bind: '127.0.0.2' } });
    const server = await startServer(bound);
    expect((await runClient(bound)).failures).to.deep.equal({ refused: 3 });
    expect((await runClient({ ...bound, address: '127.0.0.2' })).answered).to.equal(3);
    await server.stop();
  });

  for (const reset of ['abort', 'unread']) {
    it(`reset ${reset}: requests end in a reset`, async () => {
      const resets = await plan({ kind: 'http', behaviour: { reset }, timeout: '2s' });
      const server = await startServer(resets);
      const outcome = await runClient(resets);
      await server.stop();
      expect(outcome.failures).to.deep.equal({ reset: 3 });
    });
  }

  it('one that forgets: what worked is reset by the kernel when it is used again', async () => {
    const forgets = await plan({
      kind: 'tcp-request-response',
      behaviour: { forgetAfter: 2 },
      count: 9,
      interval: '150ms',
    });
    const server = await startServer(forgets);
    const outcome = await runClient(forgets);
    await server.stop();
    expect(outcome).to.deep.include({ sent: 3, answered: 2, failures: { reset: 1 } });
  });

  it('a client that keeps its connections leaves them open', async () => {
    const keeps = await plan({ server: true, keep: true });
    const server = await startServer(keeps);
    const kept: { destroyed?: boolean; destroy(): unknown }[] = [];
    expect((await runClient(keeps, kept)).answered).to.equal(3);
    expect(kept.map(({ destroyed }) => destroyed)).to.deep.equal([false, false, false]);
    for (const socket of kept) socket.destroy();
    await server.stop();
  });

  it('one that reads slowly takes a piece at a time', async () => {
    const slow = await plan({ kind: 'tcp-stream', bytes: '20MB', max: '1s', behaviour: { readEvery: '200ms' } });
    const server = await startServer(slow);
    const outcome = await runClient(slow);
    const received = await server.stop();
    expect(outcome.cutShort).to.equal(true);
    expect(received).to.be.greaterThan(0).and.below(1_000_000);
  });
});
