import type { CaptureLoss } from './types.js';

/** What a loss can do to a verdict. */
export interface LossEffect {
  /** Something that happened may not be in the report. */
  hides: boolean;
  /** A packet may seem to be lost, slow or two packets, that is not: at most one for each that is counted. */
  forges: boolean;
}

const HIDES: LossEffect = { hides: true, forges: false };
/** The record that is missing may have been the one in which a packet went on. */
const BOTH: LossEffect = { hides: true, forges: true };
/** The packet goes on as another one: its first half seems to be lost. */
const FORGES: LossEffect = { hides: false, forges: true };

/** Every cause, in the order in which reports name them. */
export const LOSS_EFFECTS: Readonly<Record<keyof CaptureLoss, LossEffect>> = {
  ringFull: BOTH,
  perfLost: BOTH,
  noWorkSpace: BOTH,
  missedHits: BOTH,
  missedReturns: BOTH,
  pathsForgotten: FORGES,
  copiesForgotten: FORGES,
  parseFailures: HIDES,
  recordsUnreadable: BOTH,
  recordingCut: HIDES,
};

export const LOSS_CAUSES = Object.keys(LOSS_EFFECTS) as (keyof CaptureLoss)[];

/** A whole count of losses: what is not given (by an older recording, by another layer) is none. */
export function lossOf(...parts: Partial<CaptureLoss>[]): CaptureLoss {
  const sum = (cause: keyof CaptureLoss): number => parts.reduce((total, part) => total + (part[cause] ?? 0), 0);
  return Object.fromEntries(LOSS_CAUSES.map((cause) => [cause, sum(cause)])) as unknown as CaptureLoss;
}

/** How many packets, at most, seem to be lost, slow or two only because something was lost on the way to us. */
export function forgeable(loss: CaptureLoss): number {
  return LOSS_CAUSES.reduce((total, cause) => total + (LOSS_EFFECTS[cause].forges ? loss[cause] : 0), 0);
}

/** Whether something that happened may be missing from what was seen. */
export function hidesSomething(loss: CaptureLoss): boolean {
  return LOSS_CAUSES.some((cause) => LOSS_EFFECTS[cause].hides && loss[cause] > 0);
}
