/**
 * Runs mocha, and what failed once more, a file at a time: tests of live kernels and of emulated machines depend on a clock that
 * a busy machine bends. What fails twice fails; what passed only then is told at the end of `npm test`.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packagePath } from '../src/base/package-root.js';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Note {
  kind: 'skipped' | 'failed' | 'again';
  title: string;
  file?: string;
  message?: string;
}

export interface MochaOptions {
  /** Options and files. */
  args: readonly string[];
  /** Goes before the titles of what failed or was skipped: `kernel 6.1: `. */
  label?: string;
  env?: NodeJS.ProcessEnv;
  /** Straight to the terminal, rather than into the result. */
  direct: boolean;
  /** Ends each of the two runs, ms. */
  timeoutMs?: number;
}

/** @returns whether everything passed, at the second try at the latest, and what was printed unless it went to the terminal */
export async function mochaAgain(options: MochaOptions): Promise<{ ok: boolean; output: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-mocha-'));
  try {
    const first = await mocha(options, options.args, folder, 'first');
    const failed = first.notes.filter(({ kind }) => kind === 'failed');
    const files = [...new Set(failed.flatMap(({ file }) => file ?? []))];
    if (first.ok || first.ended || files.length === 0) return report(first);
    const again = `== once more: ${files.map((file) => file.replace(`${packagePath()}/`, '')).join(', ')}\n`;
    if (options.direct) process.stdout.write(again);
    const optionsOnly = options.args.filter((arg, i, all) => arg.startsWith('--') || all[i - 1]?.startsWith('--'));
    const second = await mocha(options, [...optionsOnly, ...files], folder, 'second');
    const still = second.notes.filter(({ kind }) => kind === 'failed');
    const recovered = failed
      .filter(({ title }) => !still.some((note) => note.title === title))
      .map((note): Note => ({ ...note, kind: 'again' }));
    return report({
      ok: second.ok,
      ended: second.ended,
      output: `${first.output}${again}${second.output}`,
      counts: {
        passed: first.counts.passed + Math.max(0, first.counts.failed - second.counts.failed),
        failed: second.counts.failed,
        skipped: first.counts.skipped,
      },
      notes: [...first.notes.filter(({ kind }) => kind === 'skipped'), ...recovered, ...still],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface MochaRun {
  ok: boolean;
  /** Its time ran out. */
  ended: boolean;
  output: string;
  counts: Counts;
  notes: Note[];
}

function mocha(
  { env, direct, timeoutMs, label = '' }: MochaOptions,
  args: readonly string[],
  folder: string,
  name: string,
): Promise<MochaRun> {
  const [counts, notes] = [join(folder, `${name}.counts`), join(folder, `${name}.notes`)];
  const stdio = direct ? 'inherit' : 'pipe';
  const child = spawn(process.execPath, [packagePath('node_modules', 'mocha', 'bin', 'mocha.js'), ...args], {
    cwd: packagePath(),
    stdio: ['ignore', stdio, stdio],
    env: { ...process.env, ...env, VDIAG_TEST_COUNTS: counts, VDIAG_TEST_NOTES: notes },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const stopped = timeoutMs === undefined ? undefined : setTimeout(() => child.kill('SIGTERM'), timeoutMs);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(stopped);
      const ended = signal !== null;
      const noted = linesOf(notes).map((line) => JSON.parse(line) as Note);
      // Mocha counts its failures itself, unless it is killed or cannot load its files.
      const [passed, failed, skipped] = linesOf(counts)[0]?.split(' ').map(Number) ?? [0, 1, 0];
      if (linesOf(counts).length === 0)
        noted.push({
          kind: 'failed',
          title: 'the run itself',
          message: `mocha ended by ${signal ?? `status ${status}`}`,
        });
      resolve({
        ok: status === 0,
        ended,
        output,
        counts: { passed, failed, skipped },
        notes: noted.map((note) => ({ ...note, title: `${label}${note.title}` })),
      });
    });
  });
}

function linesOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
}

/** Adds a run to the counts and notes of the whole `npm test`. */
function report({ ok, output, counts, notes }: MochaRun): { ok: boolean; output: string } {
  const { VDIAG_TEST_COUNTS, VDIAG_TEST_NOTES } = process.env;
  const { passed, failed, skipped } = counts;
  if (VDIAG_TEST_COUNTS) appendFileSync(VDIAG_TEST_COUNTS, `${passed} ${failed} ${skipped}\n`);
  if (VDIAG_TEST_NOTES) appendFileSync(VDIAG_TEST_NOTES, notes.map((note) => `${JSON.stringify(note)}\n`).join(''));
  return { ok, output };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { ok } = await mochaAgain({ args: process.argv.slice(2), direct: true });
  process.exitCode = ok ? 0 : 1;
}
