import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { VdiagError } from '../../base/errors.js';
import { printable } from '../../base/sanitize.js';
import { run } from '../commands.js';
import { helperWords, type HelperWords } from './words.js';

/** How long a helper may take to begin, ms; generous, for emulated machines. */
const PATIENCE_MS = 30_000;

/**
 * Starts a program of the lab's own (words.ts) in a namespace, and waits until it has begun. It goes on by itself until
 * the lab is taken down, which ends every process in its namespaces.
 * @param more what a topology knows about it: the addresses of the guest behind a tap
 * @throws VdiagError (status 3) when it cannot begin.
 */
export async function startHelper(namespace: string, argv: readonly string[], more: HelperWords = {}): Promise<void> {
  const words = { ...more, ...helperWords(argv) };
  if (argv[0] === 'lab-guest') await endGuest(namespace, words.device);
  const source = import.meta.url.endsWith('.ts');
  const file = fileURLToPath(new URL(source ? './helper.ts' : './helper.js', import.meta.url));
  const loader = source ? ['--import', import.meta.resolve('tsx')] : [];
  const child = spawn(
    'ip',
    ['netns', 'exec', namespace, process.execPath, ...loader, file, argv[0], JSON.stringify(words)],
    { stdio: ['ignore', 'pipe', 'ignore'], detached: true },
  );
  child.on('error', () => undefined);
  const said = await firstLine(child.stdout);
  child.stdout.destroy();
  child.unref();
  if (said.ready !== true) {
    throw new VdiagError(
      { message: `the lab's ${argv[0]} did not start: ${printable(said.error ?? 'it said nothing')}` },
      3,
    );
  }
}

async function firstLine(stdout: NodeJS.ReadableStream): Promise<{ ready?: boolean; error?: string }> {
  const patience = new AbortController();
  const lines = createInterface({ input: stdout });
  const line = new Promise<string>((resolve) => lines.once('line', resolve).once('close', () => resolve('{}')));
  const late = sleep(PATIENCE_MS, '{"error":"it took too long"}', { signal: patience.signal }).catch(() => '{}');
  const text = await Promise.race([line, late]);
  patience.abort();
  lines.close();
  return JSON.parse(text) as { ready?: boolean; error?: string };
}

/** Ends the guest that holds a tap, so that another can take its place. */
async function endGuest(namespace: string, device: string): Promise<void> {
  const { stdout } = await run(['ip', 'netns', 'pids', namespace]);
  for (const pid of stdout.split(/\s+/).map(Number)) {
    if (pid <= 1 || !isGuest(pid, device)) continue;
    process.kill(pid, 'SIGKILL');
    while (isGuest(pid, device)) await sleep(10);
  }
}

/** Its command line is its title, once it has one. */
function isGuest(pid: number, device: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(`guest-${device}`);
  } catch {
    return false;
  }
}
