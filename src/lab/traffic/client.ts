import { createSocket } from 'node:dgram';
import { request, Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { countAnswer, countFailure, emptyOutcome, timeoutError, type ClientOutcome } from './outcome.js';
import type { TrafficPlan } from './plan.js';

type Client = (plan: TrafficPlan, outcome: ClientOutcome, signal: AbortSignal, kept: Kept) => Promise<void>;

/** Connections that are left open for a client that keeps them. */
type Kept = { destroy(): unknown }[];

const CLIENTS: Partial<Record<TrafficPlan['kind'], Client>> = {
  'tcp-stream': sendStream,
  'tcp-request-response': exchangeOverTcp,
  'tcp-connect': connectAndClose,
  'udp-request-response': exchangeOverUdp,
  http: requestPages,
  // Loaded when it is needed: it calls libc.
  frames: async (plan, outcome, signal) => (await import('./frames-client.js')).sendFrames(plan, outcome, signal),
};

/**
 * Runs the client side of a plan in this process's network namespace, for at most `plan.maxMs`.
 * @param kept gets the connections that are still open when it ends, of a plan that keeps them
 */
export async function runClient(plan: TrafficPlan, kept: Kept = []): Promise<ClientOutcome> {
  const outcome = emptyOutcome();
  const signal = AbortSignal.timeout(plan.maxMs);
  try {
    await CLIENTS[plan.kind]?.(plan, outcome, signal, kept);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  outcome.cutShort = signal.aborted;
  return outcome;
}

/** One connection, `bytes` sent as fast as it takes them. */
async function sendStream(plan: TrafficPlan, outcome: ClientOutcome, signal: AbortSignal, kept: Kept): Promise<void> {
  outcome.sent = 1;
  const started = performance.now();
  let socket: Socket | undefined;
  try {
    socket = await open(plan, signal);
    const chunk = Buffer.alloc(Math.min(65_536, plan.bytes), 'vdiag ');
    for (let left = plan.bytes; left > 0 && !signal.aborted; left -= chunk.length) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
      if (!socket.write(part)) await once(socket, 'drain', signal);
    }
    socket.end();
    await once(socket, 'close', signal);
    countAnswer(outcome, performance.now() - started);
  } catch (error) {
    if (!signal.aborted) countFailure(outcome, error);
  } finally {
    outcome.bytesSent = socket?.bytesWritten ?? 0;
    if (plan.keep && socket) kept.push(socket);
    else socket?.destroy();
  }
}

/** Requests and replies of `size` bytes, one after the other over one connection. */
async function exchangeOverTcp(
  plan: TrafficPlan,
  outcome: ClientOutcome,
  signal: AbortSignal,
  kept: Kept,
): Promise<void> {
  let socket: Socket;
  try {
    socket = await open(plan, signal);
  } catch (error) {
    outcome.sent = 1;
    return countFailure(outcome, error);
  }
  try {
    const message = Buffer.alloc(plan.size, 'vdiag ');
    const part = Math.ceil(plan.size / (plan.parts ?? 1));
    await paced(plan, signal, async () => {
      outcome.sent++;
      const started = performance.now();
      try {
        for (let at = 0; at < plan.size; at += part) {
          if (at > 0 && plan.pauseMs) await sleep(plan.pauseMs, undefined, { signal });
          socket.write(message.subarray(at, at + part));
        }
        if (plan.replies !== false) await receive(socket, plan.size, plan.timeoutMs, signal);
        countAnswer(outcome, performance.now() - started);
        return true;
      } catch (error) {
        countFailure(outcome, error);
        // What comes late would be taken for the next reply.
        return false;
      }
    });
    if (!plan.keep) {
      socket.end();
      if (outcome.answered === outcome.sent && plan.replies !== false) await once(socket, 'close', signal);
    }
  } finally {
    outcome.bytesSent = socket.bytesWritten;
    outcome.bytesReceived = socket.bytesRead;
    if (plan.keep) kept.push(socket);
    else socket.destroy();
  }
}

/** Connections that are opened and closed; what counts is whether they open. */
async function connectAndClose(
  plan: TrafficPlan,
  outcome: ClientOutcome,
  signal: AbortSignal,
  kept: Kept,
): Promise<void> {
  await paced(plan, signal, async () => {
    outcome.sent++;
    const started = performance.now();
    try {
      const socket = await open(plan, signal);
      countAnswer(outcome, performance.now() - started);
      if (plan.keep) kept.push(socket.resume());
      else if (plan.resets) socket.resetAndDestroy();
      else {
        socket.resume().end();
        await once(socket, 'close', signal);
      }
    } catch (error) {
      countFailure(outcome, error);
    }
    return true;
  });
}

/** Datagrams with their number in them; the server sends each back. */
async function exchangeOverUdp(plan: TrafficPlan, outcome: ClientOutcome, signal: AbortSignal): Promise<void> {
  const socket = createSocket(plan.family === 6 ? 'udp6' : 'udp4');
  const sentAt = new Map<number, number>();
  // An ICMP error arrives as an error of the connected socket and belongs to the oldest request that waits.
  socket.on('error', (error) => {
    const [oldest] = sentAt.keys();
    if (oldest !== undefined) sentAt.delete(oldest);
    countFailure(outcome, error);
  });
  socket.on('message', (message) => {
    const number = message.readUInt32BE(0);
    const started = sentAt.get(number);
    if (started === undefined) return;
    sentAt.delete(number);
    outcome.bytesReceived += message.length;
    countAnswer(outcome, performance.now() - started);
  });
  try {
    await new Promise<void>((resolve) => socket.connect(plan.port, plan.address, resolve));
    await paced(plan, signal, async () => {
      for (let i = 0; i < plan.burst && outcome.sent < plan.count; i++) {
        const message = Buffer.alloc(Math.max(4, plan.size), 'vdiag ');
        message.writeUInt32BE(outcome.sent, 0);
        sentAt.set(outcome.sent++, performance.now());
        outcome.bytesSent += message.length;
        socket.send(message);
      }
      return outcome.sent < plan.count;
    });
    const end = performance.now() + plan.timeoutMs;
    while (sentAt.size > 0 && performance.now() < end && !signal.aborted) await sleep(10);
    for (let i = 0; i < sentAt.size; i++) countFailure(outcome, timeoutError());
  } finally {
    socket.close();
  }
}

/** HTTP requests, a connection each. */
async function requestPages(plan: TrafficPlan, outcome: ClientOutcome, signal: AbortSignal): Promise<void> {
  const agent = new Agent({ keepAlive: false });
  await paced(plan, signal, async () => {
    outcome.sent++;
    const started = performance.now();
    try {
      outcome.bytesReceived += await fetchPage(plan, agent, signal);
      countAnswer(outcome, performance.now() - started);
    } catch (error) {
      countFailure(outcome, error);
    }
    return true;
  });
}

function fetchPage(plan: TrafficPlan, agent: Agent, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { host: plan.address, port: plan.port, path: `/?size=${plan.size}`, agent, signal };
    const page = request(options, (response) => {
      let bytes = 0;
      response.on('data', (part: Buffer) => (bytes += part.length));
      response.on('end', () => resolve(bytes));
      response.on('error', reject);
    });
    page.setTimeout(plan.timeoutMs, () => page.destroy(timeoutError()));
    page.on('error', reject);
    page.end();
  });
}

