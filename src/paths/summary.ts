import { isSoftirqThread } from '../base/kernel-threads.js';
import { fillTemplate } from '../base/template.js';
import type { EventCursor } from '../events/cursor.js';
import type { Device } from '../events/interned.js';
import type { HostDevices } from './host-devices.js';
import type { Pair, PairTable, Trips } from './pair.js';
import { viewOf } from './samples.js';
import type { SegmentCell, SegmentMeter } from './segments.js';
import { streamsOf } from './stream-summary.js';
import type { PairStats, PathView, SchedStats, SegmentSpec, SegmentStats, StreamStats, LatencyStats } from './types.js';
import type { QdiscWaits, SchedWaits } from './waits.js';

/** What paths give to the analysis of a run (the rest are the findings and the count of events). */
export interface PathAnalysis {
  packets: number;
  roundTrips: number;
  firstTs: number;
  lastTs: number;
  pairs: PairStats[];
  pairsNotShown: number;
  paths: PathView[];
  sched: SchedStats[];
  devices: { netns: number; ifindex: number; name: string }[];
  loss: { pathsForgotten: number; recordsUnreadable: number };
  leftOut: LeftOut;
  qdiscWait: { device: string; netns: number; latency: LatencyStats }[];
}

/** What was seen and is not in the analysis, because memory is bounded. All zero on all but absurd runs. */
export interface LeftOut {
  /** Pairs that were only counted. */
  pairs: number;
  /** Events of packets that had too many of them. */
  pathEvents: number;
  /** Conversations whose addresses were forgotten, each way counted: later packets count as new ones. */
  flows: number;
  /** Waits in queues of devices, and for a CPU of threads, beyond those that are measured. */
  queueWaits: number;
  cpuWaits: number;
}

export interface SummaryInput {
  cursor: EventCursor;
  /** Another cursor of the same kind, to read kept records with. */
  reader: EventCursor;
  pairs: PairTable;
  meter: SegmentMeter;
  devices: HostDevices;
  qdiscs: QdiscWaits;
  sched: SchedWaits;
  /** The peer's turnaround, when the scenario names it. */
  peer?: SegmentSpec;
  sampledPairs: number;
  counts: {
    packets: number;
    roundTrips: number;
    firstTs: number;
    lastTs: number;
    forgotten: number;
    hopsLeftOut: number;
    flowsForgotten: number;
  };
}

/** Makes plain data of what was counted and measured; busiest pairs first. */
export function summarise(input: SummaryInput): PathAnalysis {
  const { cursor, counts } = input;
  const { truncated, unknownKind, unknownProbe } = cursor.counts;
  const pairs = input.pairs.all().sort((x, y) => y.total - x.total || x.serial - y.serial);
  const streams = streamsOf(pairs, cursor, input.devices);
  return {
    packets: counts.packets,
    roundTrips: counts.roundTrips,
    firstTs: counts.firstTs,
    lastTs: counts.lastTs,
    pairs: pairs.map((pair, id) => pairStats(pair, id, input, streams.get(pair))),
    pairsNotShown: input.pairs.notShown,
    paths: pairs
      .slice(0, input.sampledPairs)
      .flatMap((pair, id) => pair.samples?.all().map((sample) => viewOf(sample, id, input.reader)) ?? []),
    sched: input.sched.stats(),
    devices: cursor.devices.all.slice(1).map(({ netns, ifindex, name }) => ({ netns, ifindex, name })),
    loss: { pathsForgotten: counts.forgotten, recordsUnreadable: truncated + unknownKind + unknownProbe },
    leftOut: {
      pairs: input.pairs.notShown,
      pathEvents: counts.hopsLeftOut,
      flows: counts.flowsForgotten,
      queueWaits: input.qdiscs.leftOut,
      cpuWaits: input.sched.leftOut,
    },
    qdiscWait: input.qdiscs.stats(),
  };
}

function pairStats(pair: Pair, id: number, input: SummaryInput, streams: StreamStats[] | undefined): PairStats {
  const aDevice = pair.aDevices.main;
  const bDevice = pair.bDevices.main;
  // Round trips begun by a, unless it is b that asks nearly all the questions (a download's data, acknowledged by a).
  const begun = pair.trips[0].total.count * 4 >= pair.trips[1].total.count ? 0 : 1;
  const trips = pair.trips[begun];
  const segments = pair.cells
    .filter((cell) => isTelling(cell, input))
    .sort((x, y) => Number(x.reverse) - Number(y.reverse) || byPlace(x, y))
    .map((cell) => segmentStats(cell, begun, trips, input));
  const peer = input.peer && trips.total.count > 0 && peerSegment(input.peer, pair, begun, input);
  const drops = (direction: 0 | 1): number => pair.drops[direction];
  return {
    id,
    a: pair.a,
    b: pair.b,
    aDevice: aDevice?.name ?? '',
    aNetns: aDevice?.netns ?? 0,
    bDevice: bDevice?.name ?? '',
    bNetns: bDevice?.netns ?? 0,
    packets: { forward: pair.packets[0], reverse: pair.packets[1] },
    ...(pair.linkPackets.some((packets) => packets > 0) && {
      linkPackets: { forward: pair.linkPackets[0], reverse: pair.linkPackets[1] },
    }),
    bytes: { forward: pair.bytes[0], reverse: pair.bytes[1] },
    drops: { forward: drops(0), reverse: drops(1) },
    protocols: [...pair.protocols].sort((x, y) => y[1] - x[1] || (x[0] < y[0] ? -1 : 1)).map(([name]) => name),
    seconds: Math.max(0, pair.lastTs - pair.firstTs) / 1e9,
    roundTrips: trips.total.stats(),
    turnaround: trips.turnaround.stats(),
    turnaroundOf: begun === 0 ? 'b' : 'a',
    segments: peer ? [...segments, peer] : segments,
    ...(streams && { streams }),
  };
}

