import type { EventCursor } from '../events/cursor.js';
import type { HostDevices } from './host-devices.js';
import type { Pair } from './pair.js';
import type { PlaceStats } from './stream-state.js';
import type { StreamPlace, StreamStats, Where } from './types.js';

/** Devices behind which other machines are. */
const EDGES: ReadonlySet<string> = new Set(['tap', 'tun', 'macvtap', 'physical']);
const NS_PER_MS = 1e6;

interface Place extends StreamPlace {
  stats: PlaceStats;
  /** Here packets come from, or go to, what this host does not see into. */
  enters: boolean;
  leaves: boolean;
}

/** What became of TCP's order between two places next to each other; without `before` or `after`: beyond what is seen. */
interface Stretch {
  before?: Place;
  after?: Place;
  outside: boolean;
}

const NOWHERE: Where = { count: 0, percent: 0, after: '', before: '', netns: 0, outside: false };

/** One direction of a pair, with the places that its packets pass. */
interface Way {
  pair: Pair;
  reverse: boolean;
  src: string;
  dst: string;
  ports: ReadonlySet<number>;
  places: Place[];
}

/**
 * How TCP fared in each direction of each pair; nothing for a direction without any trouble. Where packets leave this host
 * and come back to it from outside, the two parts of their way may have been taken for two pairs: they are one again.
 */
export function streamsOf(pairs: readonly Pair[], cursor: EventCursor, devices: HostDevices): Map<Pair, StreamStats[]> {
  const ways = joined(pairs.flatMap((pair) => waysOf(pair, cursor, devices)));
  const streams = new Map<Pair, StreamStats[]>();
  for (const way of ways) {
    const answers = ways.find(
      ({ src, dst, places }) => src === way.dst && dst === way.src && sharesPlaces(way.places, places),
    );
    const stats = describe(way.places, answers?.places ?? [], way.reverse);
    if (isTroubled(stats)) streams.set(way.pair, [...(streams.get(way.pair) ?? []), stats]);
  }
  return streams;
}

function waysOf(pair: Pair, cursor: EventCursor, devices: HostDevices): Way[] {
  return ([0, 1] as const).flatMap((direction): Way[] => {
    const places = placesOf(pair, direction, cursor, devices);
    if (places.length === 0) return [];
    const [src, dst] = direction === 0 ? [pair.a, pair.b] : [pair.b, pair.a];
    return [{ pair, reverse: direction === 1, src, dst, ports: pair.streams![direction]!.ports, places }];
  });
}

/** Parts of the ways of the same conversations are one way: its places, in the order in which a packet first passed them. */
function joined(ways: readonly Way[]): Way[] {
  const whole: Way[] = [];
  for (const way of ways) {
    const other = whole.find((one) => one.src === way.src && one.dst === way.dst && sharesPorts(one, way));
    if (other) other.places = together(other.places, way.places);
    else whole.push({ ...way });
  }
  return whole;
}

function sharesPorts(one: Way, other: Way): boolean {
  for (const ports of other.ports) if (one.ports.has(ports)) return true;
  return false;
}

function together(one: readonly Place[], other: readonly Place[]): Place[] {
  const places = [...one];
  for (const place of other) {
    const same = places.find(({ stats }) => stats.key === place.stats.key);
    if (same) same.stats.add(place.stats);
    else places.push(place);
  }
  return places.sort((x, y) => x.stats.firstTs - y.stats.firstTs);
}

/** Answers of the same tenant come by the same namespaces. */
function sharesPlaces(one: readonly Place[], other: readonly Place[]): boolean {
  return one.some(({ netns }) => other.some((place) => place.netns === netns));
}

function placesOf(pair: Pair, direction: 0 | 1, cursor: EventCursor, devices: HostDevices): Place[] {
  return (pair.streams?.[direction]?.places ?? []).map((stats): Place => {
    const device = cursor.devices.all[stats.key >>> 1]!;
    const out = (stats.key & 1) === 1;
    const edge = EDGES.has(devices.find(device)?.kind ?? '');
    return { device: device.name, netns: device.netns, out, stats, enters: edge && !out, leaves: edge && out };
  });
}

function stretchesOf(places: readonly Place[]): Stretch[] {
  const stretches: Stretch[] = [];
  for (let i = 0; i <= places.length; i++) {
    const [before, after] = [places[i - 1], places[i]];
    const outside = (before?.leaves ?? false) || (after?.enters ?? false);
    if ((before && after) || outside) stretches.push({ before, after, outside });
  }
  return stretches;
}

