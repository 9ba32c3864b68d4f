import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { CARD_DRIVER } from '../cards.js';
import type { HelperWords } from './words.js';

const LOOK_EVERY_MS = 20;

/**
 * Takes the driver from a network card of this namespace once it has received so many packets more. What the card at the
 * other end of its cable sends is not taken in from then on, so that its queue stands still. The next lab that needs the
 * card gives it its driver back (cards.ts).
 * @throws Error where the device is no such card
 */
export function unplugCard({ device, packets = '0' }: HelperWords, ready: () => void): void {
  const card = basename(readlinkSync(`/sys/class/net/${device}/device`));
  const received = (): number => Number(readFileSync(`/sys/class/net/${device}/statistics/rx_packets`, 'utf8'));
  const enough = received() + Number(packets);
  const timer = setInterval(() => {
    if (received() < enough) return;
    clearInterval(timer);
    writeFileSync(`${CARD_DRIVER}/unbind`, card);
  }, LOOK_EVERY_MS);
  ready();
}
