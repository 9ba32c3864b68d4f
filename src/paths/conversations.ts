import type { EventCursor } from '../events/cursor.js';
import type { Device } from '../events/interned.js';
import { Flow, type FlowTable } from './flow.js';
import type { PairTable } from './pair.js';
import type { PathState } from './path-state.js';

/** A packet that was first seen in its socket, where it has no device yet, is seen at its first one. */
export function leavesBy(path: PathState, device: Device): void {
  path.firstDevice = device;
  if (path.request?.serial === path.serial) path.request.firstDevice = device;
  if (path.pair) (path.reverse ? path.pair.bDevices : path.pair.aDevices).add(device);
}

/** Tells a packet its conversation and its pair, and counts it there. */
export function assign(path: PathState, cursor: EventCursor, pairs: PairTable, flows: FlowTable, now: number): void {
  const { packet, device } = cursor;
  let entry = flows.find(packet, device);
  if (!entry) {
    const pair = pairs.find(packet, device, now);
    if (!pair) return;
    const reverse = pairs.isReverse(pair, packet);
    const flow = new Flow(pair);
    flows.learn(packet, flow, reverse);
    entry = { flow, reverse };
  }
  const { flow, reverse } = entry;
  const { pair } = flow;
  path.flow = flow;
  path.pair = pair;
  path.reverse = reverse;
  const direction = reverse ? 1 : 0;
  pair.realm.begin(packet, path.firstDevice, direction);
  if (pair.total === 0) pair.firstTs = path.firstTs;
  pair.packets[direction]++;
  if (packet.isLinkTalk) pair.linkPackets[direction]++;
  pair.bytes[direction] += cursor.len;
  pair.lastTs = Math.max(pair.lastTs, path.firstTs);
  (reverse ? pair.bDevices : pair.aDevices).add(path.firstDevice);
  const { proto } = packet;
  if (pair.protocols.size < 16 || pair.protocols.has(proto)) {
    pair.protocols.set(proto, (pair.protocols.get(proto) ?? 0) + 1);
  }
}
