import { execa } from 'execa';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { VdiagError } from '../../base/errors.js';
import { printable } from '../../base/sanitize.js';
import type { Lab, Traffic, TrafficResult } from '../types.js';
import { churnContainers } from './containers.js';
import { emptyOutcome, type ClientOutcome } from './outcome.js';
import { planFrames } from './frames-plan.js';
import { pingCommand, readPing } from './ping.js';
import { SERVER_PATIENCE_MS, planTraffic, type TrafficPlan } from './plan.js';
import { startWire } from '../wire/start.js';

/** How long an agent may take to start and to end, beside its traffic, ms; generous, for emulated machines. */
const ALLOWANCE_MS = 30_000;

/** Traffic whose servers are up. */
export interface PreparedTraffic {
  /**
   * Makes it, all of it at the same time, and waits until it has ended.
   * @param signal ends it early: what had not ended by then is cut short, which is no error
   * @returns one result for each piece of traffic, in the same order
   */
  run(signal?: AbortSignal): Promise<TrafficResult[]>;
  /** Ends the servers; the second call does nothing. */
  stop(): Promise<void>;
}

/**
 * Starts the servers that traffic in a lab needs. They stay until `stop`, so that what becomes of their sockets can be
 * looked at after the traffic.
 * @param keepServers else a server ends with its own traffic, and what it received is in the result
 * @throws VdiagError status 2 for traffic that is not possible in this lab, 3 when a server cannot run.
 */
export async function prepareTraffic(
  lab: Lab,
  traffic: readonly Traffic[],
  keepServers = false,
): Promise<PreparedTraffic> {
  const plans = traffic.flatMap((item, i) => {
    if (item.kind === 'wire') return [];
    const plan = planTraffic(item, lab.endpoints, i);
    return item.kind === 'frames' ? [{ ...plan, frames: planFrames(item, plan, lab.topology) }] : [plan];
  });
  const takeWireOut = await startWire(lab, traffic);
  const servers = new Map<TrafficPlan, ServerProcess>();
  const kept: ServerProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all([...servers.values(), ...kept.splice(0)].map((server) => server.stop()));
    await takeWireOut?.();
  };
  const wanted = plans.filter((plan) => plan.server && plan.kind !== 'ping');
  // One that fails to start must not leave the others running unseen.
  const started = await Promise.allSettled(
    wanted.map(async (plan) => servers.set(plan, await startServerIn(lab, plan))),
  );
  for (const result of started) {
    if (result.status === 'rejected') {
      await stop();
      throw result.reason;
    }
  }
  const run = (signal?: AbortSignal): Promise<TrafficResult[]> =>
    Promise.all(
      plans.map(async (plan) => {
        await sleep(plan.delayMs, undefined, { signal }).catch(() => undefined);
        const begun = performance.now();
        const outcome =
          plan.kind === 'ping'
            ? await ping(lab, plan, signal)
            : plan.kind === 'containers'
              ? await churnContainers(lab, plan, signal)
              : plan.keep
                ? await keptClient(lab, plan, signal, kept)
                : await client(lab, plan, signal);
        const elapsedMs = Math.round(performance.now() - begun);
        const received = keepServers ? undefined : await servers.get(plan)?.stop();
        const { kind, from, to, address } = plan;
        const bytesReceived = kind === 'tcp-stream' && received !== undefined ? received : outcome.bytesReceived;
        return { kind, from, to, address, ...outcome, bytesReceived, elapsedMs };
      }),
    );
  return { run, stop };
}

/**
 * Makes the given traffic in a lab: servers are listening before the first client starts, and are stopped after the last
 * has ended.
 * @param options.signal see PreparedTraffic.run
 * @throws VdiagError status 2 for traffic that is not possible in this lab, 3 when a server or client cannot run.
 */
export async function runTraffic(
  lab: Lab,
  traffic: readonly Traffic[],
  options: { signal?: AbortSignal } = {},
): Promise<TrafficResult[]> {
  const prepared = await prepareTraffic(lab, traffic);
  try {
    return await prepared.run(options.signal);
  } finally {
    await prepared.stop();
  }
}

interface ServerProcess {
  /** @returns bytes received; the second call does nothing. */
  stop(): Promise<number>;
}

