import type { Batch, KernelNames } from '../capture/types.js';
import type { ProbePlan, ProbePoint } from '../probes/types.js';
import type { DropInference } from './drop-inference.js';
import { type Device, DeviceTable, TextCache } from './interned.js';
import { FLAG, KIND, type ResolvedLayout, type WireLayout, resolveLayout } from './layout.js';
import { PacketHeaders } from './packet-headers.js';
import { ProbeTable } from './probe-table.js';

/** What a run's records are read with: the layout they were written with, the plan, and the kernel's own names. */
export interface DecodeContext {
  wire: WireLayout;
  plan: ProbePlan;
  names: KernelNames;
  /** What errors call the source of the layout: a recording's file, or `this build` (default). */
  origin?: string;
  /** Tells why packets were dropped where the kernel does not; shared by all cursors of a run. */
  inference?: DropInference;
}

/** Records that could not be used, by cause. */
export interface DecodeCounts {
  /** Records that were handed on. */
  records: number;
  /** Shorter than their kind needs, or framed beyond the batch. */
  truncated: number;
  unknownKind: number;
  /** A probe number that the plan does not have. */
  unknownProbe: number;
}

/**
 * What the path tracker knows about the packet of the current event *before* this event; filled in by
 * `PathTracker.next`, read by the `path.*` fields.
 */
export interface PathFacts {
  /** Serial number of the path, from 1; 0: the event belongs to none. */
  id: number;
  /** ns of its first and of its previous event. */
  firstTs: number;
  lastTs: number;
  /** Events so far, this one included. */
  events: number;
  firstDevice: string;
  /** Of its previous event; empty when this is the first. */
  lastProbe: string;
  lastRole: string;
  lastDevice: string;
}

const BUSY = 0x80000000;
const DISCARDED = 0x40000000;
const LENGTH = 0x3fffffff;
const HIGH = 4294967296;

/**
 * A window on one record after the other of a batch: numbers are read from the bytes when asked for, and no object is
 * made per event. Everything read is valid until the next call of `next`.
 *
 *     cursor.load(batch);
 *     while (cursor.next()) tracker.next(cursor);
 */
export class EventCursor {
  readonly layout: ResolvedLayout;
  readonly probes: ProbeTable;
  readonly names: KernelNames;
  readonly inference: DropInference | undefined;
  readonly devices = new DeviceTable();
  readonly counts: DecodeCounts = { records: 0, truncated: 0, unknownKind: 0, unknownProbe: 0 };
  /** The packet's headers: of this record, or (set by the path tracker) as last seen on its path. */
  readonly packet: PacketHeaders;
  readonly facts: PathFacts = {
    ...{ id: 0, firstTs: 0, lastTs: 0, events: 0 },
    ...{ firstDevice: '', lastProbe: '', lastRole: '', lastDevice: '' },
  };
  u8: Uint8Array = new Uint8Array(0);
  u32: Uint32Array = new Uint32Array(0);
  /** Byte offset of the record, and its length. */
  at = 0;
  length = 0;
  /** One of {@link KIND}. */
  kind = 0;
  /** Index of the probe in the plan; always a valid one. */
  probe = 0;
  /** Bits of {@link FLAG}. */
  flags = 0;

  private nextAt = 0;
  private end = 0;
  private word = 0;
  private readonly oTs: number;
  private readonly oPath: number;
  private readonly oProbe: number;
  private readonly oKind: number;
  private readonly oFlags: number;
  private readonly tables = new TextCache(8);
  private readonly chains = new TextCache(8);
  private readonly comms = new TextCache(4);

  /** @throws VdiagError (status 2) when the layout is not one that this version reads. */
  constructor(context: DecodeContext) {
    this.layout = resolveLayout(context.wire, context.origin ?? 'this build');
    this.probes = new ProbeTable(context.plan);
    this.names = context.names;
    this.inference = context.inference;
    this.packet = new PacketHeaders(this.layout);
    const { hop } = this.layout;
    this.oTs = hop.ts >>> 2;
    this.oPath = hop.path >>> 2;
    this.oProbe = hop.probe >>> 2;
    this.oKind = hop.kind;
    this.oFlags = hop.flags;
  }

  /** Stands before the first record of a batch. */
  load(batch: Batch): void {
    this.u8 = batch.u8;
    this.u32 = batch.u32;
    this.nextAt = (batch.start + 7) & ~7;
    this.end = Math.min(batch.end, batch.u32.length * 4, batch.u8.length);
  }

  /** Goes to the next record that can be understood; false at the end. Never throws, whatever the bytes. */
  next(): boolean {
    const { u32, u8, end, counts } = this;
    while (this.nextAt + 8 <= end) {
      const header = u32[this.nextAt >>> 2];
      const length = header & LENGTH;
      const at = this.nextAt + 8;
      if ((header & BUSY) !== 0 || at + length > end) {
        counts.truncated++;
        this.nextAt = end;
        return false;
      }
      this.nextAt = at + ((length + 7) & ~7);
      if ((header & DISCARDED) !== 0) continue;
      if (length < this.layout.sizes[KIND.hop]) {
        counts.truncated++;
        continue;
      }
      const kind = u8[at + this.oKind] | (u8[at + this.oKind + 1] << 8);
      if (kind < KIND.hop || kind > KIND.point) {
        counts.unknownKind++;
        continue;
      }
      if (length < this.layout.sizes[kind]) {
        counts.truncated++;
        continue;
      }
      const probe = u32[(at >>> 2) + this.oProbe];
      if (probe >= this.probes.size) {
        counts.unknownProbe++;
        continue;
      }
      this.at = at;
      this.word = at >>> 2;
      this.length = length;
      this.kind = kind;
      this.probe = probe;
      this.flags = u8[at + this.oFlags] | (u8[at + this.oFlags + 1] << 8);
      if (kind === KIND.packet) this.packet.point(u8, u32, at);
      else this.packet.clear();
      this.facts.id = 0;
      counts.records++;
      return true;
    }
    return false;
  }

