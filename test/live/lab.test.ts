import { spawn } from 'node:child_process';
import { expect } from 'chai';
import { execa } from 'execa';
import {
  chooseVariant,
  injectFault,
  labDown,
  labDownAll,
  labUp,
  listLabs,
  loadFault,
  loadTopology,
  missingNeeds,
  needsOf,
  runTraffic,
  topologyIds,
  topologyOf,
} from '../../src/lab/index.js';
import type { Fault, Lab, Traffic, TrafficResult } from '../../src/lab/index.js';
import { skipBecause } from '../support/skip.js';

const ID = 'live-lab-test';

const betweenHosts: Traffic[] = [
  { from: 'b', to: 'a', kind: 'ping', count: 3, interval: '50ms', family: 6 },
  { from: 'a', to: 'b', kind: 'tcp-stream', bytes: '300KB', family: 6 },
  { from: 'b', to: 'a', kind: 'udp-request-response', count: 3 },
];
/** A guest behind a tap is a process that answers: echo requests and datagrams, from itself it sends nothing. */
const toGuest: Traffic[] = [
  { from: 'a', to: 'b', kind: 'ping', count: 3, interval: '50ms', family: 6 },
  { from: 'a', to: 'b', kind: 'udp-request-response', count: 3, family: 6 },
];

/** Everything that a lab could leave behind in the machine's own network. */
async function machineState(): Promise<string> {
  const show = async (...argv: string[]): Promise<string> => (await execa('ip', argv)).stdout;
  return [
    await show('-o', 'link'),
    await show('-o', 'route'),
    await show('-6', '-o', 'route'),
    await show('rule'),
  ].join('\n');
}

async function namespaces(): Promise<string[]> {
  return (await execa('ip', ['netns', 'list'])).stdout.split('\n').map((line) => line.split(' ')[0]);
}

