import { stringIn } from '../facts.js';
import { shellLine, shellWord } from '../shell-words.js';
import type { EvidenceSource } from '../types.js';
import type { EthernetSegment, WiredDevice } from '../wiring.js';
import { fdbEntryOf, vlansOf, vlanText, type Crossing } from './crossing.js';

/** What keeps frames from going on, with the device that it is about, and the words for a report. */
export interface Trouble {
  trouble: 'down' | 'twin' | 'blocked' | 'isolated' | 'vlan' | 'fdb';
  /** Device to change. */
  at: WiredDevice;
  text: string;
  /** The address that two machines have. */
  mac?: string;
  /** Without the words that enter the namespace of `at`. */
  fix: string[];
  undo: string[];
  state?: string;
  vlan?: number;
  otherVlans?: string;
  fdbPort?: string;
  fdbEntry?: string;
}

/** A device on the way that is not set up. Its other end shows it as LOWERLAYERDOWN. */
export function downOn(way: readonly WiredDevice[]): Trouble | undefined {
  const at = way.find((device) => !device.flags.includes('UP'));
  if (!at) return undefined;
  const command = (state: string): string[] => ['ip', 'link', 'set', 'dev', at.name, state];
  return { trouble: 'down', at, text: `${placeOf(at)} is down`, fix: command('up'), undo: command('down') };
}

/**
 * Two machines of the segment with one Ethernet address: a bridge sends frames for it to the one that it heard last, and
 * what one sends to the other back to where it came from. Bonds and bridges share an address with what belongs to them.
 * @param macs addresses that are looked for, in small letters
 */
export function twinsIn(segment: EthernetSegment, macs: readonly string[]): Trouble | undefined {
  const machines = segment.devices.filter(
    ({ kind, master, flags }) => kind !== 'bridge' && master === '' && flags.includes('UP'),
  );
  const mac = macs.find((one) => one !== '' && machines.filter((device) => device.mac === one).length > 1);
  if (mac === undefined) return undefined;
  const twins = machines.filter((device) => device.mac === mac);
  const at = twins.at(-1)!;
  const command = (to: string): string[] => ['ip', 'link', 'set', 'dev', at.name, 'address', to];
  const free = freeMac(mac, new Set(segment.devices.map((device) => device.mac)));
  const text = `${mac} is the Ethernet address of ${twins.map(placeOf).join(' and of ')}`;
  return { trouble: 'twin', at, text, mac, fix: command(free), undo: command(mac) };
}

/** The next address, of those that administrators give out, that none of the segment has. */
function freeMac(mac: string, taken: ReadonlySet<string>): string {
  const [first, ...rest] = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  for (let last = rest[4]! + 1; ; last++) {
    const bytes = [first! | 2, ...rest.slice(0, 4), last & 255];
    const free = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
    if (!taken.has(free) || (last & 255) === rest[4]) return free;
  }
}

/** What keeps a bridge from passing a frame from one port to the other. */
export async function troubleOf(source: EvidenceSource, crossing: Crossing, mac: string): Promise<Trouble | undefined> {
  return (
    blocked(crossing) ?? isolated(crossing) ?? (await otherVlan(source, crossing)) ?? wrongEntry(source, crossing, mac)
  );
}

/** br_handle_frame and should_deliver (net/bridge): both ports must be forwarding. */
function blocked(crossing: Crossing): Trouble | undefined {
  const at = [crossing.in, crossing.out].find((port) => {
    const state = stringIn(port.port, 'state') ?? '';
    return port.flags.includes('LOWER_UP') && !['', 'forwarding'].includes(state);
  });
  if (!at) return undefined;
  const state = stringIn(at.port, 'state') ?? '';
  const command = (to: string): string[] => ['bridge', 'link', 'set', 'dev', at.name, 'state', to];
  return {
    trouble: 'blocked',
    at,
    state,
    text: `port ${at.name} of ${crossing.bridge.name} is ${state}`,
    fix: command('forwarding'),
    undo: command(state),
  };
}

