/** What a client counts while it runs. Times in ms. */
export interface ClientOutcome {
  sent: number;
  answered: number;
  failures: Record<string, number>;
  roundTripsMs: number[];
  bytesSent: number;
  bytesReceived: number;
  cutShort: boolean;
}

export function emptyOutcome(): ClientOutcome {
  return { sent: 0, answered: 0, failures: {}, roundTripsMs: [], bytesSent: 0, bytesReceived: 0, cutShort: false };
}

/** Counts an answer and how long it took. */
export function countAnswer(outcome: ClientOutcome, milliseconds: number): void {
  outcome.answered++;
  outcome.roundTripsMs.push(Math.round(milliseconds * 1000) / 1000);
}

/** Counts a failure under the short form of its error code: `ECONNREFUSED` is `refused`, `EHOSTUNREACH` `hostunreach`. */
export function countFailure(outcome: ClientOutcome, error: unknown): void {
  const code = (error as { code?: unknown }).code;
  const name = typeof code === 'string' ? shortName(code) : 'failed';
  outcome.failures[name] = (outcome.failures[name] ?? 0) + 1;
}

/** The error of a request that got no answer in time. */
export function timeoutError(): Error & { code: string } {
  return Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' });
}

function shortName(code: string): string {
  const known: Record<string, string> = { ECONNREFUSED: 'refused', ECONNRESET: 'reset', ETIMEDOUT: 'timeout' };
  return known[code] ?? code.toLowerCase().replace(/^e/, '');
}