/** In the order of the way; what no packet ever left comes last. */
function byPlace(x: SegmentCell, y: SegmentCell): number {
  if (x.offset !== y.offset) return x.offset < y.offset ? -1 : 1;
  return x.index - y.index;
}

/** A segment that nothing ever left is only told of where guests' packets enter: there they must go on. */
function isTelling(cell: SegmentCell, input: SummaryInput): boolean {
  if (cell.to !== 0 || cell.latency.count > 0) return true;
  const kind = input.devices.kind(input.cursor.devices.all[cell.from]);
  return kind === 'tap' || kind === 'macvtap';
}

function segmentStats(cell: SegmentCell, begun: 0 | 1, trips: Trips, input: SummaryInput): SegmentStats {
  const { meter, cursor, devices } = input;
  const spec = meter.spec(cell);
  const from = cursor.devices.all[cell.from];
  // The reader of a socket has no device: the segment is that of the device where it began.
  const to = cursor.devices.all[cell.to];
  const place = to.id === 0 ? from : to;
  const isReader = spec.to.role === 'deliver' && cell.tid !== 0;
  // What a device receives is taken in by whatever task is interrupted, unless it is a thread that does this alone.
  const isSoftirq = spec.to.role === 'receive' && isSoftirqThread(input.sched.comm(cell.tid) ?? '');
  const consumer =
    isReader || isSoftirq
      ? { pid: cell.pid, tid: cell.tid, ...(isSoftirq && { softirq: true as const }) }
      : spec.to.role === 'deliver'
        ? readerOf(place, input)
        : undefined;
  const latency = cell.latency.stats();
  const data = (zh: boolean): Record<string, unknown> => ({
    from: { device: from.name },
    to: { device: to.name || undefined, pid: cell.pid || undefined, comm: input.sched.comm(cell.tid) },
    consumer: consumerText(place, consumer, input, zh),
    via: viaText(from, to, devices, zh),
  });
  return {
    spec,
    direction: cell.reverse ? 'reverse' : 'forward',
    label: fillTemplate(spec.label, data(false)),
    labelZh: fillTemplate(spec.labelZh, data(true)),
    device: place.name,
    fromDevice: from.name,
    netns: place.netns,
    ...(consumer && { consumer }),
    latency,
    entered: latency.count + cell.lost,
    lost: cell.lost,
    dropped: cell.dropped,
    share: trips.sum > 0 ? cell.inTrips[begun] / trips.sum : 0,
  };
}

/** The peer's turnaround as a segment, so that diagnoses can ask for it like for any other. */
function peerSegment(spec: SegmentSpec, pair: Pair, begun: 0 | 1, input: SummaryInput): SegmentStats {
  const trips = pair.trips[begun];
  const devices = begun === 0 ? pair.bDevices : pair.aDevices;
  const device = devices.main ?? input.cursor.devices.none;
  const peer = input.devices.find(device)?.guest ?? (begun === 0 ? pair.b : pair.a);
  const consumer = readerOf(device, input);
  const latency = trips.turnaround.stats();
  return {
    spec,
    direction: begun === 0 ? 'forward' : 'reverse',
    label: fillTemplate(spec.label, { peer }),
    labelZh: fillTemplate(spec.labelZh, { peer }),
    device: device.name,
    fromDevice: device.name,
    netns: device.netns,
    ...(consumer && { consumer }),
    latency,
    entered: latency.count,
    lost: 0,
    share: trips.sum > 0 ? Math.min(1, (trips.turnaround.mean * latency.count) / trips.sum) : 0,
  };
}

/** Who holds the device open, whether or not it was seen to read. */
function readerOf(device: Device, { devices }: SummaryInput): { pid: number; tid: number } | undefined {
  const consumer = devices.find(device)?.consumer;
  return consumer && { pid: consumer.pid, tid: consumer.tids[0] ?? consumer.pid };
}

/** `db-1 (qemu 4711)`, `qemu 4711`, `pid 4711`, or `its reader` when nobody is known. */
function consumerText(
  device: Device,
  thread: { pid: number; tid: number } | undefined,
  input: SummaryInput,
  zh: boolean,
): string {
  const known = input.devices.find(device);
  const pid = thread?.pid ?? known?.consumer?.pid;
  const comm =
    (thread && input.sched.comm(thread.tid)) ??
    (known?.consumer && known.consumer.pid === pid ? known.consumer.comm : undefined);
  const program = pid === undefined ? undefined : `${comm ?? 'pid'} ${pid}`;
  if (known?.guest) return program ? `${known.guest} (${program})` : known.guest;
  return program ?? (zh ? '其读取者' : 'its reader');
}

/** What lies between two devices: the bridge or switch of both, else this host. */
function viaText(from: Device, to: Device, devices: HostDevices, zh: boolean): string {
  const one = devices.find(from);
  const other = devices.find(to);
  const same = one?.master === other?.master && one?.netns === other?.netns;
  if (one?.master !== undefined && (same || to.id === 0)) {
    if (one.masterKind === 'openvswitch') return 'OVS';
    return zh ? '网桥' : 'bridge';
  }
  return zh ? '本机' : 'host';
}