/** br_skb_isolated (net/bridge/br_private.h): isolated ports talk to others alone. */
function isolated(crossing: Crossing): Trouble | undefined {
  if (crossing.in.port.isolated !== true || crossing.out.port.isolated !== true) return undefined;
  const at = crossing.out;
  const command = (to: string): string[] => ['bridge', 'link', 'set', 'dev', at.name, 'isolated', to];
  return {
    trouble: 'isolated',
    at,
    text: `ports ${crossing.in.name} and ${at.name} of ${crossing.bridge.name} are both isolated`,
    fix: command('off'),
    undo: command('on'),
  };
}

/** br_allowed_ingress and br_allowed_egress (net/bridge/br_vlan.c), for untagged frames. */
async function otherVlan(source: EvidenceSource, crossing: Crossing): Promise<Trouble | undefined> {
  if (crossing.bridge.data.vlan_filtering !== 1) return undefined;
  const [into, outOf] = await Promise.all([vlansOf(source, crossing.in), vlansOf(source, crossing.out)]);
  if (!into || !outOf) return undefined;
  if (into.pvid === undefined) return undefined;
  const vlan = into.pvid;
  const member = outOf.ranges.find((range) => vlan >= range.from && vlan <= range.to);
  // A tagged frame is right for a trunk; only a port without any VLAN of its own in common is wrong for certain.
  if (member) return undefined;
  const at = crossing.out;
  const change = (verb: 'add' | 'del'): string[] => ['bridge', 'vlan', verb, 'dev', at.name, 'vid', String(vlan)];
  const restore = outOf.pvid === undefined ? [] : ['bridge', 'vlan', 'add', 'dev', at.name, 'vid', String(outOf.pvid)];
  return {
    trouble: 'vlan',
    at,
    vlan,
    otherVlans: vlanText(outOf),
    text: `${crossing.in.name} is in VLAN ${vlan}, ${at.name} in ${vlanText(outOf)} (bridge ${crossing.bridge.name})`,
    fix: [...change('add'), 'pvid', 'untagged'],
    undo: restore.length > 0 ? [...restore, 'pvid', 'untagged'] : change('del'),
  };
}

async function wrongEntry(source: EvidenceSource, crossing: Crossing, mac: string): Promise<Trouble | undefined> {
  if (mac === '') return undefined;
  const entry = await fdbEntryOf(source, crossing, mac);
  // Where the bridge itself is meant nothing can be said; one that was learned moves with the next frame.
  if (!entry || entry.port === crossing.out.name || entry.port === crossing.bridge.name) return undefined;
  if (!entry.fixed && crossing.out.port.learning !== false) return undefined;
  const at = crossing.out;
  return {
    trouble: 'fdb',
    at,
    fdbPort: entry.port,
    fdbEntry: `${mac} ${entry.text}`,
    text: `bridge ${crossing.bridge.name} sends frames for ${mac} to ${entry.port}; it is behind ${at.name}`,
    fix: ['bridge', 'fdb', 'replace', mac, 'dev', at.name, ...entry.words],
    undo: ['bridge', 'fdb', 'replace', mac, 'dev', entry.port, ...entry.words],
  };
}

/** `eth0 in web`, or the bare name in vdiag's own namespace. */
export function placeOf({ name, netnsName }: WiredDevice): string {
  return netnsName === '' ? name : `${name} in ${netnsName}`;
}

/** The commands with the words that enter the device's namespace. */
export function commandsFor({ at, fix, undo }: Trouble): { fixCommand: string; undoCommand: string } {
  const prefix = prefixOf(at);
  const line = (words: string[]): string => (words.length === 0 ? '' : `${prefix}${shellLine(words)}`);
  return { fixCommand: line(fix), undoCommand: line(undo) };
}

/** The words that make a command run in the device's namespace. */
export function prefixOf({ netnsName }: WiredDevice): string {
  const pid = /^pid (\d+)$/.exec(netnsName)?.[1];
  if (pid !== undefined) return `nsenter --net=/proc/${pid}/ns/net `;
  return netnsName === '' ? '' : `ip netns exec ${shellWord(netnsName)} `;
}
