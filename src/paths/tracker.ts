import { type DecodeContext, EventCursor } from '../events/cursor.js';
import { FLAG, KIND } from '../events/layout.js';
import { ROLES } from '../events/probe-table.js';
import { assign, leavesBy } from './conversations.js';
import { FlowTable } from './flow.js';
import { HopPool } from './hop-pool.js';
import type { Device } from '../events/interned.js';
import { type HostDevice, HostDevices } from './host-devices.js';
import { DEFAULT_LIMITS, type TrackerLimits } from './limits.js';
import { Lineage } from './lineage.js';
import { type FirstEnd, PairTable } from './pair.js';
import { Carriers, PathIndex } from './path-index.js';
import { END, endOf, PathList, PathState } from './path-state.js';
import { RoundTrips } from './round-trips.js';
import { SampleSet } from './samples.js';
import { SegmentMeter } from './segments.js';
import { ARRIVED, BESIDE, beforeGro, IN_QUEUE, ROLE } from './steps.js';
import { Stitcher } from './stitch.js';
import { StreamMeter } from './streams.js';
import { summarise, type PathAnalysis } from './summary.js';
import type { SegmentSpec } from './types.js';
import { QdiscWaits, SchedWaits } from './waits.js';

/** What a tracker is to do: plain data, so that it can cross to a Worker. */
export interface TrackerOptions {
  segments: readonly SegmentSpec[];
  /** Match requests and replies. */
  roundTrips: boolean;
  /** Which end is to be `a` (`--src`). Absent: the one that sends first. */
  first?: FirstEnd;
  /** Devices of the host, their kinds, guests and consumers. */
  devices?: readonly HostDevice[];
  limits?: Partial<TrackerLimits>;
}

/** Ages are kept to this (ns): a packet's events come in bursts, and need not each be told. */
const GRAIN_NS = 1e6;
/** Left alone for so long (ns) when the run ends, a packet is not just under way: it is stuck. */
const STUCK_NS = 100e6;

/**
 * Puts events together to packet paths, and paths to segments, round trips and pairs. Its results depend on the records
 * and their order alone: not on batches, clocks or addresses. Memory is bounded; what had to be forgotten is counted.
 */
export class PathTracker {
  private readonly limits: TrackerLimits;
  private readonly index: PathIndex;
  private readonly pool: HopPool;
  private readonly open = new PathList();
  private readonly ended = new PathList();
  private readonly spare: PathState[] = [];
  private readonly pairs: PairTable;
  private readonly flows: FlowTable;
  private readonly trips = new RoundTrips();
  private readonly stitcher = new Stitcher();
  private readonly carriers = new Carriers();
  private readonly lineage: Lineage;
  private readonly beforeGro: Uint8Array;
  private readonly sched = new SchedWaits();
  private readonly devices: HostDevices;
  private readonly meter: SegmentMeter;
  private readonly qdiscs: QdiscWaits;
  private readonly streams: StreamMeter;
  private serials = 0;
  private packets = 0;
  private forgotten = 0;
  /** Events of packets that are followed, beyond what is kept of one packet. */
  private hopsLeftOut = 0;
  private firstTs = 0;
  private lastTs = 0;
  private now = 0;
  private expiredTs = 0;

  /**
   * @param cursor the one that {@link next} will be called with.
   * @param context what that cursor was made with: paths that are shown are read again with another one.
   */
  constructor(
    private readonly cursor: EventCursor,
    private readonly context: DecodeContext,
    private readonly options: TrackerOptions,
  ) {
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.index = new PathIndex(this.limits.paths);
    this.pool = new HopPool(this.limits.hops, cursor);
    this.pairs = new PairTable(this.limits.pairs, options.first);
    this.flows = new FlowTable(this.limits.flows);
    this.devices = new HostDevices(options.devices ?? []);
    this.meter = new SegmentMeter(options.segments, cursor, this.pool, this.devices);
    this.qdiscs = new QdiscWaits(cursor, this.pool);
    this.streams = new StreamMeter(cursor);
    this.lineage = new Lineage(cursor, this.pool, this.flows, this.stitcher, this.limits.hopsOfPath);
    this.beforeGro = beforeGro(cursor.probes);
  }

