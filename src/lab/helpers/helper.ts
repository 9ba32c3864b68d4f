/**
 * The lab's own programs, run in a namespace: `helper NAME WORDS`, WORDS being {@link HelperWords} as JSON. Prints
 * `{"ready":true}` or `{"error":"…"}`, then goes on for as long as it has something to do.
 */
import { writeSync } from 'node:fs';
import { serveTap } from './guest.js';
import { takeCpu } from './hog.js';
import { changeHost } from './host.js';
import { threadNapi } from './napi.js';
import { unplugCard } from './unplug.js';
import type { HelperWords } from './words.js';
import { attachXdp } from './xdp.js';

const [name, text] = process.argv.slice(2);
const told = JSON.parse(text) as HelperWords;
const ready = (): void => say({ ready: true });

try {
  if (name === 'lab-guest') serveTap(told, ready);
  else if (name === 'lab-hog') takeCpu(told, ready);
  else if (name === 'lab-host') changeHost(told, ready);
  else if (name === 'lab-unplug') unplugCard(told, ready);
  else {
    (name === 'lab-napi' ? threadNapi : attachXdp)(told);
    ready();
  }
} catch (error) {
  say({ error: (error as Error).message });
  process.exit(1);
}

/** At once: the guest never returns to the event loop. */
function say(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
