import { setTimeout as sleep } from 'node:timers/promises';
import ipaddr from 'ipaddr.js';
import { VdiagError } from '../../base/errors.js';
import { run, runOrThrow } from '../commands.js';
import { namespaceName } from '../names.js';
import type { Lab } from '../types.js';
import { countAnswer, countFailure, emptyOutcome, timeoutError, type ClientOutcome } from './outcome.js';
import type { TrafficPlan } from './plan.js';

/** The first of the addresses that containers get: far from those of a topology's machines. */
const FIRST_HOST = 100;

/**
 * Containers that come and go beside the machine `from`, `count` of them, one after the other: a namespace, a veth pair
 * with one end on the bridge of `from`'s port, two echo requests to `to`, and away again, as a container engine does.
 * The namespaces bear the lab's name, so that what a crash leaves goes with the lab.
 * @throws VdiagError status 2 where `from` is not at a bridge, 3 when a command fails
 */
export async function churnContainers(
  lab: Lab,
  plan: TrafficPlan,
  signal: AbortSignal | undefined,
): Promise<ClientOutcome> {
  const { portNamespace, port, address } = lab.endpoints[plan.from];
  const bridge = bridgeOf(lab, portNamespace, port);
  const host = lab.namespaces[portNamespace].name;
  const outcome = emptyOutcome();
  const end = performance.now() + plan.maxMs;
  for (let i = 0; i < plan.count && performance.now() < end && !signal?.aborted; i++) {
    const name = namespaceName(lab.id, `c${i}`);
    outcome.sent++;
    const started = performance.now();
    try {
      const own = neighbourAddress(address, FIRST_HOST + (i % 100));
      await runOrThrow(['ip', 'netns', 'add', name]);
      await inHost(host, ['link', 'add', `c${i}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
      await inHost(host, ['link', 'set', 'dev', `c${i}`, 'master', bridge, 'up']);
      await inHost(name, ['link', 'set', 'dev', 'lo', 'up']);
      await inHost(name, ['address', 'add', `${own}/24`, 'dev', 'eth0']);
      await inHost(name, ['link', 'set', 'dev', 'eth0', 'up']);
      const echo = ['ping', '-4', '-n', '-c', '2', '-i', '0.05', '-W', '2', plan.address];
      const { exitCode } = await run(['ip', 'netns', 'exec', name, ...echo]);
      if (exitCode === 0) countAnswer(outcome, performance.now() - started);
      else countFailure(outcome, timeoutError());
    } finally {
      await run(['ip', 'netns', 'delete', name]);
    }
    await sleep(plan.intervalMs, undefined, { signal }).catch(() => undefined);
  }
  outcome.cutShort = outcome.sent < plan.count;
  return outcome;
}

function inHost(namespace: string, words: readonly string[]): Promise<string> {
  return runOrThrow(['ip', '-n', namespace, ...words]);
}

function bridgeOf(lab: Lab, namespace: string, port: string): string {
  for (const { ends } of lab.topology.links) {
    const end = ends.find((one) => one.in === namespace && one.name === port);
    if (end?.master !== undefined) return end.master;
  }
  throw new VdiagError({ message: `containers need a bridge, and ${port} is a port of none` }, 2);
}

/** Another host's address of the same IPv4 network of 24 bits. */
function neighbourAddress(address: string, host: number): string {
  const bytes = ipaddr.IPv4.parse(address).toByteArray();
  return [...bytes.slice(0, 3), host].join('.');
}