async function startServerIn(lab: Lab, plan: TrafficPlan): Promise<ServerProcess> {
  const [file, ...argv] = agentCommand(lab, lab.endpoints[plan.to].namespace, 'server', plan);
  const child = execa(file, argv, {
    reject: false,
    stdin: 'pipe',
    timeout: plan.delayMs + plan.maxMs + SERVER_PATIENCE_MS + ALLOWANCE_MS,
    killSignal: 'SIGKILL',
    buffer: { stdout: false },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await nextLine(lines);
  if (first.listening !== true) {
    child.kill('SIGKILL');
    const said = first.error ?? (await child).stderr;
    throw new VdiagError(
      {
        message: `the lab's server in ${plan.to} could not listen on ${plan.address} port ${plan.port}: ${printable(String(said))}`,
      },
      3,
    );
  }
  let stopped: Promise<number> | undefined;
  return {
    stop() {
      stopped ??= (async () => {
        child.stdin.end();
        // One that is stopped or busy would not notice.
        if (plan.behaviour) child.kill('SIGKILL');
        const last = await nextLine(lines);
        await child;
        return Number(last.received ?? 0);
      })();
      return stopped;
    },
  };
}

async function nextLine(lines: AsyncIterator<string>): Promise<Record<string, unknown>> {
  const line = await lines.next();
  return line.done ? {} : (JSON.parse(line.value) as Record<string, unknown>);
}

async function client(lab: Lab, plan: TrafficPlan, signal: AbortSignal | undefined): Promise<ClientOutcome> {
  const { stdout, stderr } = await start(
    agentCommand(lab, lab.endpoints[plan.from].namespace, 'client', plan),
    plan,
    signal,
  );
  if (signal?.aborted) return { ...emptyOutcome(), cutShort: true };
  const said =
    stdout === ''
      ? { error: stderr || 'it printed nothing' }
      : (JSON.parse(stdout) as ClientOutcome | { error: string });
  if ('error' in said)
    throw new VdiagError(
      { message: `the lab's ${plan.kind} client in ${plan.from} failed: ${printable(said.error)}` },
      3,
    );
  return said;
}

/** A client that keeps its connections: it says what came of it, and is added to those that a stop ends. */
async function keptClient(
  lab: Lab,
  plan: TrafficPlan,
  signal: AbortSignal | undefined,
  kept: ServerProcess[],
): Promise<ClientOutcome> {
  const [file, ...argv] = agentCommand(lab, lab.endpoints[plan.from].namespace, 'client', plan);
  const child = execa(file, argv, {
    reject: false,
    stdin: 'pipe',
    timeout: plan.maxMs + 2 * ALLOWANCE_MS,
    killSignal: 'SIGKILL',
    buffer: { stdout: false },
  });
  const end = (): boolean => child.kill('SIGKILL');
  kept.push({
    async stop() {
      end();
      await child;
      return 0;
    },
  });
  signal?.addEventListener('abort', end);
  const said = await nextLine(createInterface({ input: child.stdout })[Symbol.asyncIterator]());
  // From here on it only keeps what it has.
  signal?.removeEventListener('abort', end);
  if (signal?.aborted) return { ...emptyOutcome(), cutShort: true };
  if (said.error !== undefined || said.sent === undefined)
    throw new VdiagError(
      {
        message: `the lab's ${plan.kind} client in ${plan.from} failed: ${printable(String(said.error ?? 'it ended'))}`,
      },
      3,
    );
  return said as unknown as ClientOutcome;
}

async function ping(lab: Lab, plan: TrafficPlan, signal: AbortSignal | undefined): Promise<ClientOutcome> {
  const name = lab.namespaces[lab.endpoints[plan.from].namespace].name;
  const { stdout, stderr, exitCode } = await start(['ip', 'netns', 'exec', name, ...pingCommand(plan)], plan, signal);
  if (signal?.aborted) return { ...emptyOutcome(), cutShort: true };
  // 0: answered, 1: not answered, 2: could not send, which without a route is an outcome too.
  if (stdout === '' && /unreachable/i.test(stderr)) {
    return { ...readPing('', plan), sent: plan.count, failures: { 'network unreachable': plan.count } };
  }
  if (exitCode !== 0 && exitCode !== 1) {
    throw new VdiagError({ message: `ping in ${plan.from} failed: ${printable(stderr || stdout)}` }, 3);
  }
  return readPing(stdout, plan);
}

async function start(
  [file, ...argv]: string[],
  plan: TrafficPlan,
  signal: AbortSignal | undefined,
): Promise<{ stdout: string; stderr: string; exitCode?: number }> {
  const result = await execa(file, argv, {
    reject: false,
    stdin: 'ignore',
    timeout: plan.maxMs + ALLOWANCE_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 4 << 20,
    env: { LC_ALL: 'C' },
    ...(signal && { cancelSignal: signal }),
  });
  if (result.timedOut)
    throw new VdiagError({ message: `the lab's ${plan.kind} from ${plan.from} to ${plan.to} did not end in time` }, 3);
  return result;
}

/** The agent's command line, compiled or, where the sources themselves run (tests), through tsx. */
function agentCommand(lab: Lab, namespace: string, role: 'server' | 'client', plan: TrafficPlan): string[] {
  const source = import.meta.url.endsWith('.ts');
  const agent = fileURLToPath(new URL(source ? './agent.ts' : './agent.js', import.meta.url));
  const loader = source ? ['--import', import.meta.resolve('tsx')] : [];
  return [
    'ip',
    'netns',
    'exec',
    lab.namespaces[namespace].name,
    process.execPath,
    ...loader,
    agent,
    role,
    JSON.stringify(plan),
  ];
}
