import { isObject, numberIn, parseObjects, stringIn, textOfAnswer } from '../facts.js';
import type { EvidenceSource } from '../types.js';
import type { EthernetSegment, WiredDevice } from '../wiring.js';

/** The passage of a frame through a Linux bridge, from one port to another. */
export interface Crossing {
  bridge: WiredDevice;
  in: WiredDevice;
  out: WiredDevice;
}

/** The bridges that a way crosses. */
export function crossingsOf(segment: EthernetSegment, way: readonly WiredDevice[]): Crossing[] {
  return way.slice(1).flatMap((out, i): Crossing[] => {
    const bridge = segment.bridgeOf(way[i]);
    return bridge && bridge === segment.bridgeOf(out) ? [{ bridge, in: way[i], out }] : [];
  });
}

/** The VLANs of a bridge port (`bridge vlan`). */
export interface PortVlans {
  /** VLAN of untagged frames that come in; undefined: they are not taken. */
  pvid?: number;
  ranges: { from: number; to: number; untagged: boolean }[];
}

/** Where and how a bridge sends frames for an Ethernet address (`bridge fdb`). */
export interface FdbEntry {
  port: string;
  /** Its line as the tool prints it, without the address. */
  text: string;
  /** Set by hand, so that the bridge does not move it to where the address is heard; `del` needs these words again. */
  words: string[];
  fixed: boolean;
}

/** The VLANs of a port; undefined when they cannot be read. */
export async function vlansOf(source: EvidenceSource, port: WiredDevice): Promise<PortVlans | undefined> {
  const answer = await source.run(['bridge', '-j', 'vlan', 'show'], { netns: port.netns, phase: 'after' });
  const all = parseObjects(textOfAnswer(answer) ?? '-');
  if (!all) return undefined;
  const found = all.find((one) => stringIn(one, 'ifname') === port.name);
  const ranges = (Array.isArray(found?.vlans) ? found.vlans.filter(isObject) : []).flatMap((one) => {
    const from = numberIn(one, 'vlan');
    const flags = Array.isArray(one.flags) ? one.flags.map(String) : [];
    return from === undefined
      ? []
      : [
          {
            from,
            to: numberIn(one, 'vlanEnd') ?? from,
            untagged: flags.includes('Egress Untagged'),
            pvid: flags.includes('PVID'),
          },
        ];
  });
  const pvid = ranges.find((range) => range.pvid)?.from;
  return {
    ...(pvid !== undefined && { pvid }),
    ranges: ranges.map(({ from, to, untagged }) => ({ from, to, untagged })),
  };
}

/** The VLANs of a port in a few words: `20 (untagged), 30-40`; `none`. */
export function vlanText({ ranges }: PortVlans): string {
  const one = ({ from, to, untagged }: PortVlans['ranges'][number]): string =>
    `${from === to ? from : `${from}-${to}`}${untagged ? ' (untagged)' : ''}`;
  return ranges.map(one).join(', ') || 'none';
}

/** What the bridge's table says of an address; undefined: nothing, and such frames go to all ports. */
export async function fdbEntryOf(
  source: EvidenceSource,
  { bridge }: Crossing,
  mac: string,
): Promise<FdbEntry | undefined> {
  const answer = await source.run(['bridge', '-j', 'fdb', 'show'], { netns: bridge.netns, phase: 'after' });
  const found = (parseObjects(textOfAnswer(answer) ?? '') ?? []).filter(
    (one) =>
      stringIn(one, 'mac')?.toLowerCase() === mac.toLowerCase() &&
      (stringIn(one, 'master') === bridge.name || stringIn(one, 'ifname') === bridge.name),
  );
  // Of several VLANs' entries, one that was set by hand is the one that may be wrong.
  const entry = found.find((one) => isFixed(one)) ?? found[0];
  if (!entry) return undefined;
  const port = stringIn(entry, 'ifname') ?? '';
  const flags = Array.isArray(entry.flags) ? entry.flags.map(String) : [];
  const vlan = numberIn(entry, 'vlan');
  const state = stringIn(entry, 'state');
  const place = ['master', ...(vlan === undefined ? [] : ['vlan', String(vlan)])];
  const kept = [...(state === undefined ? [] : [state === 'permanent' ? 'local' : state]), ...flags.filter(isKept)];
  return {
    port,
    text: ['dev', port, ...place, ...flags, ...(state === undefined ? [] : [state])].join(' '),
    words: [...place, ...kept],
    fixed: isFixed(entry),
  };
}

function isKept(flag: string): boolean {
  return flag === 'sticky';
}

function isFixed(entry: Record<string, unknown>): boolean {
  return stringIn(entry, 'state') !== undefined && stringIn(entry, 'state') !== '';
}
