import { VdiagError } from '../base/errors.js';
import { printable } from '../base/sanitize.js';
import { run, runOrThrow } from './commands.js';

/**
 * Runs commands in their order; those of `ip -n NAMESPACE` that follow each other there are handed to one process of `ip`
 * (`-batch`), since starting it costs more than what it does.
 * @throws VdiagError (status 3) with the command that failed and what it said.
 */
export async function runBatched(commands: readonly (readonly string[])[]): Promise<void> {
  for (let at = 0; at < commands.length;) {
    const namespace = namespaceOf(commands[at]);
    let end = at + 1;
    if (namespace !== undefined) while (end < commands.length && namespaceOf(commands[end]) === namespace) end++;
    const batch = commands.slice(at, end);
    if (namespace === undefined || batch.length === 1) await runOrThrow(batch[0]);
    else await runBatch(namespace, batch);
    at = end;
  }
}

async function runBatch(namespace: string, batch: readonly (readonly string[])[]): Promise<void> {
  const lines = batch.map((command) => command.slice(3).join(' '));
  const { exitCode, stderr } = await run(['ip', '-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  if (exitCode === 0) return;
  // "Command failed -:3"
  const failed = batch[Number(/^Command failed -:(\d+)/m.exec(stderr)?.[1]) - 1] ?? batch[0];
  const said = stderr.replace(/^Command failed .*$/m, '').trim() || `status ${exitCode}`;
  throw new VdiagError({ message: `"${printable(failed.join(' '))}" failed: ${printable(said)}` }, 3);
}

/** Of `ip -n NAMESPACE …` its namespace; undefined for any other command, and for words that a batch would split. */
function namespaceOf([program, option, namespace, ...rest]: readonly string[]): string | undefined {
  return program === 'ip' && option === '-n' && !rest.some((word) => /[\s#"'\\]/.test(word)) ? namespace : undefined;
}