describe('lab, live', function () {
  let before = '';
  this.beforeAll(async () => {
    await labDown(ID);
    before = await machineState();
  });
  afterEach(() => labDown(ID));

  for (const id of topologyIds()) {
    it(`${id}: comes up, carries IPv4 and IPv6, and goes without a trace`, async function () {
      const topology = loadTopology(id);
      const missing = await missingNeeds(topology.needs ?? []);
      if (missing.length > 0) skipBecause(this, `not on this kernel: ${missing.join(', ')}`);
      const lab = await labUp(topology, { id: ID });
      expect(await namespaces()).to.include.members(Object.values(lab.namespaces).map(({ name }) => name));
      const results = await runTraffic(lab, [
        { from: 'a', to: 'b', kind: 'ping', count: 3, interval: '50ms' },
        ...(Object.values(lab.endpoints).some(({ guest }) => guest) ? toGuest : betweenHosts),
      ]);
      for (const result of results)
        expect(result, JSON.stringify(result)).to.deep.include({ answered: result.sent, failures: {} });
      expect(results.every(({ kind, bytesReceived }) => kind !== 'tcp-stream' || bytesReceived === 300_000)).to.equal(
        true,
      );
      const inode = (await lab.exec('a', ['stat', '-L', '-c', '%i', '/proc/self/ns/net'])).stdout;
      expect(Number(inode)).to.equal(lab.namespaces.a.inode);
      expect(await labDown(ID)).to.have.length(Object.keys(lab.namespaces).length);
      expect((await namespaces()).filter((name) => name.startsWith(`vdiag-${ID}-`))).to.deep.equal([]);
      expect(await machineState()).to.equal(before);
    });
  }

  it('leaves a process that looks into it, as another vdiag does, alone', async () => {
    const lab = await labUp(loadTopology('two-vms-on-a-bridge'), { id: ID });
    const look = `
      const koffi = require('koffi');
      const fd = require('fs').openSync('/run/netns/${lab.namespaces.a.name}');
      if (koffi.load(null).func('int setns(int fd, int kind)')(fd, 0) !== 0) throw new Error('setns');
      console.log('there');
      setTimeout(() => {}, 30_000);`;
    const child = spawn(process.execPath, ['-e', look], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const said = await new Promise((resolve) => child.stdout.once('data', (data) => resolve(String(data))));
      expect(said).to.equal('there\n');
      await labDown(ID);
      expect([child.exitCode, child.signalCode]).to.deep.equal([null, null]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('is made anew when it is there, and removing what is not there is no error', async () => {
    const topology = loadTopology('two-vms-on-a-bridge');
    const marker = async (lab: Lab): Promise<boolean> =>
      (await lab.exec('a', ['ip', '-o', 'link', 'show', 'type', 'bridge'])).stdout.includes('marker');
    const first = await labUp(topology, { id: ID });
    await first.exec('a', ['ip', 'link', 'add', 'marker', 'type', 'bridge']);
    expect(await marker(first)).to.equal(true);
    // Not by the namespace's inode: the kernel gives a freed number to the next namespace.
    const second = await labUp(topology, { id: ID });
    expect(await marker(second)).to.equal(false);
    await labDown(ID);
    expect(await labDown(ID)).to.deep.equal([]);
  });

  it('down --all removes what a crash left, with the processes in it, also a stopped one', async () => {
    const lab = await labUp(loadTopology('two-vms-on-a-bridge'), { id: ID });
    const child = spawn('ip', ['netns', 'exec', lab.namespaces.a.name, 'sleep', '600'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('exit', (_code, signal) => resolve(signal)));
    while ((await listLabs()).find(({ id }) => id === ID)?.processes !== 1)
      await new Promise((done) => setTimeout(done, 20));
    child.kill('SIGSTOP');
    // Not every lab of the machine: another run may be at work beside this one.
    const removed = await labDownAll({ startingWith: ID });
    expect(removed).to.have.members(Object.values(lab.namespaces).map(({ name }) => name));
    expect(await ended).to.equal('SIGTERM');
    expect((await listLabs()).map(({ id }) => id)).to.not.include(ID);
  });

  it('removes what was made when something fails halfway', async () => {
    const topology = { ...loadTopology('two-vms-on-a-bridge'), routes: [{ in: 'a', to: 'default', via: '192.0.2.1' }] };
    const error = await labUp(topology, { id: ID }).catch((reason: Error) => reason.message);
    expect(error).to.match(
      /"ip -n vdiag-live-lab-test-a route add default via 192\.0\.2\.1" failed: .*Nexthop has invalid gateway/,
    );
    expect((await namespaces()).filter((name) => name.startsWith(`vdiag-${ID}-`))).to.deep.equal([]);
  });

  it('ends its traffic early when it is told to, with nothing left running', async () => {
    const lab = await labUp(loadTopology('two-vms-on-a-bridge'), { id: ID });
    const started = performance.now();
    const results = await runTraffic(
      lab,
      [
        { from: 'a', to: 'b', kind: 'ping', count: 100, interval: '200ms' },
        { from: 'a', to: 'b', kind: 'tcp-request-response', count: 100 },
        { from: 'a', to: 'b', kind: 'http', count: 100, delay: '15s' },
      ],
      { signal: AbortSignal.timeout(1500) },
    );
    expect(performance.now() - started).to.be.below(6000);
    expect(results.map((result) => result.cutShort)).to.deep.equal([true, true, true]);
    expect((await listLabs()).find(({ id }) => id === ID)?.processes).to.equal(0);
  });

  it('says what a fault cannot be put into', async () => {
    const lab = await labUp(loadTopology('two-vms-on-a-bridge'), { id: ID });
    const error = await injectFault(lab, loadFault('nft-drop'), {}).catch((reason: Error) => reason.message);
    expect(error).to.contain('belongs in the topology two-behind-a-router, not two-vms-on-a-bridge');
  });

  describe('faults do what they say', () => {
    const effects: Record<string, (results: TrafficResult[], lab: Lab) => void> = {
      'slow-bridge-port': ([ping]) => expect(Math.max(...ping.roundTripsMs)).to.be.above(50),
      'netem-delay': ([ping]) => expect(Math.min(...ping.roundTripsMs)).to.be.above(19),
      'firewall-drop-forward': ([connect, ping]) => {
        expect(connect.failures).to.deep.equal({ timeout: connect.sent });
        expect(ping.answered).to.equal(ping.sent);
      },
      'nft-drop': ([connect, ping]) => {
        expect(connect.failures).to.deep.equal({ timeout: connect.sent });
        expect(ping.answered).to.equal(ping.sent);
      },
      'port-closed': ([connect]) => expect(connect.failures).to.deep.equal({ refused: connect.sent }),
      'bridge-port-blocked': ([ping]) => expect(ping.answered).to.equal(0),
      'no-route': ([ping]) => {
        expect(ping.answered).to.equal(0);
        // The router limits how often it says so.
        expect(Object.keys(ping.failures).join()).to.match(/destination (net )?unreachable/);
      },
      'neighbour-failed': ([ping]) => {
        expect(ping.answered).to.equal(0);
        expect(Object.keys(ping.failures).join()).to.match(/destination (host )?unreachable/);
      },
      'mtu-blackhole': ([ping, stream]) => {
        expect(ping.answered).to.equal(ping.sent);
        expect(stream).to.include({ cutShort: true, bytesReceived: 0 });
      },
    };
    const healthy = (results: TrafficResult[]): void => {
      for (const result of results)
        expect(result, JSON.stringify(result)).to.deep.include({ answered: result.sent, failures: {} });
    };

    // What every fault does to its traffic shows in the bench: `npm run faults`.
    for (const id of [...Object.keys(effects), 'healthy-bridge', 'healthy-router', 'healthy-vxlan']) {
      const fault: Fault = loadFault(id);
      // One of its variants, another each day, so that all have their turn.
      const variant = chooseVariant(fault, Math.floor(Date.now() / 86_400_000));
      const name = `${id} ${JSON.stringify(variant)}`;
      it(name, async function () {
        const missing = await missingNeeds(needsOf(fault, variant));
        // netem is not in the development machine's kernel; test/kernels/lab.test.ts injects everything.
        if (missing.length > 0) skipBecause(this, `not on this kernel: ${missing.join(', ')}`);
        const lab = await labUp(loadTopology(topologyOf(fault, variant)), { id: ID });
        const { traffic } = await injectFault(lab, fault, variant);
        (fault.expect.diagnosis ? effects[id] : healthy)(await runTraffic(lab, traffic), lab);
      });
    }
  });
});
