import { ms } from '../base/units.js';
import type { Analysis } from '../analysis/types.js';
import type { PairStats, SchedStats, SegmentStats, StreamStats } from '../paths/types.js';
import type { FindingGroup } from '../rules/types.js';
import { judgedLatency, overBudget } from './budget.js';
import { flowsOf } from './flow-subjects.js';
import { streamSubjects } from './stream-subjects.js';
import { hopSubjects } from './hops.js';
import type { DiagnosisRule } from './types.js';
import { isGroup, isUnanswered } from './unheard.js';

/** What one engine run is about: the fact `subject`, and what it was made of. */
export interface Subject {
  /** Plain members that conditions and templates may name. */
  data: Record<string, string | number | boolean>;
  finding?: FindingGroup;
  segment?: SegmentStats;
  pair?: PairStats;
  sched?: SchedStats;
  stream?: StreamStats;
  /** It is about this one of its finding's flows. */
  flow?: string;
}

/** The suspects of a diagnosis rule: one for each group of findings, slow place, pair, thread or host it asks about. */
export function subjectsOf(rule: DiagnosisRule, analysis: Analysis): Subject[] {
  const { findings, segments, each } = rule.suspect;
  const subjects: Subject[] = [];
  if (findings) {
    for (const group of analysis.findings.filter(({ rule }) => findings.includes(rule))) {
      if (each === 'flow') subjects.push(...flowSubjects(group, analysis));
      else subjects.push(findingSubject(group, analysis));
    }
  }
  if (segments) subjects.push(...segmentSubjects(segments, analysis));
  if (each === 'pair') subjects.push(...analysis.pairs.map((pair) => ({ data: pairData(pair), pair })));
  if (each === 'unanswered') subjects.push(...unansweredSubjects(analysis));
  if (each === 'end') subjects.push(...endSubjects(analysis));
  if (each === 'stream') subjects.push(...streamSubjects(analysis));
  if (each === 'hop') subjects.push(...hopSubjects(analysis));
  if (each === 'sched') subjects.push(...analysis.sched.map((sched) => ({ data: schedData(sched), sched })));
  if (each === 'host') subjects.push({ data: {} });
  return subjects;
}

/** Of a sample that was followed: the TTL that it was first seen with, and how often its device received it. */
function sentWith(group: FindingGroup, { paths }: Analysis): { firstTtl: number; visits: number } {
  const sample = group.samples.find((event) => event.packet);
  const path = paths.find(({ id }) => id === sample?.path);
  const firstTtl = path?.events.find((event) => (event.packet?.ttl ?? 0) > 0)?.packet?.ttl ?? sample?.packet?.ttl ?? 0;
  const visits = path?.events.filter(
    ({ role, device, netns }) => role === 'receive' && device === sample?.device && netns === sample.netns,
  ).length;
  return { firstTtl, visits: visits ?? 0 };
}

function findingSubject(group: FindingGroup, analysis: Analysis): Subject {
  const sample = group.samples.find((event) => event.packet);
  const packet = sample?.packet;
  const length = sample?.len ?? 0;
  return {
    finding: group,
    data: {
      ...(packet && {
        src: packet.src,
        dst: packet.dst,
        sport: packet.sport,
        dport: packet.dport,
        proto: packet.proto,
        ttl: packet.ttl,
        length,
        wireLength:
          packet.gsoSize > 0 && packet.payload > packet.gsoSize ? length - packet.payload + packet.gsoSize : length,
        smac: packet.smac,
        ...sentWith(group, analysis),
      }),
      ...group.subject,
      rule: group.rule,
      level: group.level,
      count: group.count,
      seconds: (group.lastTs - group.firstTs) / 1e9,
      flow: group.flows[0]?.flow ?? '',
      message: group.message,
    },
  };
}

/** A group of findings once for each of its flows; as a whole when it has none. */
function flowSubjects(group: FindingGroup, analysis: Analysis): Subject[] {
  const subject = findingSubject(group, analysis);
  const flows = flowsOf(group, analysis.pairs);
  return flows.length === 0
    ? [subject]
    : flows.map((flow) => ({ ...subject, flow: flow.flow, data: { ...subject.data, ...flow } }));
}

