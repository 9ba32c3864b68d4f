/** What was counted at one place, of one direction of a pair. */
export class PlaceStats {
  /** Segments with data (of a GSO packet: one), and their bytes. */
  segments = 0;
  bytes = 0;
  /** Segments that were missing and came in a retransmission. */
  lost = 0;
  /** Bytes that were missing and never came. */
  missingBytes = 0;
  /** Segments that came after later ones, without having been sent again; how late at most (ns). */
  reordered = 0;
  longestReorderNs = 0;
  /** Segments that came twice, without having been sent again, and the bytes of the second ones. */
  duplicates = 0;
  duplicateBytes = 0;
  /** Retransmissions of what had passed here before; of these, those of what an acknowledgement had covered. */
  again = 0;
  needless = 0;
  /** In a row, of the same segment; how long its sender waited at last (ns). */
  mostRepeats = 0;
  longestWaitNs = 0;
  /** Bare acknowledgements; retransmissions by the other end of what one that passed here had covered. */
  acks = 0;
  repeatedAfter = 0;
  /** Requests to open a connection, those sent again, and the answers to such requests. */
  opens = 0;
  opensAgain = 0;
  accepts = 0;
  acceptsAgain = 0;
  /** Ports of the latest of these that was sent again. */
  openSport = 0;
  openDport = 0;
  /** Small segments; times one waited for a delayed acknowledgement, and how long in all (ns). */
  small = 0;
  stalls = 0;
  stallNs = 0;
  /** Ports of the latest conversation that something was counted for. */
  sport = 0;
  dport = 0;

  /** @param key the device's number times two, plus one where packets leave by its driver; @param firstTs of the first */
  constructor(
    readonly key: number,
    public firstTs: number,
  ) {}

  /** Adds what was counted at the same place for another part of the way. */
  add(other: PlaceStats): void {
    const most = [
      'longestReorderNs',
      'mostRepeats',
      'longestWaitNs',
      'sport',
      'dport',
      'openSport',
      'openDport',
    ] as const;
    const sums = [
      ...([
        'segments',
        'bytes',
        'lost',
        'missingBytes',
        'reordered',
        'duplicates',
        'duplicateBytes',
        'again',
        'needless',
        'acks',
      ] as const),
      ...(['repeatedAfter', 'opens', 'opensAgain', 'accepts', 'acceptsAgain', 'small', 'stalls', 'stallNs'] as const),
    ];
    for (const name of sums) this[name] += other[name];
    for (const name of most) this[name] = Math.max(this[name], other[name]);
    this.firstTs = Math.min(this.firstTs, other.firstTs);
  }

  suffers(sport: number, dport: number): void {
    this.sport = sport;
    this.dport = dport;
  }
}

/** One direction of a pair: its places, in the order in which packets first passed them. */
export class PairStream {
  readonly places: PlaceStats[] = [];
  /** Ports of conversations, source in the high half; the first few. */
  readonly ports = new Set<number>();

  /** The counts of a place, made when it is new; undefined beyond the limit. */
  place(key: number, most: number, ts: number): PlaceStats | undefined {
    const known = this.places.find((place) => place.key === key);
    if (known || this.places.length >= most) return known;
    const place = new PlaceStats(key, ts);
    this.places.push(place);
    return place;
  }
}

/** Gaps of one conversation that are remembered; latest segments that are. */
const MAX_GAPS = 32;
const RING = 16;

/** Bytes that have not come, when that was noticed, and the IP identification of what came in their stead. */
interface Gap {
  from: number;
  to: number;
  readonly ts: number;
  readonly ipId: number;
}

/** One place of one direction of a conversation. */
export class PlaceOfFlow {
  started = false;
  /** The sequence number after the highest byte seen here. */
  next = 0;
  /** The highest acknowledgement of the other direction that passed here. */
  acked = false;
  maxAck = 0;
  maxAckTs = 0;
  private gaps: Gap[] = [];
  private ring: { seq: Uint32Array; ipId: Uint16Array; ts: Float64Array } | undefined;
  private at = 0;
  private opening = -1;
  private repeatedSeq = -1;
  private repeatedTs = 0;
  private inRow = 0;

  constructor(
    readonly key: number,
    readonly stats: PlaceStats,
  ) {}