  /**
   * Takes in the cursor's current event. Afterwards the cursor's `facts` and `packet` also say what is known of the
   * packet's path, for the rules.
   */
  next(cursor: EventCursor): void {
    const { ts } = cursor;
    if (this.firstTs === 0 || ts < this.firstTs) this.firstTs = ts;
    if (ts > this.lastTs) this.lastTs = ts;
    if (ts > this.now) this.now = ts;
    if (cursor.kind === KIND.sched) {
      this.sched.event(cursor);
      return;
    }
    const key = cursor.path;
    if (key === 0 || cursor.kind === KIND.socket) return;
    const { role, flags } = cursor;
    const device = cursor.device;
    let path = this.index.find(key);
    if (path && (flags & FLAG.rewritten) !== 0 && this.isReply(path, cursor)) {
      this.abandon(path);
      path = undefined;
    }
    const known = path !== undefined;
    if (!path) {
      // The end of a transmission may come after the packet's own end; alone it tells nothing.
      if (role === ROLE.transmitted && (flags & FLAG.born) === 0) return;
      path = this.lineage.parentOf(cursor, role, this.now);
      if (path) this.addSkb(path, cursor);
      else path = this.begin(cursor, ts);
      this.index.set(key, path);
      this.carriers.carry(cursor.skb, path);
    } else if ((flags & FLAG.cloned) !== 0) this.addSkb(path, cursor);
    const { facts } = cursor;
    facts.id = path.serial;
    facts.firstTs = path.firstTs;
    facts.lastTs = path.lastTs;
    facts.events = ++path.events;
    if (device.ifindex !== 0 && path.firstDevice.ifindex === 0) leavesBy(path, device);
    facts.firstDevice = path.firstDevice.name;
    const first = path.events === 1;
    facts.lastProbe = first ? '' : cursor.probes.points[path.lastProbe].name;
    facts.lastRole = first ? '' : ROLES[cursor.probes.roles[path.lastProbe]];
    facts.lastDevice = first ? '' : path.lastDevice.name;
    this.add(path, cursor, ts, device.id, role, known || !first);
    path.lastProbe = cursor.probe;
    if (this.beforeGro[cursor.probe] === 0) path.inGro = false;
    if (device.id !== 0) {
      if (device.netns !== path.lastDevice.netns) path.pair?.realm.visit(device);
      path.lastDevice = device;
    }
    if (ts > path.lastTs) path.lastTs = ts;
    if (ts - path.touchedTs > GRAIN_NS) {
      path.touchedTs = ts;
      if (path.ended) this.ended.touch(path);
      else this.open.touch(path);
    }
    if ((flags & FLAG.merged) !== 0) this.mergedInto(path, cursor.aux);
    if ((flags & (FLAG.freed | FLAG.dropped)) !== 0) this.endOfSkb(path, cursor.skb, (flags & FLAG.dropped) !== 0);
    if (this.now - this.expiredTs > GRAIN_NS) this.expire();
  }

  /** The parts of the analysis that paths give. Call once, after the last event. */
  finish(): PathAnalysis {
    while (this.ended.oldest) this.settle(this.ended.oldest, 'seen');
    while (this.open.oldest) this.settle(this.open.oldest, 'run');
    return summarise({
      cursor: this.cursor,
      reader: new EventCursor(this.context),
      pairs: this.pairs,
      meter: this.meter,
      devices: this.devices,
      qdiscs: this.qdiscs,
      sched: this.sched,
      peer: this.options.segments.find((spec) => spec.kind === 'peer'),
      sampledPairs: this.limits.sampledPairs,
      counts: {
        packets: this.packets,
        roundTrips: this.trips.count,
        firstTs: this.firstTs,
        lastTs: this.lastTs,
        forgotten: this.forgotten,
        hopsLeftOut: this.hopsLeftOut,
        flowsForgotten: this.flows.forgotten,
      },
    });
  }

  private begin(cursor: EventCursor, ts: number): PathState {
    if ((cursor.flags & FLAG.reused) !== 0) this.overwrite(cursor.skb);
    if (this.open.length + this.ended.length >= this.limits.paths) this.evict();
    const path = this.spare.pop() ?? new PathState(cursor.devices.none);
    path.begin(++this.serials, ts, cursor.device, cursor.probe);
    this.packets++;
    this.open.append(path);
    return path;
  }

  /** One more skb carries the packet, which so lives on if it had ended. */
  private addSkb(path: PathState, cursor: EventCursor): void {
    // The kernel side knew a packet again by its headers in the very skb that carried it: it had no room to remember it.
    if (cursor.aux === cursor.skb && !path.ended && this.carriers.find(cursor.skb) === path) {
      this.forgotten++;
      return;
    }
    path.skbs++;
    if ((cursor.flags & FLAG.segment) !== 0) path.uncut = 0;
    this.carriers.carry(cursor.skb, path);
    if (!path.ended) return;
    path.ended = false;
    this.ended.remove(path);
    this.open.append(path);
  }

