import { isOfKind, type SegmentKind, setTimestampBack } from './frame.js';

/** What a wire does to some of the segments that cross it; times in ms. */
export interface Impairment {
  /** Direction: 0 from the wire's first end to its second, 1 back. */
  direction: 0 | 1;
  of: SegmentKind;
  does: 'lose' | 'duplicate' | 'hold' | 'old-timestamps';
  /** Every so many of these segments; 1: each. */
  every: number;
  /** So many of them pass unharmed first. */
  after: number;
  /** It ends after so many. */
  most: number;
  /** `hold`: so long. */
  holdMs: number;
}

/** An older clock's timestamps, ticks (ms on Linux): a day. */
const TICKS_BACK = 86_400_000;

/** Counts the segments of one impairment. */
export class Impairer {
  private seen = 0;
  private done = 0;

  constructor(readonly impairment: Impairment) {}

  /**
   * What becomes of a frame: when its copies leave, ms from now; empty: it is lost. Undefined: it is not concerned.
   * May change the frame.
   */
  apply(frame: Buffer, direction: 0 | 1): number[] | undefined {
    const { of, does, every, after, most, holdMs } = this.impairment;
    if (direction !== this.impairment.direction || !isOfKind(frame, of)) return undefined;
    const number = ++this.seen - after;
    if (number <= 0 || number % every !== 0 || this.done >= most) return undefined;
    this.done++;
    if (does === 'lose') return [];
    if (does === 'duplicate') return [0, 0];
    if (does === 'hold') return [holdMs];
    setTimestampBack(frame, TICKS_BACK);
    return [0];
  }
}
