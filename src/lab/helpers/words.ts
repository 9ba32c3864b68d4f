import { parseDuration } from '../units.js';

/** What a helper of the lab may be told: `name=value` words, each with what its value must look like. */
interface HelperGrammar {
  /** Words without a name that come first, by what they are. */
  first: Record<string, RegExp>;
  options: Record<string, RegExp>;
}

const DEVICE = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/;
const DURATION = /^\d{1,5}(ms|s)$/;
const NUMBER = /^\d{1,6}$/;
/** Where and how a process may run: a CPU's number, a nice value, an ordinary or a real-time policy. */
const RUNNING = { cpu: /^\d{1,3}$/, nice: /^-?\d{1,2}$/, policy: /^(other|fifo)$/ };

/**
 * Programs of the lab's own, started in a namespace by a topology or a fault, and ended with it.
 * - `lab-guest DEVICE [read=all|never|20ms] [stop=yes] [after=1s] [cpu=1] [nice=19] [udp=port-unreachable]`: the guest
 *   behind a tap, anew: how it reads the tap, from so long on after its first packet; what it answers datagrams with
 * - `lab-hog [cpu=1] [threads=3] [seconds=20] [nice=0] [policy=fifo]`: a process that works for nothing
 * - `lab-napi DEVICE [cpu=1] [nice=19]`: what the device receives is taken in by a thread of its own (threaded NAPI)
 * - `lab-unplug DEVICE [packets=20]`: the network card takes nothing in any more, after so many packets (a lab with cards)
 * - `lab-xdp DEVICE protocol=udp|tcp|icmp [redirect=IFINDEX] [mode=generic|driver]`: an XDP program that drops what has
 *   this protocol, or sends it to another device
 * - `lab-host netdev_max_backlog=8`, `lab-host nf_conntrack_max=20`, `lab-host gc_thresh3=6` (neighbours of either
 *   IP version), `lab-host tcp_mem=64` (each of its three numbers): a network sysctl of the whole machine, put back when the lab ends
 */
const HELPERS: Record<string, HelperGrammar> = {
  'lab-guest': {
    first: { device: DEVICE },
    options: {
      ...{ read: /^(all|never|\d{1,4}ms)$/, stop: /^yes$/, after: DURATION, ...RUNNING },
      udp: /^(port-unreachable|host-unreachable|prohibited)$/,
    },
  },
  'lab-hog': { first: {}, options: { threads: /^[1-8]$/, seconds: /^\d{1,2}$/, ...RUNNING } },
  'lab-napi': { first: { device: DEVICE }, options: { cpu: RUNNING.cpu, nice: RUNNING.nice } },
  'lab-unplug': { first: { device: DEVICE }, options: { packets: NUMBER } },
  'lab-xdp': {
    first: { device: DEVICE },
    options: { protocol: /^(udp|tcp|icmp)$/, redirect: NUMBER, mode: /^(generic|driver)$/ },
  },
  'lab-host': {
    first: {},
    options: { netdev_max_backlog: NUMBER, nf_conntrack_max: NUMBER, gc_thresh3: NUMBER, tcp_mem: NUMBER },
  },
};

/** The programs of the lab's own that a fault may start. */
export const HELPER_NAMES: readonly string[] = Object.keys(HELPERS);

export function isHelper(program: string): boolean {
  return Object.hasOwn(HELPERS, program);
}

/** What a helper was told: its first words by their names, and its options. */
export type HelperWords = Record<string, string>;

/** @throws Error with a plain message for a word that this helper does not know. */
export function helperWords([program, ...words]: readonly string[]): HelperWords {
  const { first, options } = HELPERS[program]!;
  const told: HelperWords = {};
  for (const [name, pattern] of Object.entries(first)) {
    const word = words.shift() ?? '';
    if (!pattern.test(word)) throw new Error(`${program} "${word}" is no ${name}`);
    told[name] = word;
  }
  for (const word of words) {
    const [name, value] = splitAt(word);
    const pattern = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!pattern?.test(value)) {
      throw new Error(`${program} "${word}" is not known; expected ${Object.keys(options).join('=, ')}=`);
    }
    told[name] = value;
  }
  return told;
}

/** A duration that a helper was told, ms; 0 when it was not. */
export function msOf(told: HelperWords, name: string): number {
  return Object.hasOwn(told, name) ? parseDuration(told[name]) : 0;
}

function splitAt(word: string): [string, string] {
  const at = word.indexOf('=');
  return at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
}
