import { EventCursor } from '../../src/events/cursor.js';
import { FLAG } from '../../src/events/layout.js';
import type { PathAnalysis } from '../../src/paths/summary.js';
import { PathTracker, type TrackerOptions } from '../../src/paths/tracker.js';
import type { HostDevice } from '../../src/paths/host-devices.js';
import type { SegmentSpec } from '../../src/paths/types.js';
import { type PacketInput, TEST_LAYOUT, TEST_NAMES, TEST_PLAN, WireWriter } from './wire.js';

export const US = 1000;
export const MS = 1_000_000;

/** A place where a packet passes. */
export interface At {
  dev: string;
  ifindex: number;
  netns?: number;
}

export const TAP1: At = { dev: 'tap1', ifindex: 5, netns: 100 };
export const TAP2: At = { dev: 'tap2', ifindex: 6, netns: 100 };
export const HOST_DEVICES: HostDevice[] = [
  { netns: 100, ifindex: 5, name: 'tap1', kind: 'tap', master: 'br0', masterKind: 'bridge', guest: 'web-1' },
  { netns: 100, ifindex: 6, name: 'tap2', kind: 'tap', master: 'br0', masterKind: 'bridge', guest: 'db-1' },
];

/** The segments of vm-to-vm-latency, as far as tests of paths need them. */
export const SEGMENTS: SegmentSpec[] = [
  {
    ...{ id: 'forwarding', kind: 'forwarding', budgetMs: 1 },
    from: { role: 'receive' },
    to: { role: 'queue', device: 'other' },
    label: '{{from.device}} in → {{via}} → {{to.device}} queue',
    labelZh: '{{from.device}} 入 → {{via}} → {{to.device}} 队列',
  },
  {
    ...{ id: 'qdisc', kind: 'qdisc', budgetMs: 1 },
    from: { role: 'queue' },
    to: { role: 'transmit', device: 'same' },
    label: '{{to.device}} queue → driver',
    labelZh: '{{to.device}} 队列 → 驱动',
  },
  {
    ...{ id: 'driver', kind: 'driver', budgetMs: 1 },
    from: { role: 'transmit' },
    to: { role: 'transmitted', device: 'same' },
    label: '{{to.device}} driver',
    labelZh: '{{to.device}} 驱动',
  },
  {
    ...{ id: 'ring', kind: 'ring', budgetMs: 1 },
    from: { role: 'transmitted', deviceKind: ['tap'] },
    to: { role: 'deliver', device: 'same' },
    label: '{{from.device}} ring → read by {{consumer}}',
    labelZh: '{{from.device}} 环 → 由 {{consumer}} 读取',
  },
  {
    ...{ id: 'link', kind: 'ring', budgetMs: 1 },
    from: { role: 'transmitted', deviceKind: ['veth'] },
    to: { role: 'receive', device: 'other' },
    label: '{{from.device}} → {{to.device}}',
    labelZh: '{{from.device}} → {{to.device}}',
  },
  {
    ...{ id: 'turnaround', kind: 'peer', budgetMs: 20 },
    from: { role: 'deliver' },
    to: { role: 'receive' },
    label: '{{peer}} turnaround',
    labelZh: '{{peer}} 应答',
  },
];

/** Simulated traffic, as the tracepoints of a host report it. Times in ns from a start of its own. */
export class Traffic {
  readonly writer = new WireWriter();
  private paths = 0;
  private skbs = 0x1000_0000;

  /** A packet is seen first; what follows on it is told by the returned {@link Packet}. */
  packet(ts: number, probe: string, at: At, headers: Partial<PacketInput>): Packet {
    const packet = new Packet(this.writer, ++this.paths, (this.skbs += 256));
    this.writer.packet({ ...at, len: 98, ...headers, ts, probe, path: packet.path, skb: packet.skb });
    return packet;
  }

  /** From tap to tap over a bridge, read by the second one's consumer; returns when it was read. */
  tapToTap(
    ts: number,
    from: At,
    to: At,
    headers: Partial<PacketInput>,
    wait: { qdisc?: number; ring?: number } = {},
  ): number {
    const packet = this.packet(ts, 'netif_receive_skb', from, headers);
    const driver = ts + 48 * US + (wait.qdisc ?? 30 * US);
    const read = driver + 13 * US + (wait.ring ?? 32 * US);
    packet
      .hop(ts + 48 * US, 'net_dev_queue', to)
      .hop(driver, 'net_dev_start_xmit', to)
      .hop(driver + 13 * US, 'net_dev_xmit', to)
      .hop(read, 'skb_copy_datagram_iovec', to, { pid: to.ifindex + 4705 })
      .hop(read + 10 * US, 'consume_skb', to, { flags: FLAG.freed });
    return read;
  }

  analyse(options: Partial<TrackerOptions> = {}, cuts: number[] = []): PathAnalysis {
    const context = { wire: TEST_LAYOUT, plan: TEST_PLAN, names: TEST_NAMES };
    const cursor = new EventCursor(context);
    const tracker = new PathTracker(cursor, context, {
      ...{ segments: SEGMENTS, roundTrips: true, devices: HOST_DEVICES },
      ...options,
    });
    for (const batch of this.writer.batches(cuts)) {
      cursor.load(batch);
      while (cursor.next()) tracker.next(cursor);
    }
    return tracker.finish();
  }
}

/** One simulated packet under way. */
export class Packet {
  constructor(
    private readonly writer: WireWriter,
    readonly path: number,
    readonly skb: number,
  ) {}

  hop(
    ts: number,
    probe: string,
    at: At,
    more: { pid?: number; tid?: number; flags?: number; skb?: number; aux?: number; ret?: number } = {},
  ): this {
    this.writer.hop({ ...at, len: 98, ts, probe, path: this.path, skb: this.skb, ...more });
    return this;
  }

  /** Its headers changed on the way. */
  changed(ts: number, probe: string, at: At, flagsWire: number, headers: Partial<PacketInput>): this {
    this.writer.packet({ ...at, len: 98, ...headers, ts, probe, path: this.path, skb: this.skb, flagsWire });
    return this;
  }
}

/** An ICMP echo: request, or with `reply` its answer. */
export function echo(src: string, dst: string, seq: number, reply = false): Partial<PacketInput> {
  return { src, dst, proto: 'icmp', sport: 77, dport: seq, icmpType: reply ? 0 : 8, ipId: 1000 + seq, payload: 56 };
}
