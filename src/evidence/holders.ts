import { isObject, parseObject } from './facts.js';
import type { ProcessState } from './processes.js';
import type { TapHolder, TapHolders } from './tap-holders.js';
import type { EvidencePhase, EvidenceSource, RawEvidence } from './types.js';

export type Holders = TapHolders;

/** States of /proc/PID/stat in words (fs/proc/array.c). */
export const STATES: Record<string, string> = {
  R: 'running',
  S: 'sleeping',
  D: 'waiting for a device',
  T: 'stopped',
  t: 'stopped by a debugger',
  Z: 'ended',
  X: 'ended',
  I: 'idle',
  P: 'parked',
};

/** The processes that hold taps, and the threads that take packets in, of the start or the end of the run. */
export async function readHolders(
  source: EvidenceSource,
  phase: EvidencePhase,
): Promise<{ answer: RawEvidence; holders?: TapHolders }> {
  const answer = await source.run(['vdiag:tap-holders'], { phase });
  const value = answer.status === 'ok' ? parseObject(answer.text) : {};
  if (!Array.isArray(value.holders)) return { answer };
  const holders = value.holders.filter(
    (one): one is TapHolder => isProcess(one) && Array.isArray((one as unknown as TapHolder).devices),
  );
  // A recording of an older vdiag has none.
  const softirqs = Array.isArray(value.softirqs) ? value.softirqs.filter(isProcess) : [];
  return { answer, holders: { holders, softirqs, incomplete: value.incomplete === true } };
}

/**
 * A process at the start or the end of the run. At the start only those that hold taps or take packets in are known; the
 * others are looked at when a diagnosis asks, which is at the end.
 */
export async function readProcessAt(
  source: EvidenceSource,
  pid: number,
  phase: EvidencePhase,
): Promise<{ answer: RawEvidence; process?: ProcessState }> {
  const { answer, holders } = await readHolders(source, phase);
  const holder = holders && [...holders.holders, ...holders.softirqs].find((one) => one.pid === pid);
  if (holder || phase === 'before') return holder ? { answer, process: holder } : { answer };
  const own = await source.run(['vdiag:process', String(pid)], { phase });
  const value: unknown = own.status === 'ok' ? parseObject(own.text) : undefined;
  return isProcess(value) ? { answer: own, process: value } : { answer: own };
}

function isProcess(value: unknown): value is ProcessState {
  return (
    isObject(value) && typeof value.pid === 'number' && typeof value.comm === 'string' && Array.isArray(value.threads)
  );
}
