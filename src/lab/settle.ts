import { setTimeout as sleep } from 'node:timers/promises';
import { VdiagError } from '../base/errors.js';
import { runOrThrow } from './commands.js';
import { namespaceName } from './names.js';
import type { Topology } from './types.js';

const PATIENCE_MS = 5000;

/**
 * Waits until the kernel has taken note of every carrier. It does so up to a second after a link comes up, and then puts
 * bridge ports to forwarding (net/core/link_watch.c, br_port_carrier_check), which would undo a fault injected before.
 * @throws VdiagError (status 3) when a link does not come up.
 */
export async function carriersUp(topology: Topology, labId: string): Promise<void> {
  await endsUp([...topology.links.flatMap((link) => link.ends), ...(topology.taps ?? [])], labId);
}

/** The same for some devices. */
export async function endsUp(ends: readonly { in: string; name: string }[], labId: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (const namespace of new Set(ends.map((one) => one.in))) {
    const wanted = ends.filter((one) => one.in === namespace).map((one) => one.name);
    for (;;) {
      const answer = await runOrThrow(['ip', '-n', namespaceName(labId, namespace), '-j', 'link', 'show']);
      const links = JSON.parse(answer) as { ifname: string; operstate: string }[];
      const down = wanted.filter((name) => links.find((link) => link.ifname === name)?.operstate !== 'UP');
      if (down.length === 0) break;
      if (performance.now() > end) {
        throw new VdiagError({ message: `${down.join(', ')} of the lab ${labId} did not come up` }, 3);
      }
      await sleep(20);
    }
  }
}