  /** An skb's address carries a new packet, so that of the old one has ended unseen. */
  private overwrite(skb: number): void {
    const path = this.carriers.find(skb);
    if (path && !path.ended && path.skbs <= 1) this.abandon(path);
  }

  /**
   * An address that is used again at once by an answer of the same size looks like NAT where IP does not number its
   * packets (IPv6, DF). But no NAT swaps the two ends: it is another packet.
   */
  private isReply(path: PathState, cursor: EventCursor): boolean {
    if (cursor.kind !== KIND.packet || !path.flow) return false;
    const entry = this.flows.of(cursor.packet, path.flow);
    if (!entry || entry.reverse === path.reverse) return false;
    cursor.flags = (cursor.flags & ~FLAG.rewritten) | FLAG.born;
    return true;
  }

  /** What carried the packet carries another one by now. */
  private abandon(path: PathState): void {
    path.overwritten = true;
    if (!path.ended) this.end(path);
  }

  private add(path: PathState, cursor: EventCursor, ts: number, device: number, role: number, later: boolean): void {
    const hasHeaders = cursor.kind === KIND.packet;
    if (hasHeaders) this.headers(path, cursor);
    if (path.kept < this.limits.hopsOfPath) {
      while (this.pool.full && this.evict(path));
      if (!this.pool.full) {
        const hop = this.pool.add(cursor, ts, device, path.newest);
        path.newest = hop;
        path.kept++;
        if (hasHeaders) path.headers = hop;
        if (role === ROLE.deliver) this.delivered(path, cursor, hop, ts);
        else {
          if (BESIDE[role] === 0) this.progressed(path, cursor, role, ts);
          if (later) this.meter.event(path, hop, cursor.pid, cursor.tid);
        }
        this.qdiscs.event(hop);
      } else this.hopsLeftOut++;
    } else this.hopsLeftOut++;
    if (!hasHeaders && path.headers >= 0) {
      cursor.packet.point(this.pool.u8, this.pool.u32, this.pool.recordAt(path.headers));
    }
    if (this.streams.watches(cursor.probe)) this.streams.event(path, cursor);
  }

  private progressed(path: PathState, cursor: EventCursor, role: number, ts: number): void {
    if (ts > path.progressTs) path.progressTs = ts;
    path.progressRole = role;
    if (role === ROLE.receive && this.isHome(path, cursor.device)) path.home = true;
  }

  /** Where the request came from; without round trips, where packets to this one's sender begin. */
  private isHome({ answers, pair, reverse }: PathState, device: Device): boolean {
    if (answers) return answers.firstDevice === device;
    return (reverse ? pair?.aDevices : pair?.bDevices)?.has(device) ?? false;
  }

  /** A reader took a copy. Where the consumer of a device is known, others (tcpdump) do not count. */
  private delivered(path: PathState, cursor: EventCursor, hop: number, ts: number): void {
    const { device, pid, tid } = cursor;
    const consumer = device.id === 0 ? undefined : this.devices.find(device)?.consumer;
    if (consumer && consumer.pid !== pid && !consumer.tids.includes(tid) && !this.isVhostOf(consumer.pid, tid)) return;
    // A copy made for a packet socket (tcpdump) was never under way itself.
    if (path.events > 1 && !this.lineage.wentOn(path, cursor.skb)) return;
    path.ends |= END.delivered;
    if (ts > path.progressTs) path.progressTs = ts;
    this.meter.event(path, hop, pid, tid);
  }

  /** A kernel thread of vhost that was made after the run began: its name tells whom it serves (before 6.4, vhost.c). */
  private isVhostOf(pid: number, tid: number): boolean {
    return this.sched.comm(tid) === `vhost-${pid}`;
  }

  /** Learns who talks to whom, from the first headers and from changed ones. */
  private headers(path: PathState, cursor: EventCursor): void {
    const { packet, flags } = cursor;
    if (!path.pair) assign(path, cursor, this.pairs, this.flows, this.now);
    if (packet.fragment) path.inFragments = true;
    if (path.skbs > 1 && packet.isTcp) this.streams.part(path, cursor);
    const { flow } = path;
    if (!flow) return;
    if ((flags & (FLAG.rewritten | FLAG.tunnel)) !== 0) {
      if ((flags & FLAG.rewritten) !== 0) this.flows.learn(packet, flow, path.reverse);
      flow.pair.realm.label(packet);
      // Out of its tunnel it may be cloned like any other.
      this.stitcher.remember(path, packet, this.now);
      return;
    }
    // A socket's packet has only its addresses at first (time to live 0); its numbers come with the IP header.
    if (path.entered || (packet.ttl === 0 && packet.version !== 0)) return;
    path.entered = true;
    this.stitcher.remember(path, packet, this.now);
    if (packet.gsoSize > 0 && packet.isTcp && packet.payload > packet.gsoSize) {
      flow.addLarge(path, packet.seq, packet.payload);
      path.uncut = packet.payload;
    }
    if (this.options.roundTrips) this.trips.enter(path, packet);
  }

