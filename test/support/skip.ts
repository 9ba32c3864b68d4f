import type { Context } from 'mocha';

/** Skips the running test, or those below the running hook, and says why beside its name. */
export function skipBecause(context: Context, why: string): never {
  const runnable = context.test!;
  runnable.title += ` (${why})`;
  return context.skip();
}