  /** A connection is opened (or its opening answered) here; the same number once more is a retransmission. */
  opened(seq: number, ts: number, answer: boolean, sport: number, dport: number): void {
    const { stats } = this;
    if (this.opening === seq) {
      stats.openSport = sport;
      stats.openDport = dport;
      if (answer) stats.acceptsAgain++;
      else stats.opensAgain++;
      this.repeated(seq, ts);
      return;
    }
    if (answer) stats.accepts++;
    else stats.opens++;
    this.opening = seq;
    this.started = true;
    this.acked = false;
    this.next = (seq + 1) >>> 0;
    this.gaps = [];
    this.ring = undefined;
    this.repeatedSeq = seq;
    this.repeatedTs = ts;
    this.inRow = 0;
  }

  acknowledges(ack: number, ts: number): void {
    if (this.acked && ((ack - this.maxAck) | 0) <= 0) return;
    this.acked = true;
    this.maxAck = ack;
    this.maxAckTs = ts;
  }

  /** The bytes up to `to` are missing: something behind them came. */
  gap(to: number, ts: number, ipId: number): void {
    this.stats.missingBytes += (to - this.next) >>> 0;
    if (this.gaps.length >= MAX_GAPS) this.gaps.shift();
    this.gaps.push({ from: this.next, to, ts, ipId });
  }

  /** Takes bytes out of the gap that they were missing from; undefined: they were not. */
  fill(seq: number, length: number): Gap | undefined {
    const end = (seq + length) >>> 0;
    const i = this.gaps.findIndex(({ from, to }) => ((end - from) | 0) > 0 && ((to - seq) | 0) > 0);
    if (i < 0) return undefined;
    const gap = this.gaps[i];
    const from = ((seq - gap.from) | 0) > 0 ? seq : gap.from;
    const to = ((end - gap.to) | 0) > 0 ? gap.to : end;
    this.stats.missingBytes -= (to - from) >>> 0;
    const rest: Gap[] = [];
    if (from !== gap.from) rest.push({ ...gap, to: from });
    if (to !== gap.to) rest.push({ ...gap, from: to });
    this.gaps.splice(i, 1, ...rest);
    return gap;
  }

  remember(seq: number, ipId: number, ts: number): void {
    this.ring ??= { seq: new Uint32Array(RING), ipId: new Uint16Array(RING), ts: new Float64Array(RING) };
    this.ring.seq[this.at] = seq;
    this.ring.ipId[this.at] = ipId;
    this.ring.ts[this.at] = ts;
    this.at = (this.at + 1) % RING;
  }

  /** The latest segment that began with this byte, if it was not long ago. */
  recall(seq: number): { ipId: number; ts: number } | undefined {
    const { ring } = this;
    if (!ring) return undefined;
    for (let back = 1; back <= RING; back++) {
      const i = (this.at + RING - back) % RING;
      if (ring.ts[i] > 0 && ring.seq[i] === seq) return { ipId: ring.ipId[i], ts: ring.ts[i] };
    }
    return undefined;
  }

  /** The same segment once more: with each in a row TCP waits twice as long. */
  repeated(seq: number, ts: number): void {
    const { stats } = this;
    const since = this.repeatedSeq === seq ? this.repeatedTs : (this.recall(seq)?.ts ?? ts);
    this.inRow = this.repeatedSeq === seq ? this.inRow + 1 : 1;
    this.repeatedSeq = seq;
    this.repeatedTs = ts;
    stats.mostRepeats = Math.max(stats.mostRepeats, this.inRow);
    stats.longestWaitNs = Math.max(stats.longestWaitNs, ts - since);
  }
}

const REPEATED = 16;

/** What is known of one direction of a conversation, whatever the place. */
export class Talk {
  /** When its connection was opened (SYN or SYN-ACK, last place); how long (ns) the sender took to react to the other's. */
  openedTs = 0;
  turnNs = 0;
  /** Its latest data: until which byte, when, small, and whether the other end has sent data since. */
  sentTs = 0;
  sentEnd = -1;
  small = false;
  answered = false;
  /** How long (ns) the other end took to acknowledge it, 0: not long; when that was last seen. */
  ackDelayNs = 0;
  ackTs = 0;
  private again: Float64Array | undefined;
  private at = 0;

  /** Notes a segment that was sent again: later places tell by it that it is no late original. */
  repeats(seq: number): void {
    this.again ??= new Float64Array(REPEATED).fill(-1);
    this.again[this.at] = seq;
    this.at = (this.at + 1) % REPEATED;
  }

  wasRepeated(seq: number): boolean {
    return this.again?.includes(seq) ?? false;
  }
}
