import { pino, type Logger } from 'pino';

export type { Logger };

/**
 * The one logger: JSON lines on stderr, so that stdout stays one document. `level` is a pino level; `--verbose` means
 * `debug`, the default is `warn`.
 */
export function createLogger(level: string): Logger {
  return pino(
    { level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
}
