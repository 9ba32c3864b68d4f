import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import type { TrafficPlan } from './plan.js';

/** A server that is listening. */
export interface RunningServer {
  /** Stops it. @returns how many bytes of payload it received. */
  stop(): Promise<number>;
}

/** Starts the server side of a plan in this process's network namespace. @throws what listening failed with. */
export function startServer(plan: TrafficPlan): Promise<RunningServer> {
  if (plan.kind === 'udp-request-response') return echoDatagrams(plan);
  if (plan.kind === 'http') return servePages(plan);
  return acceptStreams(plan);
}

/** TCP: reads all (or, with `stalledReader`, nothing); sends requests back where the plan is one of requests. */
function acceptStreams(plan: TrafficPlan): Promise<RunningServer> {
  let received = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, pauseOnConnect: plan.stalledReader }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A client that gives up resets its connection: its own result says so.
    socket.on('error', () => socket.destroy());
    if (plan.stalledReader) return;
    socket.on('data', (part) => {
      received += part.length;
      if (plan.kind === 'tcp-request-response') socket.write(part);
    });
  });
  return listening(server, plan, async () => {
    for (const socket of sockets) socket.destroy();
    return received;
  });
}

function servePages(plan: TrafficPlan): Promise<RunningServer> {
  let received = 0;
  const server = createHttpServer((request, response) => {
    received++;
    const size = Math.min(60_000, Number(new URL(request.url ?? '/', 'http://lab').searchParams.get('size')) || 0);
    response.setHeader('content-type', 'text/plain');
    response.end('v'.repeat(size));
  });
  return listening(server, plan, async () => {
    server.closeAllConnections();
    return received;
  });
}

function listening(server: Server, plan: TrafficPlan, finish: () => Promise<number>): Promise<RunningServer> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: plan.address, port: plan.port, backlog: 128 }, () => {
      resolve({
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
    const socket = createSocket(plan.family === 6 ? 'udp6' : 'udp4');
    socket.once('error', reject);
    socket.on('message', (message, from) => {
      received += message.length;
      socket.send(message, from.port, from.address, () => undefined);
    });
    socket.bind(plan.port, plan.address, () => {
      socket.off('error', reject);
      // An ICMP error for a reply is the client's affair.
      socket.on('error', () => undefined);
      resolve({
        stop: () => new Promise<number>((done) => socket.close(() => done(received))),
      });
    });
  });
}
