import type { PipelineOptions } from '../../src/analysis/pipeline.js';
import type { EventRule } from '../../src/rules/types.js';
import { FLAG } from '../../src/events/layout.js';
import { TEST_LAYOUT, TEST_PLAN, WireWriter } from '../support/wire.js';

export const DROP_RULE: EventRule = {
  id: 'lifecycle.test-drop',
  layer: 'lifecycle',
  level: 'error',
  on: ['role:drop'],
  when: { all: [{ fact: 'event.dropped', operator: 'equal', value: true }] },
  message: '{{event.device}} dropped {{packet.summary}}: {{event.reason}} at {{event.location}}',
  article: 'lifecycle/test-drop',
  tags: ['drop'],
  source: 'test:1:1',
};

const SLOW_RULE: EventRule = {
  ...DROP_RULE,
  id: 'l2.test-slow',
  layer: 'l2',
  level: 'warn',
  on: ['net_dev_start_xmit'],
  when: { any: [{ fact: 'path.sinceLastMs', operator: 'greaterThan', value: 1 }] },
  message: '{{event.device}} slow after {{path.lastProbe}}',
};

/** A pipeline of two rules and two segments over the tests' plan. */
export function sampleOptions(changes: Partial<PipelineOptions> = {}): PipelineOptions {
  const segment = { labelZh: '', budgetMs: 1 };
  return {
    plan: TEST_PLAN,
    wire: TEST_LAYOUT,
    dropReasons: { 2: 'NOT_SPECIFIED', 70: 'QDISC_DROP' },
    paths: {
      roundTrips: true,
      limits: { paths: 1024, hops: 8192 },
      segments: [
        {
          ...segment,
          id: 'in',
          kind: 'forwarding',
          from: { role: 'receive' },
          to: { role: 'queue', device: 'other' },
          label: '{{from.device}} → {{to.device}}',
        },
        {
          ...segment,
          id: 'wait',
          kind: 'qdisc',
          from: { role: 'queue' },
          to: { role: 'transmit', device: 'same' },
          label: '{{to.device}} queue',
        },
      ],
    },
    rules: [DROP_RULE, SLOW_RULE],
    ...changes,
  };
}

/** Address (low 48 bits) of the code that drops in {@link echoes}. */
export const DROP_AT = 0xffff_8000;

/**
 * So many echo requests from tap1 to tap2 with their replies; each fifth request waits 5 ms in tap2's queue, each
 * seventh is dropped there instead of transmitted.
 */
export function echoes(count: number, writer = new WireWriter()): WireWriter {
  let ts = 1_000_000_000_000;
  const pass = (path: number, back: boolean, seq: number): void => {
    const [from, to] = back ? ['tap2', 'tap1'] : ['tap1', 'tap2'];
    const at = { path, skb: 0x888100000000 + (path % 64) * 256, netns: 4026531840, len: 84, cpu: path & 1 };
    const out = { ...at, dev: to, ifindex: back ? 3 : 4 };
    const headers = {
      src: back ? '10.0.0.2' : '10.0.0.1',
      dst: back ? '10.0.0.1' : '10.0.0.2',
      proto: 'icmp' as const,
    };
    const icmp = { ...headers, sport: 77, dport: seq, icmpType: back ? 0 : 8, payload: 56 };
    writer.packet({ ...at, ...icmp, ts: (ts += 50_000), probe: 'netif_receive_skb', dev: from, ifindex: back ? 4 : 3 });
    writer.hop({ ...out, ts: (ts += 20_000), probe: 'net_dev_queue' });
    if (!back && seq % 7 === 0) {
      const end = { flags: FLAG.freed | FLAG.dropped, ret: 70, aux: DROP_AT };
      writer.hop({ ...out, ...end, ts: (ts += 1000), probe: 'kfree_skb' });
      return;
    }
    writer.hop({ ...out, ts: (ts += !back && seq % 5 === 0 ? 5_000_000 : 10_000), probe: 'net_dev_start_xmit' });
    writer.hop({ ...out, ts: (ts += 5000), probe: 'net_dev_xmit' });
    writer.hop({ ...out, ts: (ts += 15_000), probe: 'skb_copy_datagram_iovec', pid: 4711, tid: 4712 });
    writer.hop({ ...out, ts: (ts += 1000), probe: 'consume_skb', flags: FLAG.freed, pid: 4711 });
    if (!back) pass(path + 1, true, seq);
  };
  for (let seq = 1; seq <= count; seq++) pass(seq * 2, false, seq);
  return writer;
}