function describe(places: readonly Place[], answers: readonly Place[], reverse: boolean): StreamStats {
  const stretches = stretchesOf(places);
  const outside = stretches.filter((stretch) => stretch.outside);
  const first = places[0]!.stats;
  const most = (read: (stats: PlaceStats) => number): number => Math.max(...places.map(({ stats }) => read(stats)));
  const loudest = places.reduce((x, y) => (troubles(y.stats) > troubles(x.stats) ? y : x)).stats;
  return {
    direction: reverse ? 'reverse' : 'forward',
    sport: loudest.sport,
    dport: loudest.dport,
    first: placeOf(places[0]!),
    last: placeOf(places.at(-1)!),
    segments: most((stats) => stats.segments),
    bytes: most((stats) => stats.bytes),
    again: first.again,
    needless: first.needless,
    arrivedBefore: places.at(-1)!.out ? 0 : places.at(-1)!.stats.again,
    mostRepeats: first.mostRepeats,
    longestWaitMs: first.longestWaitNs / NS_PER_MS,
    lost: worst(outside, lostIn, sharesOf),
    acksLost: worst(outside, acksLostIn, (place) => place.acks),
    reordered: worst(stretches, reorderedIn, sharesOf),
    longestReorderMs: most((stats) => stats.longestReorderNs) / NS_PER_MS,
    duplicated: worst(stretches, (stretch) => grown(stretch, (stats) => stats.duplicates), sharesOf),
    opens: first.opens,
    accepted: answers.length > 0 ? Math.max(...answers.map(({ stats }) => stats.accepts)) : 0,
    openSport: first.openSport,
    openDport: first.openDport,
    openLost: worst(outside, openLostIn, (place) => place.opens + place.opensAgain),
    acceptLost: worst(outside, acceptLostIn, (place) => place.accepts + place.acceptsAgain),
    small: first.small,
    stalls: most((stats) => stats.stalls),
    stallMs: most((stats) => (stats.stalls > 0 ? stats.stallNs / stats.stalls : 0)) / NS_PER_MS,
  };
}

const placeOf = ({ device, netns, out }: Place): StreamPlace => ({ device, netns, out });
const sharesOf = (stats: PlaceStats): number => stats.segments;
const troubles = (stats: PlaceStats): number =>
  stats.lost + stats.reordered + stats.duplicates + stats.again + stats.stalls;

/** The stretch where most of it happened. */
function worst(
  stretches: readonly Stretch[],
  count: (stretch: Stretch) => number,
  of: (stats: PlaceStats) => number,
): Where {
  let where = NOWHERE;
  for (const stretch of stretches) {
    const n = count(stretch);
    if (n <= where.count) continue;
    const { before, after, outside } = stretch;
    const all = Math.max(before ? of(before.stats) : 0, after ? of(after.stats) : 0, n);
    where = {
      count: n,
      percent: Math.round((1000 * n) / all) / 10,
      after: before?.device ?? '',
      before: after?.device ?? '',
      netns: (before ?? after)!.netns,
      outside,
    };
  }
  return where;
}

/** More of it behind a stretch than before it. */
function grown({ before, after }: Stretch, read: (stats: PlaceStats) => number): number {
  return after ? Math.max(0, read(after.stats) - (before ? read(before.stats) : 0)) : 0;
}

/**
 * Segments that were lost on a stretch. Where both sides of it are seen, the bytes that went in and did not come out, unless
 * nothing was sent again: then they are still under way when the trace ends; where only its end is, gaps that a retransmission filled; where only its beginning is, what was sent again without an
 * acknowledgement seen.
 */
function lostIn({ before, after }: Stretch): number {
  if (!after) return before!.stats.again - before!.stats.needless;
  if (!before) return after.stats.lost;
  if (before.stats.again === 0) return 0;
  const mean = before.stats.bytes / Math.max(1, before.stats.segments);
  const cameOut = after.stats.bytes - Math.max(0, after.stats.duplicateBytes - before.stats.duplicateBytes);
  return Math.max(0, Math.round((before.stats.bytes - cameOut) / Math.max(1, mean)));
}

/** Segments that came out of order on it: of what filled a gap behind it, all that was not lost. */
function reorderedIn(stretch: Stretch): number {
  const { before, after } = stretch;
  if (!before || !after) return after?.stats.reordered ?? 0;
  const filled = grown(stretch, (stats) => stats.reordered) + grown(stretch, (stats) => stats.lost);
  return Math.max(0, filled - lostIn(stretch));
}

/** Bare acknowledgements that were lost on a stretch and for want of which the other end sent again. */
function acksLostIn({ before, after }: Stretch): number {
  if (!before) return 0;
  if (!after) return before.stats.repeatedAfter;
  return Math.min(before.stats.acks - after.stats.acks, before.stats.repeatedAfter - after.stats.repeatedAfter);
}

function openLostIn({ before, after }: Stretch): number {
  if (!before) return 0;
  const sent = before.stats.opens + before.stats.opensAgain;
  return after ? sent - after.stats.opens - after.stats.opensAgain : before.stats.opensAgain;
}

function acceptLostIn({ before, after }: Stretch): number {
  if (!before) return 0;
  const sent = before.stats.accepts + before.stats.acceptsAgain;
  return after ? sent - after.stats.accepts - after.stats.acceptsAgain : before.stats.acceptsAgain;
}

function isTroubled(stats: StreamStats): boolean {
  const { again, stalls, lost, acksLost, reordered, duplicated, openLost, acceptLost } = stats;
  return (
    again + stalls + [lost, acksLost, reordered, duplicated, openLost, acceptLost].reduce((n, w) => n + w.count, 0) > 0
  );
}
