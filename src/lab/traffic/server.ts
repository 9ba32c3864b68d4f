import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { block, stopper } from './behaviour.js';
import { forget } from './forget.js';
import type { TrafficPlan } from './plan.js';

/** A server that is listening. */
export interface RunningServer {
  /** What its behaviour has it do once it listens, which may take its whole life. */
  begin(): void;
  /** Stops it. @returns how many bytes of payload it received. */
  stop(): Promise<number>;
}

/** Starts the server side of a plan in this process's network namespace. @throws what listening failed with. */
export function startServer(plan: TrafficPlan): Promise<RunningServer> {
  if (plan.kind === 'udp-request-response') return echoDatagrams(plan);
  if (plan.kind === 'http' && plan.behaviour?.reset === undefined) return servePages(plan);
  return acceptStreams(plan);
}

/** TCP: reads all (or, with `stalledReader`, nothing); sends requests back where the plan is one of requests. */
function acceptStreams(plan: TrafficPlan): Promise<RunningServer> {
  let received = 0;
  const { busyEachMs = 0, readEveryMs = 0, reset, forgetAfter } = plan.behaviour ?? {};
  const count = stopper(plan.behaviour);
  const sockets = new Set<Socket>();
  /** Each piece as it comes; a request that comes in parts once it is whole. */
  const waiting = new Map<Socket, number>();
  const reply = (socket: Socket, part: Buffer): void => {
    if ((plan.parts ?? 1) === 1) return void socket.write(part, count);
    const got = (waiting.get(socket) ?? 0) + part.length;
    waiting.set(socket, got % plan.size);
    if (got >= plan.size) socket.write(Buffer.alloc(got - (got % plan.size), 'vdiag '), count);
  };
  const pauseOnConnect = plan.stalledReader || readEveryMs > 0 || reset === 'unread';
  const server = createServer({ noDelay: true, pauseOnConnect }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A client that gives up resets its connection: its own result says so.
    socket.on('error', () => socket.destroy());
    block(busyEachMs);
    if (plan.stalledReader) return;
    if (reset === 'unread') return void setTimeout(() => socket.destroy(), UNREAD_MS);
    if (readEveryMs > 0) readSlowly(socket, readEveryMs);
    let answers = 0;
    socket.on('data', (part) => {
      received += part.length;
      if (reset === 'abort') return void socket.resetAndDestroy();
      if (plan.kind === 'tcp-request-response' && plan.replies !== false) reply(socket, part);
      else count();
      if (++answers === forgetAfter) setTimeout(() => forget(socket), ACKNOWLEDGED_MS);
    });
  });
  return listening(server, plan, count, async () => {
    for (const socket of sockets) socket.destroy();
    return received;
  });
}

/** What an answer and its acknowledgement take at most. */
const ACKNOWLEDGED_MS = 40;

/** How long a request may take to arrive that is then left unread. */
const UNREAD_MS = 300;

/** One piece, of at most 64 KiB, in each interval. */
function readSlowly(socket: Socket, everyMs: number): void {
  const timer = setInterval(() => socket.resume(), everyMs);
  socket.on('data', () => socket.pause()).on('close', () => clearInterval(timer));
}

function servePages(plan: TrafficPlan): Promise<RunningServer> {
  let received = 0;
  const count = stopper(plan.behaviour);
  const server = createHttpServer((request, response) => {
    received++;
    block(plan.behaviour?.busyEachMs ?? 0);
    response.on('finish', count);
    const size = Math.min(60_000, Number(new URL(request.url ?? '/', 'http://lab').searchParams.get('size')) || 0);
    response.setHeader('content-type', 'text/plain');
    response.end('v'.repeat(size));
  });
  return listening(server, plan, count, async () => {
    server.closeAllConnections();
    return received;
  });
}

function listening(
  server: Server,
  plan: TrafficPlan,
  count: () => void,
  finish: () => Promise<number>,
): Promise<RunningServer> {
  const { bind = plan.address, backlog = 128, busyMs = 0 } = plan.behaviour ?? {};
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: bind, port: plan.port, backlog }, () => {
      resolve({
        begin() {
          count();
          block(busyMs);
        },
        async stop() {
          const closed = new Promise<void>((done) => server.close(() => done()));
          const received = await finish();
          await closed;
          return received;
        },
      });
    });
  });
}

function echoDatagrams(plan: TrafficPlan): Promise<RunningServer> {
  return new Promise((resolve, reject) => {
    let received = 0;
    const { bind = plan.address, busyMs = 0, busyEachMs = 0, receiveBuffer = 0 } = plan.behaviour ?? {};
    const count = stopper(plan.behaviour);
    const socket = createSocket(plan.family === 6 ? 'udp6' : 'udp4');
    socket.once('error', reject);
    socket.on('message', (message, from) => {
      received += message.length;
      socket.send(message, from.port, from.address, count);
      block(busyEachMs);
    });
    socket.bind(plan.port, bind, () => {
      socket.off('error', reject);
      // An ICMP error for a reply is the client's affair.
      socket.on('error', () => undefined);
      if (receiveBuffer > 0) socket.setRecvBufferSize(receiveBuffer);
      resolve({
        begin() {
          count();
          block(busyMs);
        },
        stop: () => new Promise<number>((done) => socket.close(() => done(received))),
      });
    });
  });
}
