import type { Analysis } from '../analysis/types.js';
import type { SkbEvent } from '../events/types.js';
import type { PairStats, PathView } from '../paths/types.js';
import type { Subject } from './subjects.js';
import { isGroup, isUnanswered } from './unheard.js';

/** No more pairs than this are followed hop by hop: each hop costs questions to the host. */
const MOST_PAIRS = 16;

interface Hop {
  netns: number;
  /** Device that the packet came in by; where it was sent, the one that it left by. */
  device: string;
  /** Device that it left by; empty when it was not seen to leave. */
  outDevice: string;
  came: boolean;
}

/**
 * The hops of packets that seem not to arrive, one subject for each network namespace on their way: of pairs of which one
 * end alone was heard (answers to ARP do not count), and of those whose packets ended in a drop.
 */
export function hopSubjects(analysis: Analysis): Subject[] {
  const { pairs, paths } = analysis;
  let followed = 0;
  return pairs.flatMap((pair): Subject[] => {
    if (followed >= MOST_PAIRS || isGroup(pair.a) || isGroup(pair.b)) return [];
    const asked = pair.linkPackets ?? { forward: 0, reverse: 0 };
    const own = paths.filter((path) => path.pair === pair.id);
    const ways = (['forward', 'reverse'] as const).flatMap((direction): Subject[] => {
      const other = direction === 'forward' ? 'reverse' : 'forward';
      const data = pair.packets[direction] - asked[direction];
      const count = data > 0 ? data : pair.packets[direction];
      const answers = data > 0 ? pair.packets[other] - asked[other] : pair.packets[other];
      const dropped = pair.drops[direction] > 0;
      if (!isUnanswered(count) || (answers > 0 && !dropped)) return [];
      return wayOf(pair, direction === 'forward', own, data > 0, dropped ? Math.max(3, pair.drops[direction]) : count);
    });
    if (ways.length > 0) followed++;
    return ways;
  });
}

function wayOf(pair: PairStats, forward: boolean, paths: PathView[], data: boolean, count: number): Subject[] {
  const [src, dst] = forward ? [pair.a, pair.b] : [pair.b, pair.a];
  const ofIt = paths.filter(({ events }) => {
    const packet = events.find((event) => event.packet)?.packet;
    return packet !== undefined && packet.src === src && (packet.proto === 'ARP') !== data;
  });
  // The one that was followed farthest; of equals, one that was seen to end.
  const way = ofIt.reduce<{ hops: Hop[]; path?: PathView }>(
    (best, path) => {
      const hops = hopsOf(path.events);
      return hops.length > best.hops.length ? { hops, path } : best;
    },
    { hops: [] },
  );
  const packet = way.path?.events.find((event) => event.packet)?.packet;
  if (!packet) return [];
  const macs = sourcesOf(paths, dst);
  return way.hops.map(({ netns, device, outDevice, came }, i) => ({
    pair,
    data: {
      netns,
      device,
      outDevice,
      came,
      hop: i,
      last: i === way.hops.length - 1,
      src,
      dst,
      count,
      mac: packet.dmac,
      fromMac: packet.smac,
      seenDevice: heardAt(paths, netns, packet.dmac),
      macs: macs.size,
      macsText: [...macs].sort().join(', '),
      flow: `${src} → ${dst}`,
    },
  }));
}

/** The namespaces that a packet passed, in order, with the devices it came and left by. */
function hopsOf(events: readonly SkbEvent[]): Hop[] {
  const hops: Hop[] = [];
  for (const { role, device, netns } of events) {
    if (device === '' || netns === 0) continue;
    const last = hops.at(-1);
    const receives = role === 'receive';
    const sends = role === 'queue' || role === 'transmit' || role === 'transmitted';
    if (!receives && !sends) continue;
    if (!last || last.netns !== netns) hops.push({ netns, device, outDevice: sends ? device : '', came: receives });
    else if (sends) last.outDevice = device;
  }
  return hops;
}

/** Device of a namespace that frames from an address come in by; empty when none was seen. */
function heardAt(paths: readonly PathView[], netns: number, mac: string): string {
  for (const { events } of paths) {
    if (events.find((event) => event.packet)?.packet?.smac !== mac) continue;
    const heard = events.find((event) => event.role === 'receive' && event.netns === netns && event.device !== '');
    if (heard) return heard.device;
  }
  return '';
}

/** Ethernet addresses that packets of an IP address were first seen with. */
function sourcesOf(paths: readonly PathView[], address: string): Set<string> {
  const macs = new Set<string>();
  for (const { events } of paths) {
    const packet = events.find((event) => event.packet)?.packet;
    if (packet?.src === address && packet.smac !== '') macs.add(packet.smac);
  }
  return macs;
}
