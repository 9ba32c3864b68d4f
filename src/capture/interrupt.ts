/** A run's way to be ended by Ctrl-C or `kill`. */
export interface Interruption {
  /** Aborts at the first SIGINT or SIGTERM. */
  signal: AbortSignal;
  /** Gives the signals back their ordinary meaning. */
  release(): void;
}

/**
 * Turns the first SIGINT or SIGTERM into an abort, so that a run ends with a report of what it saw. A second one ends the
 * process at once; the kernel side goes with its file descriptors.
 */
export function onInterrupt(): Interruption {
  const controller = new AbortController();
  const release = (): void => {
    process.removeListener('SIGINT', interrupt);
    process.removeListener('SIGTERM', interrupt);
  };
  const interrupt = (): void => {
    release();
    controller.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return { signal: controller.signal, release };
}
