import { execa } from 'execa';
import { VdiagError } from '../base/errors.js';
import { printable } from '../base/sanitize.js';
import type { CommandOutput } from './types.js';

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs a program with an argument array, no shell, no input, in plain English.
 * @throws VdiagError (status 3) when it is not installed, or does not end within `timeoutMs` (default 30,000).
 */
export async function run(
  argv: readonly string[],
  options: { timeoutMs?: number; input?: string } = {},
): Promise<CommandOutput> {
  const timeout = options.timeoutMs ?? 30_000;
  const result = await execa(argv[0], argv.slice(1), {
    reject: false,
    timeout,
    killSignal: 'SIGKILL',
    maxBuffer: 16 << 20,
    extendEnv: false,
    env: { PATH, LC_ALL: 'C', HOME: '/root' },
    ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
  });
  if (result.code === 'ENOENT') {
    throw new VdiagError(
      {
        message: `the lab needs "${argv[0]}", which is not installed`,
        hint: 'apt-get install iproute2 iptables nftables ethtool procps',
      },
      3,
    );
  }
  if (result.timedOut) throw new VdiagError({ message: `"${argv.join(' ')}" did not end within ${timeout} ms` }, 3);
  return { stdout: String(result.stdout ?? ''), stderr: String(result.stderr ?? ''), exitCode: result.exitCode };
}

/** As {@link run}, for a command that must succeed. @throws VdiagError (status 3) with the command and what it said. */
export async function runOrThrow(
  argv: readonly string[],
  options: { timeoutMs?: number; input?: string } = {},
): Promise<string> {
  const output = await run(argv, options);
  if (output.exitCode !== 0) {
    const said = printable(output.stderr.trim() || output.stdout.trim() || `status ${output.exitCode}`);
    throw new VdiagError({ message: `"${printable(argv.join(' '))}" failed: ${said}` }, 3);
  }
  return output.stdout;
}