/** Calls `step` up to `count` times, `intervalMs` from start to start, until it says false or the time is up. */
async function paced(plan: TrafficPlan, signal: AbortSignal, step: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < plan.count && !signal.aborted; i++) {
    const next = performance.now() + plan.intervalMs;
    if (!(await step())) return;
    if (i + 1 < plan.count) await sleep(Math.max(0, next - performance.now()), undefined, { signal });
  }
}

/** @throws what the connection failed with; a timeout of our own after `plan.timeoutMs`. */
function open(plan: TrafficPlan, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: plan.address, port: plan.port, noDelay: !plan.nagle });
    const timer = setTimeout(() => fail(timeoutError()), plan.timeoutMs);
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error as Error);
    };
    const stop = (): void => fail(timeoutError());
    signal.addEventListener('abort', stop, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      socket.off('error', fail);
      // A later error reaches who waits for the socket; without a listener it would end the process.
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

/** Waits for an event of a socket. @throws the socket's error, or the signal's reason. */
function once(socket: Socket, event: 'drain' | 'close', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: unknown): void => {
      socket.off('error', done).off(event, happened).off('close', closed);
      signal.removeEventListener('abort', aborted);
      if (error) reject(error as Error);
      else resolve();
    };
    const happened = (): void => done();
    const closed = (): void => done(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    const aborted = (): void => done(signal.reason);
    socket.on('error', done).on(event, happened);
    if (event !== 'close') socket.on('close', closed);
    signal.addEventListener('abort', aborted, { once: true });
    if (event === 'close') socket.resume();
    if (signal.aborted) aborted();
    else if (socket.closed) (event === 'close' ? happened : closed)();
  });
}

/** Waits for `bytes` more from the socket. */
function receive(socket: Socket, bytes: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let got = 0;
    const timer = setTimeout(() => done(timeoutError()), timeoutMs);
    const done = (error?: unknown): void => {
      clearTimeout(timer);
      socket.off('data', data).off('error', done).off('close', closed);
      signal.removeEventListener('abort', aborted);
      if (error) reject(error as Error);
      else resolve();
    };
    const data = (part: Buffer): void => {
      got += part.length;
      if (got >= bytes) done();
    };
    const closed = (): void => done(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    const aborted = (): void => done(timeoutError());
    socket.on('data', data).on('error', done).on('close', closed);
    signal.addEventListener('abort', aborted, { once: true });
  });
}