/** Pairs of which one end alone was heard, each at the device that took in its packets farthest on their way. */
function unansweredSubjects({ pairs, paths }: Analysis): Subject[] {
  return pairs.flatMap((pair): Subject[] => {
    if (!isUnanswered(pair.packets.forward) || pair.packets.reverse > 0 || isGroup(pair.b)) return [];
    const ways = paths
      .filter((path) => path.pair === pair.id)
      .map(({ events }) => events.filter(({ role, device }) => role === 'receive' && device !== ''));
    const farthest = ways.reduce((x, y) => (y.length > x.length ? y : x), []);
    const last = farthest.at(-1);
    if (!last) return [];
    const { device, netns } = last;
    const [src, dst, count] = [pair.a, pair.b, pair.packets.forward];
    const flow = `${src} → ${dst}`;
    return [{ pair, data: { device, netns, ...beforeLast(pair, netns, paths), src, dst, count, flow } }];
  });
}

/** Where the packets of a pair left the namespace that they were in before the last one, seen from this host. */
function beforeLast(pair: PairStats, last: number, paths: Analysis['paths']): { via?: number; viaDevice?: string } {
  for (const { events } of paths.filter((path) => path.pair === pair.id)) {
    const end = events.findIndex(({ role, netns }) => role === 'receive' && netns === last);
    const left = events.slice(0, Math.max(0, end)).findLast(({ role, netns }) => role === 'queue' && netns !== last);
    if (left) return { via: left.netns, viaDevice: left.device };
  }
  return {};
}

/**
 * Both ends of every pair, each in the namespace that its own packets come from or, when it was not heard, that packets
 * for it reached last. Evidence tells whether it lives there: a guest's packets come from the host's namespace.
 */
function endSubjects({ pairs, paths }: Analysis): Subject[] {
  return pairs.flatMap((pair) =>
    [true, false].flatMap((first): Subject[] => {
      const [address, peer] = first ? [pair.a, pair.b] : [pair.b, pair.a];
      if (address === '' || isGroup(address) || isGroup(peer)) return [];
      const reached = (): number | undefined =>
        paths
          .filter((path) => path.pair === pair.id && path.events.some(({ packet }) => packet?.dst === address))
          .map(({ events }) => events.filter(({ netns }) => netns > 0))
          .reduce((x, y) => (y.length > x.length ? y : x), [])
          .at(-1)?.netns;
      const netns = (first ? pair.aNetns : pair.bNetns) || reached();
      if (!netns) return [];
      const { forward, reverse } = pair.packets;
      const [packetsFrom, packetsTo] = first ? [forward, reverse] : [reverse, forward];
      const { seconds } = pair;
      const flow = `${peer} → ${address}`;
      return [{ pair, data: { address, peer, netns, packetsFrom, packetsTo, seconds, flow } }];
    }),
  );
}

/** One subject for each (kind, device, direction of travel) over all pairs: the pair that suffers most speaks for it. */
function segmentSubjects(kinds: string[], analysis: Analysis): Subject[] {
  const worst = new Map<string, { pair: PairStats; segment: SegmentStats; lost: number; pairs: number }>();
  for (const pair of analysis.pairs) {
    for (const segment of pair.segments) {
      if (!kinds.includes(segment.spec.kind) || segment.latency.count + segment.lost === 0) continue;
      const key = [segment.spec.kind, segment.netns, segment.device, segment.fromDevice].join(' ');
      const known = worst.get(key);
      if (!known) worst.set(key, { pair, segment, lost: segment.lost, pairs: 1 });
      else {
        known.pairs++;
        known.lost += segment.lost;
        const more = suffersMore(segment, known.segment);
        const [speaks, other] = more ? [segment, known.segment] : [known.segment, segment];
        Object.assign(known, { pair: more ? pair : known.pair, segment: withReaderOf(other, speaks) });
      }
    }
  }
  return [...worst.values()].map(({ pair, segment, lost, pairs }) => ({
    segment,
    pair,
    data: { ...segmentData(segment, pair), ...slowestThread(segment, analysis), lostAllPairs: lost, pairs },
  }));
}

/** So many lost packets may have been under way when the trace began or ended. */
const FEW = 2;

/** A ring has one reader, whichever pair's packets it takes: of those that it left nothing tells of it but what it took of others. */
function withReaderOf(other: SegmentStats, speaks: SegmentStats): SegmentStats {
  if (speaks.spec.kind !== 'ring') return speaks;
  const latency = speaks.latency.count > 0 ? speaks.latency : other.latency;
  return { ...speaks, latency, consumer: speaks.consumer ?? other.consumer };
}

