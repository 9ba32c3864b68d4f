import type { Analysis } from '../../src/analysis/types.js';
import type { LatencyStats, PairStats, SegmentStats } from '../../src/paths/types.js';
import type { FindingGroup } from '../../src/rules/types.js';

/** A latency distribution with everything at `value` ms. */
export function latency(value: number, count = 200): LatencyStats {
  return { count, p50: value, p90: value, p99: value, p999: value, max: value, mean: value };
}

/** A segment of kind `kind` on `device`, all packets taking `value` ms. */
export function segment(kind: string, device: string, value: number, more: Partial<SegmentStats> = {}): SegmentStats {
  return {
    spec: { id: kind, kind, from: {}, to: {}, label: '', labelZh: '', budgetMs: 1 },
    direction: 'forward',
    label: `${device} ${kind}`,
    labelZh: `${device} ${kind}`,
    device,
    fromDevice: device,
    netns: 1,
    latency: latency(value),
    entered: 200,
    lost: 0,
    share: 0,
    ...more,
  };
}

export function pair(segments: SegmentStats[], more: Partial<PairStats> = {}): PairStats {
  return {
    id: 0,
    a: '10.0.0.1',
    b: '10.0.0.2',
    aDevice: 'tap1',
    aNetns: 1,
    bDevice: 'tap2',
    bNetns: 1,
    packets: { forward: 200, reverse: 200 },
    bytes: { forward: 20_000, reverse: 20_000 },
    drops: { forward: 0, reverse: 0 },
    protocols: ['ICMP'],
    seconds: 10,
    roundTrips: latency(1),
    turnaround: latency(0.2),
    segments,
    ...more,
  };
}

export function finding(rule: string, more: Partial<FindingGroup> = {}): FindingGroup {
  return {
    rule,
    level: 'error',
    layer: 'lifecycle',
    article: 'x/y',
    tags: ['drop'],
    count: 3,
    firstTs: 1,
    lastTs: 2,
    message: `${rule} happened`,
    messageZh: `${rule} 发生`,
    subject: { device: 'tap1', netns: 1 },
    flows: [{ flow: 'TCP 10.0.0.1:4711 → 10.0.0.2:80', count: 3 }],
    samples: [],
    ...more,
  };
}

export function analysis(more: Partial<Analysis> = {}): Analysis {
  return {
    events: 1000,
    packets: 400,
    roundTrips: 200,
    firstTs: 0,
    lastTs: 10e9,
    pairs: [],
    pairsNotShown: 0,
    findings: [],
    paths: [],
    sched: [],
    devices: [],
    loss: {},
    qdiscWait: [],
    ...more,
  };
}
