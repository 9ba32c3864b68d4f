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

/** How TCP fared in each direction of a pair; nothing for a direction without any trouble. */
export function streamsOf(pair: Pair, cursor: EventCursor, devices: HostDevices): StreamStats[] {
  if (!pair.streams) return [];
  return ([0, 1] as const).flatMap((direction): StreamStats[] => {
    const places = placesOf(pair, direction, cursor, devices);
    if (places.length === 0) return [];
    const answers = placesOf(pair, direction === 0 ? 1 : 0, cursor, devices);
    const stats = describe(places, answers, direction === 1);
    return isTroubled(stats) ? [stats] : [];
  });
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
    reordered: worst(stretches, (stretch) => grown(stretch, (stats) => stats.reordered), sharesOf),
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
 * Segments that were lost on a stretch. Where both sides of it are seen, bytes that went in and did not come out count too
 * (the last ones leave no gap); where only its beginning is, what was sent again without an acknowledgement seen.
 */
function lostIn(stretch: Stretch): number {
  const { before, after } = stretch;
  if (!after) return before!.stats.again - before!.stats.needless;
  const gaps = grown(stretch, (stats) => stats.lost);
  if (!before) return gaps;
  const mean = before.stats.bytes / Math.max(1, before.stats.segments);
  const doubled = grown(stretch, (stats) => stats.duplicates);
  const vanished = Math.round((before.stats.bytes - after.stats.bytes) / Math.max(1, mean)) + doubled;
  return Math.max(gaps, vanished);
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