  /**
   * GRO merged the packet into the one before it, with which it goes on. Parts of one packet that are merged again are
   * that packet.
   */
  private mergedInto(path: PathState, skb: number): void {
    const other = this.carriers.find(skb);
    path.skbs--;
    if (other === path) return;
    if (other) other.merged++;
    path.ends |= END.merged;
    if (path.skbs <= 0 && !path.ended) this.end(path);
  }

  private endOfSkb(path: PathState, skb: number, dropped: boolean): void {
    this.carriers.ended(skb);
    // A clone that ended where it was made got nowhere; one that went on says what became of the packet.
    if ((path.skbs <= 1 && path.ends === 0) || this.lineage.wentOn(path, skb)) {
      path.ends |= dropped && !this.isRoutine(path) ? END.dropped : END.freed;
    }
    if (--path.skbs > 0 || path.ended) return;
    // A GSO packet that ends in a queue was cut up there (tbf does so): its segments come out later, as skbs of their own.
    if (path.uncut > 0 && IN_QUEUE[path.progressRole] === 1 && (path.ends & END.dropped) === 0) {
      path.ends = 0;
      return;
    }
    this.end(path);
  }

  /**
   * An echo reply that is back with a raw socket's ping: the socket took a copy, and the packet itself ends as one that no
   * ping socket wanted (net/ipv4/ping.c).
   */
  private isRoutine(path: PathState): boolean {
    if (!path.home || !this.cursor.packet.isIcmp) return false;
    const { ret } = this.cursor;
    return ret === 0 || ['NO_SOCKET', 'NOT_SPECIFIED'].includes(this.cursor.names.dropReason(ret) ?? '');
  }

  private end(path: PathState): void {
    path.ended = true;
    this.open.remove(path);
    this.ended.append(path);
  }

  private expire(): void {
    this.expiredTs = this.now;
    for (
      let path = this.ended.oldest;
      path && this.now - path.lastTs > this.limits.lingerNs;
      path = this.ended.oldest
    ) {
      this.settle(path, 'seen');
    }
    for (let path = this.open.oldest; path && this.now - path.lastTs > this.limits.idleNs; path = this.open.oldest) {
      this.settle(path, 'idle');
    }
  }

  /** Makes room by the oldest packet, an ended one if there is; not by `spared`. False: there is none other. */
  private evict(spared?: PathState): boolean {
    const ended = this.ended.oldest;
    if (ended && ended !== spared) {
      this.settle(ended, 'seen');
      return true;
    }
    const path = this.open.oldest === spared ? spared?.newer : this.open.oldest;
    if (!path) return false;
    this.forgotten++;
    this.settle(path, 'room');
    return true;
  }

  /**
   * The last of a path: how it ended, what that says, and its place is free again. `why`: its end was seen, it was idle,
   * room was needed, or the run ended.
   */
  private settle(path: PathState, why: 'seen' | 'idle' | 'room' | 'run'): void {
    const end = endOf(path, why === 'room' || why === 'run');
    const { pair } = path;
    if (path.request) this.trips.settle(path.request);
    if (pair) {
      // Idle for long, or when the run ended, before it got anywhere. What was overwritten or evicted may have.
      const idle = why === 'idle' || (why === 'run' && this.now - path.progressTs > STUCK_NS);
      const stuck = idle && (end === 'open' || end === 'lost') && ARRIVED[path.progressRole] === 0;
      if (end === 'dropped') pair.drops[path.reverse ? 1 : 0]++;
      if (end === 'dropped' || stuck) this.meter.lost(path, end === 'dropped');
      if (path.answers) this.trips.complete(path, pair.cells);
      (pair.samples ??= new SampleSet()).offer(path, end, stuck, this.pool);
    }
    (path.ended ? this.ended : this.open).remove(path);
    this.pool.release(path.newest);
    path.clear();
    this.spare.push(path);
  }
}
