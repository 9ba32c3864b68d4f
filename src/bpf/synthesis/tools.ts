import { execa } from 'execa';
import { VdiagError } from '../../base/errors.js';
import { printable } from '../../base/sanitize.js';

const MAX_OUTPUT = 16 << 20;
const SHOWN_LINES = 8;

/** What a tool of the host printed, and whether it did what it should. */
export interface ToolResult {
  ok: boolean;
  output: string;
}

/**
 * Runs a tool by an argument array, in the C locale. @param seconds after which it is ended
 * @throws VdiagError (status 3) when it is not installed or takes too long
 */
export async function runTool(tool: string, args: readonly string[], seconds: number, install: string): Promise<ToolResult> {
  const { exitCode, all, timedOut, code } = await execa(tool, args, {
    ...{ all: true, reject: false, timeout: seconds * 1000, maxBuffer: MAX_OUTPUT, stdin: 'ignore' },
    env: { LC_ALL: 'C' },
  });
  if (code === 'ENOENT') throw new VdiagError({ message: `${tool} is not installed`, hint: install }, 3);
  if (timedOut) throw new VdiagError({ message: `${tool} was not done after ${seconds} s` }, 3);
  return { ok: exitCode === 0, output: all ?? '' };
}

/** The end of a tool's output, for an error. */
export function endOf(output: string): string {
  return output.trim().split('\n').slice(-SHOWN_LINES).map((line) => printable(line)).join('\n');
}
