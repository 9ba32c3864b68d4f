import { type Histogram, build } from 'hdr-histogram-js';
import type { LatencyStats } from './types.js';

const NS_PER_MS = 1e6;
/** Up to so many values are kept as they are: exact, and without a histogram's tens of kilobytes. */
const FEW = 32;
/** An hour: longer waits are no packet's. */
const LONGEST_NS = 3.6e12;

/** A distribution of times in ns: exact while there are few, then an HDR histogram of three significant digits. */
export class Latency {
  private few: number[] = [];
  private histogram: Histogram | undefined;
  private sum = 0;
  private most = 0;
  private n = 0;

  /** Times below 0 (clocks of two CPUs) count as 0. */
  record(ns: number): void {
    const value = ns > 0 ? Math.min(ns, LONGEST_NS) : 0;
    this.n++;
    this.sum += value;
    if (value > this.most) this.most = value;
    if (this.histogram) this.histogram.recordValue(value);
    else if (this.few.length < FEW) this.few.push(value);
    else {
      this.histogram = build({ numberOfSignificantValueDigits: 3, lowestDiscernibleValue: 1, autoResize: true });
      for (const one of this.few) this.histogram.recordValue(one);
      this.few = [];
      this.histogram.recordValue(value);
    }
  }

  get count(): number {
    return this.n;
  }
  /** ns; 0 without values. */
  get mean(): number {
    return this.n === 0 ? 0 : this.sum / this.n;
  }

  /** In ms, as reports have it. */
  stats(): LatencyStats {
    const { n } = this;
    if (n === 0) return { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, mean: 0 };
    const sorted = [...this.few].sort((a, b) => a - b);
    const { histogram } = this;
    const at = (percent: number): number => {
      if (!histogram) return sorted[Math.max(0, Math.ceil((percent / 100) * n) - 1)] / NS_PER_MS;
      // A bucket's upper edge may lie beyond the longest time that there was.
      return Math.min(histogram.getValueAtPercentile(percent), this.most) / NS_PER_MS;
    };
    return {
      count: n,
      ...{ p50: at(50), p90: at(90), p99: at(99), p999: at(99.9) },
      max: this.most / NS_PER_MS,
      mean: this.mean / NS_PER_MS,
    };
  }
}
