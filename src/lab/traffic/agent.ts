/**
 * The program that makes traffic inside a namespace: `agent server PLAN` listens, prints `{"listening":true}`, and ends
 * with `{"received":N}` when its standard input ends, which it also does when the program that started it dies. `agent client PLAN`
 * prints its outcome. PLAN is a {@link TrafficPlan} as JSON; every line printed is JSON.
 */
import { runClient } from './client.js';
import type { TrafficPlan } from './plan.js';
import { startServer } from './server.js';

const [role, text] = process.argv.slice(2);
const plan = JSON.parse(text) as TrafficPlan;

try {
  if (role === 'server') await serve();
  else say(await runClient(plan));
} catch (error) {
  say({ error: (error as Error).message });
  process.exitCode = 1;
}

async function serve(): Promise<void> {
  const server = await startServer(plan);
  say({ listening: true });
  await new Promise<void>((resolve) => {
    // No longer than the traffic may last, whatever becomes of the parent.
    const limit = setTimeout(resolve, plan.delayMs + plan.maxMs + 10_000);
    process.stdin.resume().on('end', () => {
      clearTimeout(limit);
      resolve();
    });
  });
  say({ received: await server.stop() });
  process.stdin.destroy();
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
