import type { Device } from '../events/interned.js';
import type { Flow, Request } from './flow.js';
import type { Pair } from './pair.js';
import type { PathView } from './types.js';

/** How an skb of a path ended, as bits. */
export const END = { delivered: 1, dropped: 2, freed: 4, merged: 8 } as const;

/** A packet under way. Objects are used again: `serial` tells one use from the next. */
export class PathState {
  serial = 0;
  firstTs = 0;
  lastTs = 0;
  /** Its last step forward: not its end, nor what happened beside it. */
  progressTs = 0;
  progressRole = 0;
  events = 0;
  firstDevice: Device;
  lastDevice: Device;
  firstProbe = 0;
  lastProbe = 0;
  /** Newest event in the pool; how many are kept there. */
  newest = -1;
  kept = 0;
  /** Event in the pool that carries its headers as last seen; -1: none. */
  headers = -1;
  /** Its first headers were whole (not only what a socket knows). */
  entered = false;
  /** skbs that carry it: itself and its clones. */
  skbs = 1;
  /** Bits of {@link END}. */
  ends = 0;
  ended = false;
  /** Its end was not seen, but its skb's address carries another packet by now. */
  overwritten = false;
  /** GSO: bytes of it that have not been seen as segments of their own; 0 when it was not cut up. */
  uncut = 0;
  /** Packets that GRO merged into it. */
  merged = 0;
  /** It has not come beyond GRO, as far as was seen. */
  inGro = true;
  /** It was seen in fragments: without one of them all are lost. */
  inFragments = false;
  /** Its place in the order of TCP's bytes was looked at. */
  watched = false;
  /** It was cut up, and its parts have headers of their own. */
  inParts = false;
  /** It was received where its request began. */
  home = false;
  pair: Pair | undefined;
  flow: Flow | undefined;
  /** It goes from b to a. */
  reverse = false;
  /** What waits for its reply, and what it is the reply to. */
  request: Request | undefined;
  answers: Request | undefined;
  /** Segments measured on it: the cells' indices and ns, the first `measured` of these arrays. */
  readonly cells: number[] = [];
  readonly times: number[] = [];
  measured = 0;
  /** When it was last moved in its list. */
  touchedTs = 0;
  /** Neighbours in the tracker's list (by time of the last event, or of the end). */
  older: PathState | undefined;
  newer: PathState | undefined;

  constructor(private readonly none: Device) {
    this.firstDevice = none;
    this.lastDevice = none;
  }

  begin(serial: number, ts: number, device: Device, probe: number): void {
    this.serial = serial;
    this.firstTs = this.lastTs = this.progressTs = this.touchedTs = ts;
    this.events = 0;
    this.firstDevice = device;
    this.lastDevice = device;
    this.firstProbe = this.lastProbe = probe;
    this.newest = this.headers = -1;
    this.kept = 0;
    this.entered = false;
    this.skbs = 1;
    this.ends = 0;
    this.ended = this.overwritten = false;
    this.reverse = this.home = false;
    this.uncut = this.merged = this.progressRole = 0;
    this.inGro = true;
    this.inFragments = this.watched = this.inParts = false;
  }

  /** Notes a segment measured on it. */
  measure(cell: number, ns: number): void {
    this.cells[this.measured] = cell;
    this.times[this.measured] = ns;
    this.measured++;
  }

  /** Lets go of everything; what still points here sees another serial. */
  clear(): void {
    this.serial = 0;
    this.pair = this.flow = this.request = this.answers = undefined;
    this.measured = 0;
    this.firstDevice = this.lastDevice = this.none;
  }
}

/** How a path ended. `unfinished`: the run ended, or room was needed, before the packet's end was seen. */
export function endOf(path: PathState, unfinished: boolean): PathView['end'] {
  const { ends } = path;
  if ((ends & END.delivered) !== 0) return 'delivered';
  if (path.inFragments && (ends & END.dropped) !== 0) return 'dropped';
  if ((ends & END.freed) !== 0) return 'freed';
  if ((ends & END.merged) !== 0) return 'merged';
  if ((ends & END.dropped) !== 0) return 'dropped';
  // What was not seen to leave GRO by itself, nor dropped, went on as part of another packet.
  if (path.inGro && (path.overwritten || !unfinished)) return 'merged';
  return unfinished && !path.overwritten ? 'open' : 'lost';
}

/** Paths in order of age: the oldest is found, and any is moved to the end or taken out, at once. */
export class PathList {
  oldest: PathState | undefined;
  private newest: PathState | undefined;
  length = 0;

  append(path: PathState): void {
    path.older = this.newest;
    path.newer = undefined;
    if (this.newest) this.newest.newer = path;
    else this.oldest = path;
    this.newest = path;
    this.length++;
  }

  remove(path: PathState): void {
    if (path.older) path.older.newer = path.newer;
    else this.oldest = path.newer;
    if (path.newer) path.newer.older = path.older;
    else this.newest = path.older;
    path.older = path.newer = undefined;
    this.length--;
  }

  touch(path: PathState): void {
    if (path === this.newest) return;
    this.remove(path);
    this.append(path);
  }
}
