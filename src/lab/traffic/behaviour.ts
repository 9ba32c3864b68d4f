import { parseDuration, parseSize } from '../units.js';

/** What a server does that a good one does not. */
export interface Behaviour {
  /** listen: connections that may wait to be accepted. Default 128. */
  backlog?: number | string;
  /** Address it is bound to instead of the one that clients ask for. */
  bind?: string;
  /** Busy with something else from when it listens: nothing is accepted or read meanwhile. */
  busy?: string;
  /** Busy for so long with each connection (TCP) or datagram (UDP) it gets. */
  busyEach?: string;
  /** Stops (SIGSTOP) after it has read so often; 0: as soon as it listens. */
  stopAfter?: number | string;
  /** Reads one piece in so long. TCP. */
  readEvery?: string;
  /** Ends each connection with a reset: `abort` by SO_LINGER 0, `unread` by closing it before it has read the request. */
  reset?: string;
  /** Forgets each connection after so many answers and tells nobody, as a host that was started anew. TCP. */
  forgetAfter?: number | string;
  /** SO_RCVBUF of a UDP socket, bytes (the kernel doubles it). */
  receiveBuffer?: number | string;
}

/** The same with its numbers filled in; durations in ms, sizes in bytes. */
export interface BehaviourPlan {
  backlog: number;
  bind?: string;
  busyMs: number;
  busyEachMs: number;
  stopAfter?: number;
  readEveryMs: number;
  reset?: 'abort' | 'unread';
  forgetAfter?: number;
  receiveBuffer: number;
}

const LONGEST_MS = 120_000;

/** @throws Error with a plain message for what a lab does not do. */
export function planBehaviour(behaviour: Behaviour): BehaviourPlan {
  const { reset, stopAfter, forgetAfter } = behaviour;
  if (reset !== undefined && reset !== 'abort' && reset !== 'unread')
    throw new Error(`behaviour reset "${reset}" is not known (abort, unread)`);
  return {
    backlog: between(Number(behaviour.backlog ?? 128), 0, 4096, 'backlog'),
    ...(behaviour.bind !== undefined && { bind: behaviour.bind }),
    busyMs: between(parseDuration(behaviour.busy ?? '0ms'), 0, LONGEST_MS, 'busy'),
    busyEachMs: between(parseDuration(behaviour.busyEach ?? '0ms'), 0, LONGEST_MS, 'busyEach'),
    ...(stopAfter !== undefined && { stopAfter: between(Number(stopAfter), 0, 10_000, 'stopAfter') }),
    readEveryMs: between(parseDuration(behaviour.readEvery ?? '0ms'), 0, LONGEST_MS, 'readEvery'),
    ...(reset !== undefined && { reset }),
    ...(forgetAfter !== undefined && { forgetAfter: between(Number(forgetAfter), 1, 10_000, 'forgetAfter') }),
    receiveBuffer: between(parseSize(behaviour.receiveBuffer ?? 0), 0, 64 << 20, 'receiveBuffer'),
  };
}

/** Keeps this thread from doing anything else for so long, ms, without using the CPU. */
export function block(ms: number): void {
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Stops this process once the given number of things has been counted. @returns what counts one. */
export function stopper(plan: BehaviourPlan | undefined): () => void {
  let seen = 0;
  return () => {
    if (plan?.stopAfter !== undefined && seen++ === plan.stopAfter) process.kill(process.pid, 'SIGSTOP');
  };
}

function between(value: number, least: number, most: number, name: string): number {
  if (!Number.isFinite(value) || value < least || value > most)
    throw new Error(`behaviour ${name} is ${value}; expected ${least} to ${most}`);
  return value;
}
