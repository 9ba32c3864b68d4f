import { count } from '../base/units.js';

/** How far a run is. */
export interface Progress {
  phase: 'attaching' | 'tracing' | 'replaying' | 'diagnosing';
  done?: number;
  of?: number;
  events?: number;
  findings?: number;
}

/** One line on stderr that is written over; nothing where stderr is no terminal or it is not wanted. */
export function progressLine(wanted: boolean): { show(progress: Progress): void; end(): void } {
  if (!wanted || !process.stderr.isTTY) return { show: () => undefined, end: () => undefined };
  let shown = false;
  return {
    show(progress) {
      process.stderr.write(`\r\u001b[K${text(progress)}`);
      shown = true;
    },
    end() {
      if (shown) process.stderr.write('\r\u001b[K');
      shown = false;
    },
  };
}

function text({ phase, done, of, events, findings }: Progress): string {
  switch (phase) {
    case 'attaching':
      return `attaching probes ${done ?? 0}/${of ?? '?'}`;
    case 'tracing':
      return `tracing ${(done ?? 0).toFixed(0)}/${(of ?? 0).toFixed(0)} s · ${count(events ?? 0)} events · ${count(findings ?? 0)} classified (Ctrl-C reports what was seen)`;
    case 'replaying':
      return `replaying · ${count(events ?? 0)} events`;
    case 'diagnosing':
      return 'diagnosing';
  }
}

/** Aborts at the first SIGINT or SIGTERM, so that a run ends with what it has; a second one ends the process. */
export function interruptSignal(): { signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    end() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
