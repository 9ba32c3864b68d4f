/**
 * The program that makes traffic inside a namespace: `agent server PLAN` listens, prints `{"listening":true}`, and ends
 * with `{"received":N}` when its standard input ends, which it also does when the program that started it dies. `agent client PLAN`
 * prints its outcome. PLAN is a {@link TrafficPlan} as JSON; every line printed is JSON.
 */
import { runClient } from './client.js';
import { SERVER_PATIENCE_MS, type TrafficPlan } from './plan.js';
import { startServer } from './server.js';

const [role, text] = process.argv.slice(2);
const plan = JSON.parse(text) as TrafficPlan;
// The name by which ss and ps show it.
process.title = role === 'server' ? 'lab-server' : 'lab-client';

try {
  if (role === 'server') await serve();
  else await ask();
} catch (error) {
  say({ error: (error as Error).message });
  process.exitCode = 1;
}

async function serve(): Promise<void> {
  const server = await startServer(plan);
  say({ listening: true });
  server.begin();
  await new Promise<void>((resolve) => {
    // No longer than the traffic may last, whatever becomes of the parent.
    const limit = setTimeout(resolve, plan.delayMs + plan.maxMs + SERVER_PATIENCE_MS);
    process.stdin.resume().on('end', () => {
      clearTimeout(limit);
      resolve();
    });
  });
  say({ received: await server.stop() });
  process.stdin.destroy();
}

/** Says what came of it, and keeps its connections until its standard input ends where the plan says so. */
async function ask(): Promise<void> {
  const kept: { destroy(): unknown }[] = [];
  say(await runClient(plan, kept));
  if (!plan.keep) return;
  await new Promise<void>((resolve) => {
    setTimeout(resolve, 60_000).unref();
    process.stdin.resume().on('end', resolve);
  });
  for (const socket of kept) socket.destroy();
  process.stdin.destroy();
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
