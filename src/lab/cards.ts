import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { namesIn } from '../evidence/processes.js';
import { run } from './commands.js';
import { OWN_HOST } from './helpers/host.js';

/** Two network cards on one cable, known by their addresses: the project's test VMs have them (test/support/vm-run.ts). */
export const CARD_ADDRESSES: readonly [string, string] = ['02:7a:00:00:00:01', '02:7a:00:00:00:02'];

const BUS = '/sys/bus/virtio';
/** Where a card is given its driver (`bind`), and loses it (`unbind`). */
export const CARD_DRIVER = `${BUS}/drivers/virtio_net`;
/** Device type of a network card (virtio specification, 5 Device Types). */
const NETWORK_CARD = '0x0001';
/** Cards of a lab that has just gone come back when the kernel has taken its namespaces apart (default_device_exit_net). */
const PATIENCE_MS = 5000;

/**
 * The names of both cards in the machine's own network namespace, in the order of {@link CARD_ADDRESSES}, each with a
 * driver; undefined where the machine is not the lab's own or has no such cards.
 */
export async function freeCards(): Promise<[string, string] | undefined> {
  if (process.env[OWN_HOST] !== 'own') return undefined;
  await run(['modprobe', 'virtio_net']);
  const cards = namesIn(`${BUS}/devices`).filter(
    (name) => readFileSync(`${BUS}/devices/${name}/device`, 'utf8').trim() === NETWORK_CARD,
  );
  if (cards.length < CARD_ADDRESSES.length) return undefined;
  for (const card of cards) {
    if (!existsSync(`${BUS}/devices/${card}/driver`)) writeFileSync(`${CARD_DRIVER}/bind`, card);
  }
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(50)) {
    const links = JSON.parse((await run(['ip', '-j', 'link', 'show'])).stdout) as {
      ifname: string;
      address?: string;
    }[];
    const [one, two] = CARD_ADDRESSES.map((mac) => links.find(({ address }) => address === mac)?.ifname);
    if (one !== undefined && two !== undefined) return [one, two];
  }
  return undefined;
}