  /** ns, monotonic. */
  get ts(): number {
    const at = this.word + this.oTs;
    return this.u32[at + 1] * HIGH + this.u32[at];
  }
  /** Identity of the packet, given by the kernel side; 0: none. Its halves are exact, the number up to 2^53. */
  get path(): number {
    return this.pathHigh * HIGH + this.pathLow;
  }
  get pathLow(): number {
    return this.u32[this.word + this.oPath];
  }
  get pathHigh(): number {
    return this.u32[this.word + this.oPath + 1];
  }
  /** Address of the skb, as a number of 48 bits. */
  get skb(): number {
    return this.address(this.layout.hop.skb);
  }
  get aux(): number {
    return this.address(this.layout.hop.aux);
  }
  /** Return value; an `int` that came back zero-extended from a register reads negative as it was meant. */
  get ret(): number {
    const at = this.word + (this.layout.hop.ret >>> 2);
    const low = this.u32[at];
    const high = this.u32[at + 1];
    if (high === 0 && low >= 0x80000000 && this.probes.returns[this.probe] !== 'pointer') return low | 0;
    return (high | 0) * HIGH + low;
  }
  get cpu(): number {
    return this.u32[this.word + (this.layout.hop.cpu >>> 2)];
  }
  get pid(): number {
    return this.u32[this.word + (this.layout.hop.pid >>> 2)];
  }
  get tid(): number {
    return this.u32[this.word + (this.layout.hop.tid >>> 2)];
  }
  /** Bytes. */
  get len(): number {
    return this.u32[this.word + (this.layout.hop.len >>> 2)];
  }
  get ifindex(): number {
    return this.u32[this.word + (this.layout.hop.ifindex >>> 2)];
  }
  get netns(): number {
    return this.u32[this.word + (this.layout.hop.netns >>> 2)];
  }
  get mark(): number {
    return this.u32[this.word + (this.layout.hop.mark >>> 2)];
  }
  get queue(): number {
    return this.u32[this.word + (this.layout.hop.queue >>> 2)];
  }
  get a(): number {
    return this.u32[this.word + (this.layout.hop.a >>> 2)];
  }
  get b(): number {
    return this.u32[this.word + (this.layout.hop.b >>> 2)];
  }
  get c(): number {
    return this.u32[this.word + (this.layout.hop.c >>> 2)];
  }
  get d(): number {
    return this.u32[this.word + (this.layout.hop.d >>> 2)];
  }
  get device(): Device {
    return this.devices.read(this.netns, this.ifindex, this.u8, this.u32, this.at + this.layout.hop.dev);
  }
  get point(): ProbePoint {
    return this.probes.points[this.probe];
  }
  /** Number of the role, see `ROLES`. */
  get role(): number {
    return this.probes.roles[this.probe];
  }
  get dropped(): boolean {
    return (this.flags & FLAG.dropped) !== 0;
  }

  /** A generic number by the name that the probe's catalogue entry gives it, or undefined. */
  named(field: string): number | undefined {
    const slot = this.probes.slot(this.probe, field);
    return slot && this[slot];
  }

  /** Verdict records. */
  get hook(): number {
    return this.u8[this.at + this.layout.verdict.hook];
  }
  get family(): number {
    return this.u8[this.at + this.layout.verdict.pf];
  }
  get table(): string {
    return this.tables.read(this.u8, this.u32, this.at + this.layout.verdict.table);
  }
  get chain(): string {
    return this.chains.read(this.u8, this.u32, this.at + this.layout.verdict.chain);
  }

  /** Socket records: a 32-bit or 16-bit member (host order). */
  socketNumber(member: 'rcvbuf' | 'rmem' | 'sndbuf' | 'wmem' | 'backlog' | 'backlog_max'): number {
    return this.u32[(this.at + this.layout.socket[member]) >>> 2];
  }
  socketShort(member: 'sport' | 'dport' | 'family' | 'protocol'): number {
    const at = this.at + this.layout.socket[member];
    return this.u8[at] | (this.u8[at + 1] << 8);
  }

  /** Sched records: ns from runnable to running, and the thread's name. */
  get wait(): number {
    const at = (this.at + this.layout.sched.wait) >>> 2;
    return this.u32[at + 1] * HIGH + this.u32[at];
  }
  get comm(): string {
    return this.comms.read(this.u8, this.u32, this.at + this.layout.sched.comm);
  }

  private address(offset: number): number {
    const at = (this.at + offset) >>> 2;
    // The upper 16 bits of a kernel address are all ones and say nothing: without them it is exact as a Number.
    return (this.u32[at + 1] & 0xffff) * HIGH + this.u32[at];
  }
}