/** Slower than allowed before lossy before slow: a lone packet that waited longest is not what a burst lost of it. */
function suffersMore(x: SegmentStats, y: SegmentStats): boolean {
  const [isSlow, wasSlow] = [x, y].map((one) => overBudget(one) && (one.latency.count > FEW || one.lost > FEW));
  if (isSlow !== wasSlow) return isSlow!;
  if (x.lost > FEW !== y.lost > FEW) return x.lost > FEW;
  if (overBudget(x) !== overBudget(y)) return overBudget(x);
  return x.latency.p99 > y.latency.p99;
}

/** Of a peer's threads, any may keep it from answering: the one that waits longest for a CPU speaks for them. */
function slowestThread({ spec, consumer }: SegmentStats, analysis: Analysis): { consumerTid?: number } {
  const threads = spec.kind === 'peer' ? analysis.sched.filter(({ pid }) => pid === consumer?.pid) : [];
  if (threads.length === 0) return {};
  return { consumerTid: threads.reduce((x, y) => (y.wait.max > x.wait.max ? y : x)).tid };
}

/** The members of a segment as conditions and templates name them. Latencies in ms. */
export function segmentData(segment: SegmentStats, pair: PairStats): Record<string, string | number | boolean> {
  const { latency, spec } = segment;
  const forward = segment.direction === 'forward';
  return {
    kind: spec.kind,
    segment: spec.id,
    direction: segment.direction,
    device: segment.device,
    fromDevice: segment.fromDevice,
    netns: segment.netns,
    label: segment.label,
    labelZh: segment.labelZh,
    count: latency.count,
    p50: ms(latency.p50),
    p99: ms(latency.p99),
    max: ms(latency.max),
    p50Ms: latency.p50,
    p90Ms: latency.p90,
    p99Ms: latency.p99,
    maxMs: latency.max,
    meanMs: latency.mean,
    entered: segment.entered,
    lost: segment.lost,
    stuck: segment.lost - (segment.dropped ?? 0),
    share: segment.share,
    sharePercent: Math.round(segment.share * 100),
    budgetMs: spec.budgetMs ?? 0,
    overBudget: overBudget(segment),
    judgedMs: judgedLatency(segment),
    consumerPid: segment.consumer?.pid ?? 0,
    consumerTid: segment.consumer?.tid ?? 0,
    softirq: segment.consumer?.softirq ?? false,
    /** The end towards which this direction goes. */
    to: forward ? pair.b : pair.a,
    from: forward ? pair.a : pair.b,
    flow: `${forward ? pair.a : pair.b} → ${forward ? pair.b : pair.a}`,
    roundTripP99Ms: pair.roundTrips.p99,
    roundTrips: pair.roundTrips.count,
    drops: forward ? pair.drops.forward : pair.drops.reverse,
    bytes: forward ? pair.bytes.forward : pair.bytes.reverse,
    meanBytes: Math.round(
      (forward ? pair.bytes.forward : pair.bytes.reverse) /
        Math.max(1, forward ? pair.packets.forward : pair.packets.reverse),
    ),
    seconds: pair.seconds,
  };
}

/** The members of a pair as conditions and templates name them. */
export function pairData(pair: PairStats): Record<string, string | number | boolean> {
  return {
    a: pair.a,
    b: pair.b,
    aDevice: pair.aDevice,
    bDevice: pair.bDevice,
    netns: pair.aNetns,
    flow: `${pair.a} ⇄ ${pair.b}`,
    packets: pair.packets.forward + pair.packets.reverse,
    packetsForward: pair.packets.forward,
    packetsReverse: pair.packets.reverse,
    drops: pair.drops.forward + pair.drops.reverse,
    roundTrips: pair.roundTrips.count,
    roundTripP50Ms: pair.roundTrips.p50,
    roundTripP99Ms: pair.roundTrips.p99,
    turnaroundP99Ms: pair.turnaround.p99,
  };
}

function schedData(sched: SchedStats): Record<string, string | number | boolean> {
  return {
    pid: sched.pid,
    tid: sched.tid,
    comm: sched.comm,
    count: sched.wait.count,
    p50Ms: sched.wait.p50,
    p99Ms: sched.wait.p99,
    maxMs: sched.wait.max,
  };
}
