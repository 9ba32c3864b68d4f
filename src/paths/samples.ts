import type { Batch } from '../capture/types.js';
import type { EventCursor } from '../events/cursor.js';
import { KIND } from '../events/layout.js';
import { eventOf } from '../events/normalise.js';
import type { SkbEvent } from '../events/types.js';
import type { HopPool } from './hop-pool.js';
import type { PathState } from './path-state.js';
import type { PathView } from './types.js';

/** A path that was kept to be shown: its records, so that it costs no objects until the report. */
export interface Sample {
  serial: number;
  end: PathView['end'];
  /** Packets merged into it. */
  merged: number;
  /** ns from the first event to the last step forward. */
  took: number;
  /** ns from first to last event. */
  duration: number;
  records: Batch;
}

const SLOWEST = 3;
const DROPPED = 3;

/** The paths of a pair that are worth showing: the slowest, the first that were dropped or stuck, an ordinary one. */
export class SampleSet {
  private slowest: Sample[] = [];
  private readonly dropped: Sample[] = [];
  private ordinary: Sample | undefined;
  private complete = 0;
  private mean = 0;

  /** Looks at a path that has ended, or is `stuck` under way; its records are copied only if it is kept. */
  offer(path: PathState, end: PathView['end'], stuck: boolean, pool: HopPool): void {
    const took = path.progressTs - path.firstTs;
    if (end === 'dropped' || stuck) {
      if (this.dropped.length < DROPPED) this.dropped.push(sampleOf(path, end, pool));
      return;
    }
    if (end === 'open' && took === 0) return;
    this.complete++;
    this.mean += (took - this.mean) / this.complete;
    if (this.slowest.length < SLOWEST || took > this.slowest[SLOWEST - 1].took) {
      this.slowest.push(sampleOf(path, end, pool));
      this.slowest.sort((x, y) => y.took - x.took || x.serial - y.serial);
      this.slowest = this.slowest.slice(0, SLOWEST);
    }
    // Looked at ever more rarely: an ordinary path is soon found.
    if ((this.complete & (this.complete - 1)) !== 0 && this.ordinary) return;
    if (!this.ordinary || Math.abs(took - this.mean) < Math.abs(this.ordinary.took - this.mean)) {
      this.ordinary = sampleOf(path, end, pool);
    }
  }

  /** All that were kept, once each, in the order in which they began. */
  all(): Sample[] {
    const samples = [...this.slowest, ...this.dropped, ...(this.ordinary ? [this.ordinary] : [])];
    return [...new Map(samples.map((sample) => [sample.serial, sample])).values()].sort((x, y) => x.serial - y.serial);
  }
}

function sampleOf(path: PathState, end: PathView['end'], pool: HopPool): Sample {
  return {
    serial: path.serial,
    end,
    merged: path.merged,
    took: path.progressTs - path.firstTs,
    duration: Math.max(0, path.lastTs - path.firstTs),
    records: pool.copy(path.newest),
  };
}

/** Makes a sample's records readable. @param cursor one that nobody else is reading with. */
export function viewOf(sample: Sample, pair: number, cursor: EventCursor): PathView {
  const events: SkbEvent[] = [];
  let summary = '';
  let headers = -1;
  let previous: SkbEvent | undefined;
  cursor.load(sample.records);
  while (cursor.next()) {
    if (cursor.kind === KIND.packet) headers = cursor.at;
    else if (headers >= 0) cursor.packet.point(cursor.u8, cursor.u32, headers);
    cursor.facts.id = sample.serial;
    const event = eventOf(cursor);
    summary ||= event.packet?.summary ?? '';
    events.push(event);
    previous = event;
  }
  summary ||= previous ? `${previous.probe} ${previous.device}`.trim() : '';
  const { serial: id, end, merged, duration } = sample;
  return { id, pair, summary, end, ...(merged > 0 && { merged }), duration: duration / 1e6, events };
}
