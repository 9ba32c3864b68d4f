import { VdiagError } from '../../base/errors.js';
import type { Endpoint, Traffic, TrafficKind } from '../types.js';
import type { FramesPlan } from './frame-types.js';
import { parseDuration, parseSize } from '../units.js';
import { planBehaviour, type BehaviourPlan } from './behaviour.js';

/** A piece of traffic with its defaults filled in, durations in ms and sizes in bytes: what an agent is told. */
export interface TrafficPlan {
  kind: TrafficKind;
  from: string;
  to: string;
  address: string;
  family: 4 | 6;
  port: number;
  count: number;
  intervalMs: number;
  /** udp-request-response: requests that are sent together, each interval. */
  burst: number;
  timeoutMs: number;
  maxMs: number;
  delayMs: number;
  bytes: number;
  size: number;
  server: boolean;
  stalledReader: boolean;
  parts?: number;
  pauseMs?: number;
  nagle?: boolean;
  replies?: boolean;
  /** Of the kind `frames`: what is sent (frames-plan.ts). */
  frames?: FramesPlan;
  behaviour?: BehaviourPlan;
  /** tcp-connect: connections end with a reset. */
  resets?: boolean;
  /** The client keeps its connections when it has ended. */
  keep?: boolean;
}

/**
 * How long a server waits beyond its traffic, ms: it listens before the tracing begins, and a busy or emulated machine may
 * take minutes to attach everything. It ends with the program that started it in any case.
 */
export const SERVER_PATIENCE_MS = 240_000;

/** Bounds that hold whatever a file says: a lab runs on production hosts. */
const MOST = { maxMs: 120_000, count: 10_000, burst: 100, bytes: 1e9, size: 60_000 };
const FIRST_PORT = 5201;
/** Kinds for which no server is started unless it is asked for. */
const WITHOUT_SERVER: readonly TrafficKind[] = ['tcp-connect', 'frames', 'containers'];

/**
 * @param index place in the list: two servers in one namespace get ports of their own
 * @throws VdiagError (status 2) for an unknown endpoint, a bad unit, or more than a lab may do.
 */
export function planTraffic(traffic: Traffic, endpoints: Record<string, Endpoint>, index: number): TrafficPlan {
  for (const name of [traffic.from, traffic.to]) {
    if (!Object.hasOwn(endpoints, name)) {
      throw new VdiagError(
        { message: `there is no endpoint "${name}"`, expected: `one of ${Object.keys(endpoints).join(', ')}` },
        2,
      );
    }
  }
  const family = traffic.family ?? (traffic.address?.includes(':') ? 6 : 4);
  const to = endpoints[traffic.to];
  const plan: TrafficPlan = {
    kind: traffic.kind,
    from: traffic.from,
    to: traffic.to,
    address: traffic.address ?? (family === 6 ? to.address6 : to.address),
    family,
    port: Number(traffic.port ?? FIRST_PORT + index),
    count: traffic.count ?? 10,
    intervalMs: parseDuration(traffic.interval ?? '100ms'),
    burst: traffic.burst ?? 1,
    timeoutMs: parseDuration(traffic.timeout ?? '2s'),
    maxMs: parseDuration(traffic.max ?? '20s'),
    delayMs: parseDuration(traffic.delay ?? '0ms'),
    bytes: parseSize(traffic.bytes ?? '1MB'),
    size: parseSize(traffic.size ?? 64),
    server: traffic.server ?? (!WITHOUT_SERVER.includes(traffic.kind) && traffic.address === undefined && !to.guest),
    stalledReader: traffic.stalledReader ?? false,
    parts: traffic.parts ?? 1,
    pauseMs: parseDuration(traffic.pause ?? '0ms'),
    nagle: traffic.nagle ?? false,
    replies: traffic.replies ?? true,
    ...(traffic.behaviour && { behaviour: planBehaviour(traffic.behaviour) }),
    ...(traffic.closes === 'reset' && { resets: true }),
    ...(traffic.keep && { keep: true }),
  };
  for (const [key, most] of Object.entries(MOST) as [keyof typeof MOST, number][]) {
    if (plan[key] > most)
      throw new VdiagError(
        { message: `traffic with ${key} ${plan[key]} is more than a lab may make`, expected: `at most ${most}` },
        2,
      );
  }
  if (plan.address === '')
    throw new VdiagError({ message: `the endpoint ${traffic.to} has no IPv${family} address` }, 2);
  return plan;
}
