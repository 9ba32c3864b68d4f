#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT, VdiagError, formatProblem } from '../base/errors.js';
import { packagePath } from '../base/package-root.js';
import { printable } from '../base/sanitize.js';

const { version } = JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as { version: string };

/** Each command is loaded when it is the one that is asked for: together they take longer than most of them run. */
const COMMANDS: Record<string, (program: Command) => Promise<Command>> = {
  run: async () => (await import('./commands/run.js')).runCommand(version),
  doctor: async () => (await import('./commands/doctor.js')).doctorCommand(),
  rules: async () => (await import('./commands/rules.js')).rulesCommand(),
  probes: async () => (await import('./commands/probes.js')).probesCommand(),
  scenarios: async () => (await import('./commands/scenarios.js')).scenariosCommand(),
  btf: async () => (await import('./commands/btf.js')).btfCommand(),
  kb: async () => (await import('./commands/kb.js')).kbCommand(),
  lab: async () => (await import('./commands/lab.js')).labCommand(),
  completion: async (program) => (await import('./commands/completion.js')).completionCommand(() => program),
};

/** Those that a command line needs: the one that it names, none for the version, all to show or to complete. */
function commandsFor(words: readonly string[]): string[] {
  const named = words.find((word) => !word.startsWith('-'));
  if (named === undefined && words.includes('--version')) return [];
  return named !== undefined && named !== 'completion' && Object.hasOwn(COMMANDS, named)
    ? [named]
    : Object.keys(COMMANDS);
}

/** The command line, with as much of it as these words need. */
async function buildProgram(words: readonly string[]): Promise<Command> {
  const program = new Command('vdiag')
    .description('Says why network traffic on this host is slow, lost or refused, and what to do about it.')
    .version(version)
    .option('--verbose', 'more on stderr: what is attached, what is read, stack traces of errors', false)
    .showHelpAfterError('(vdiag --help, or vdiag COMMAND --help, shows what is expected)')
    .showSuggestionAfterError(true)
    .allowExcessArguments(false)
    .exitOverride()
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
    .configureOutput({ outputError: (text, write) => write(safe(text.replace(/^error: /, 'vdiag: '))) })
    .addHelpText(
      'after',
      `
Examples:
  vdiag run --scenario vm-to-vm-latency                             which VMs are slow, and why
  vdiag run --scenario vm-to-vm-latency --src 10.0.0.5 --dst 10.0.0.6
  vdiag run --scenario packet-drop --duration 60s --record drops.vdiag
  vdiag run --replay drops.vdiag --format json
  vdiag doctor                                                      what this host allows
  vdiag kb show netfilter/chain-drop

Exit status of run: 0 nothing found at or above --fail-on, 1 something found, 2 wrong use, 3 could not run.`,
    );
  for (const name of commandsFor(words)) program.addCommand(await COMMANDS[name]!(program));
  const inherit = (command: Command): void =>
    command.commands.forEach((child) => inherit(child.copyInheritedSettings(command)));
  inherit(program);
  return program;
}

async function main(): Promise<void> {
  const program = await buildProgram(process.argv.slice(2));
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(error, program);
  }
}

/** What the user typed, and what files and the kernel say, comes to the terminal without control characters. */
function safe(text: string): string {
  return printable(text, { multiline: true });
}

/** Error codes of a system without files, memory or space left: not vdiag's mistakes. */
const EXHAUSTED: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC', 'EDQUOT']);

/** Prints what went wrong on stderr, once, and says with which status to end. */
function report(error: unknown, program: Command): number {
  if (error instanceof CommanderError) {
    // Commander has printed its own message; help and version are no errors.
    return error.exitCode === 0 ? EXIT.clean : EXIT.usage;
  }
  const verbose = program.opts<{ verbose: boolean }>().verbose;
  if (error instanceof VdiagError) {
    for (const problem of error.problems) process.stderr.write(`vdiag: ${safe(formatProblem(problem))}\n`);
    if (verbose)
      process.stderr.write(`${safe(error.stack ?? '')}\n${safe((error.cause as Error | undefined)?.stack ?? '')}\n`);
    return error.exitStatus;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (EXHAUSTED.has((error as NodeJS.ErrnoException)?.code ?? '')) {
    process.stderr.write(`vdiag: this host has run out of something: ${safe(message)}; see ulimit -a, free and df\n`);
    return EXIT.cannotRun;
  }
  process.stderr.write(`vdiag: unexpected error: ${safe(message)} (--verbose shows where; please report it)\n`);
  if (verbose && error instanceof Error) process.stderr.write(`${safe(error.stack ?? '')}\n`);
  return EXIT.cannotRun;
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that goes away (`vdiag … | head`) is no error.
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.clean);
  process.stderr.write(`vdiag: cannot write the output: ${safe(error.message)}\n`);
  process.exit(EXIT.cannotRun);
});
// Nobody is left to be told.
process.stderr.on('error', () => undefined);

await main();
