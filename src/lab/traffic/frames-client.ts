import { setTimeout as sleep } from 'node:timers/promises';
import { buildFrame } from './frames.js';
import { countFailure, type ClientOutcome } from './outcome.js';
import { openPacketSocket } from './packet-socket.js';
import type { TrafficPlan } from './plan.js';

/** Sends the plan's frames out of its device, all of them in order, `count` times; nobody waits for an answer. */
export async function sendFrames(plan: TrafficPlan, outcome: ClientOutcome, signal: AbortSignal): Promise<void> {
  const frames = plan.frames;
  if (!frames) throw new Error('the plan has no frames');
  const socket = openPacketSocket(frames.device);
  try {
    for (let round = 0; round < plan.count && !signal.aborted; round++) {
      const next = performance.now() + plan.intervalMs;
      for (const spec of frames.list) {
        const frame = buildFrame(spec, frames.defaults, round);
        outcome.sent++;
        try {
          socket.send(frame);
          outcome.bytesSent += frame.length;
        } catch (error) {
          countFailure(outcome, error);
        }
      }
      if (round + 1 < plan.count) await sleep(Math.max(0, next - performance.now()), undefined, { signal });
    }
  } finally {
    socket.close();
  }
}
