import type { DropClue, DropRule } from '../probes/drop-rules.js';
import type { ProbePlan } from '../probes/types.js';
import type { EventCursor } from './cursor.js';
import { FLAG, KIND } from './layout.js';
import { errnoName } from './names.js';
import { TCP } from './packet-headers.js';
import { roleNumber } from './probe-table.js';

/** skbs whose clues are kept; a power of two. Under way at one time on one host are far fewer. */
const SKBS = 8192;
/** CPUs whose last answer is kept; a power of two. */
const CPUS = 512;
/** Reasons that are remembered for those who read the records again. */
const REMEMBERED = 32768;
/** ns after which an answer was not to this packet: it is sent before the packet is freed, by the same CPU. */
const ANSWERED_WITHIN_NS = 100e6;
/** ns for which a place refuses a destination for the same reason, and how many destinations are kept a rule. */
const SAME_DESTINATION_NS = 60e9;
const DESTINATIONS = 1024;
/** PACKET_OTHERHOST of include/uapi/linux/if_packet.h. */
const OTHER_HOST = 3;

/** A clue with its number (a bit), and whether the plan's probes would have seen it. */
interface Clue {
  bit: number;
  visible: boolean;
  holds(cursor: EventCursor): boolean;
}

interface CompiledRule {
  rule: DropRule;
  after: readonly (() => boolean)[];
  unless: readonly (() => boolean)[];
  /** Where destinations count: when each (with its namespace) was last seen to be refused, ns. */
  destinations: Map<string, number>;
}

/** What the host last sent from a CPU: a TCP reset or an ICMP error. */
interface Answer {
  ts: number;
  src: string;
  dst: string;
  sport: number;
  dport: number;
}

/**
 * Tells why packets were dropped where the kernel gives no reason (before 5.17): by the function that freed them, and by
 * what probes saw of the same skb before. What cannot be told for certain stays unknown.
 *
 * {@link note} is called for every event; it costs a look at a small table. {@link infer} answers for the current event
 * of the same cursor, and, for those who read its record again with another cursor, what was answered then.
 */
export class DropInference {
  private readonly rules = new Map<string, CompiledRule[]>();
  /** Clues by the probe that gives them. */
  private readonly cluesOf: readonly (readonly Clue[])[];
  // By hash of the skb's address: which skb and packet, its clues as bits, and the role of its last event.
  private readonly skbs = new Uint32Array(SKBS);
  private readonly paths = new Uint32Array(SKBS);
  private readonly bits = new Uint32Array(SKBS);
  private readonly lastRoles = new Int16Array(SKBS).fill(-1);
  private readonly resets: (Answer | undefined)[] = new Array<Answer | undefined>(CPUS);
  private readonly errors: ((Answer & { type: number; code: number }) | undefined)[] = new Array(CPUS);
  private readonly remembered = new Map<number, { skb: number; reason: string }>();
  private readonly functions = new Map<number, readonly CompiledRule[] | undefined>();
  private cursor: EventCursor | undefined;
  private lastTold: { path: number; rule: CompiledRule } | undefined;
  private record = -1;
  private answered = -1;
  private answer: string | undefined;

  /** @param rules those that hold for the traced kernel, in the order in which they are tried. */
  constructor(rules: readonly DropRule[], plan: ProbePlan) {
    const clues = new Map<string, Clue & { probe?: string }>();
    const numbered = (clue: DropClue): (() => boolean) => {
      if ('last' in clue) {
        const role = roleNumber(clue.last);
        return () => this.wasLast(role, clue.last);
      }
      if ('answer' in clue) return () => this.wasAnswered(clue.answer);
      const key = JSON.stringify(clue);
      const known = clues.get(key) ?? { bit: 1 << clues.size, probe: clue.probe, ...clueOf(clue, plan) };
      clues.set(key, known);
      return () => (this.bits[this.place()] & known.bit) !== 0;
    };
    for (const rule of rules) {
      const seen = (rule.unless ?? []).every((clue) => !('probe' in clue) || clueOf(clue, plan).visible);
      // What a probe would have to rule out cannot be told without it.
      if (!seen) continue;
      const compiled = {
        rule,
        after: (rule.after ?? []).map(numbered),
        unless: (rule.unless ?? []).map(numbered),
        destinations: new Map<string, number>(),
      };
      for (const name of rule.in) this.rules.set(name, [...(this.rules.get(name) ?? []), compiled]);
    }
    if (clues.size > 31) throw new RangeError('more than 31 clues in the rules for drop reasons');
    const highest = plan.probes.reduce((most, { index }) => Math.max(most, index), -1);
    const byProbe: Clue[][] = Array.from({ length: highest + 1 }, () => []);
    for (const { index, point } of plan.probes) {
      byProbe[index] = [...clues.values()].filter(({ probe }) => probe === point.name);
    }
    this.cluesOf = byProbe;
  }

  /** Takes in the current event. Call for each, in their order, before {@link infer}. */
  note(cursor: EventCursor): void {
    this.cursor = cursor;
    this.record = cursor.counts.records;
    const { kind, flags } = cursor;
    if (kind === KIND.socket || kind === KIND.sched) return;
    if (kind === KIND.packet) this.noteAnswer(cursor);
    const low = cursor.skb >>> 0;
    if (low === 0) return;
    const place = placeOf(low);
    if (this.skbs[place] !== low || this.paths[place] !== cursor.pathLow || (flags & FLAG.born) !== 0) {
      this.skbs[place] = low;
      this.paths[place] = cursor.pathLow;
      this.bits[place] = 0;
      this.lastRoles[place] = -1;
    }
    if ((flags & FLAG.dropped) !== 0) return;
    this.lastRoles[place] = cursor.role;
    for (const clue of this.cluesOf[cursor.probe]) if (clue.holds(cursor)) this.bits[place] |= clue.bit;
  }

  /** Why the packet of this drop was dropped, by the name that newer kernels give it; undefined when it cannot be told. */
  infer(cursor: EventCursor): string | undefined {
    if (cursor !== this.cursor || cursor.counts.records !== this.record) {
      const known = this.remembered.get(cursor.ts);
      return known?.skb === cursor.skb ? known.reason : undefined;
    }
    if (this.answered === this.record) return this.answer;
    this.answered = this.record;
    this.answer = this.reasonOf(cursor);
    if (this.answer !== undefined && this.remembered.size < REMEMBERED) {
      this.remembered.set(cursor.ts, { skb: cursor.skb, reason: this.answer });
    }
    return this.answer;
  }

  private reasonOf(cursor: EventCursor): string | undefined {
    const found = this.rulesAt(cursor)?.find(
      (compiled) =>
        headersFit(compiled.rule, cursor) &&
        this.happened(compiled, cursor) &&
        !compiled.unless.some((holds) => holds()),
    );
    if (!found) return undefined;
    this.lastTold = { path: cursor.facts.id, rule: found };
    return found.rule.reason;
  }

  private happened(compiled: CompiledRule, cursor: EventCursor): boolean {
    const { after, rule } = compiled;
    if (after.length === 0) return true;
    const destination = rule.sameDestination && cursor.packet.present ? cursor.packet.dst : '';
    const key = `${cursor.netns} ${destination}`;
    if (after.some((holds) => holds())) {
      if (destination !== '' && compiled.destinations.size < DESTINATIONS) compiled.destinations.set(key, cursor.ts);
      return true;
    }
    const before = destination === '' ? undefined : compiled.destinations.get(key);
    return before !== undefined && Math.abs(cursor.ts - before) < SAME_DESTINATION_NS;
  }

  /** Its last event; of a segment that was cut from a larger packet, of which nothing was seen before, that packet's. */
  private wasLast(number: number, role: string): boolean {
    const { cursor } = this;
    if (!cursor) return false;
    const own = this.lastRoles[this.place()];
    if (own >= 0) return own === number;
    const { id, lastRole } = cursor.facts;
    if (id === 0) return false;
    if (lastRole === role) return true;
    // Other segments of it were dropped just before, there.
    return (
      lastRole === 'drop' && this.lastTold?.path === id && this.rulesAt(cursor)?.includes(this.lastTold.rule) === true
    );
  }

  private rulesAt(cursor: EventCursor): readonly CompiledRule[] | undefined {
    const { aux } = cursor;
    if (aux === 0) return undefined;
    if (this.functions.has(aux)) return this.functions.get(aux);
    const symbol = cursor.names.symbol(aux);
    const found = symbol === undefined ? undefined : this.rules.get(functionName(symbol));
    this.functions.set(aux, found);
    return found;
  }

  private place(): number {
    const { cursor } = this;
    return cursor ? placeOf(cursor.skb >>> 0) : 0;
  }

  /** Remembers what this CPU last sent of TCP resets and ICMP errors: it may be the answer to what it frees next. */
  private noteAnswer(cursor: EventCursor): void {
    const { packet } = cursor;
    const reset = packet.isTcp && (packet.tcpFlags & TCP.rst) !== 0;
    if (!reset && !(packet.isIcmp && isError(packet.version, packet.icmpType))) return;
    const { src, dst, sport, dport } = packet;
    const answer = { ts: cursor.ts, src, dst, sport, dport };
    const cpu = cursor.cpu & (CPUS - 1);
    if (reset) this.resets[cpu] = answer;
    else this.errors[cpu] = { ...answer, type: packet.icmpType, code: packet.icmpCode };
  }

  private wasAnswered(by: 'rst' | { icmp: readonly [number, number] }): boolean {
    const { cursor } = this;
    if (!cursor?.packet.present) return false;
    const { packet } = cursor;
    const cpu = cursor.cpu & (CPUS - 1);
    const recent = (answer: Answer | undefined): answer is Answer =>
      answer !== undefined && cursor.ts >= answer.ts && cursor.ts - answer.ts < ANSWERED_WITHIN_NS;
    if (by === 'rst') {
      const reset = this.resets[cpu];
      return (
        recent(reset) &&
        reset.sport === packet.dport &&
        reset.dport === packet.sport &&
        reset.src === packet.dst &&
        reset.dst === packet.src
      );
    }
    const error = this.errors[cpu];
    return recent(error) && error.type === by.icmp[0] && error.code === by.icmp[1] && error.dst === packet.src;
  }
}

/** `nf_hook_slow` of `nf_hook_slow.constprop.0.cold+0x1f [module]`. */
function functionName(symbol: string): string {
  const end = symbol.search(/[.+ ]/);
  return end < 0 ? symbol : symbol.slice(0, end);
}

function headersFit({ when }: DropRule, cursor: EventCursor): boolean {
  if (!when) return true;
  const { packet } = cursor;
  if (!packet.present) return false;
  if (when.proto !== undefined && packet.proto !== when.proto) return false;
  if (when.flags !== undefined && (!packet.isTcp || packet.flagsText !== when.flags)) return false;
  return when.otherHost !== true || isForOther(cursor);
}

/** By the packet's type, which holds only for the device that it was read on. */
function isForOther(cursor: EventCursor): boolean {
  const { packet, layout } = cursor;
  const word = (offset: number): number => packet.u32[(packet.at + offset) >>> 2];
  return (
    packet.u8[packet.at + layout.packet.pkt_type] === OTHER_HOST &&
    word(layout.hop.ifindex) === cursor.ifindex &&
    word(layout.hop.netns) === cursor.netns
  );
}

/** ICMP's errors (RFC 792: 3, 4, 5, 11, 12), ICMPv6's (RFC 4443: below 128). */
function isError(version: number, type: number): boolean {
  return version === 6 ? type < 128 : type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

function clueOf(clue: Extract<DropClue, { probe: string }>, plan: ProbePlan): Omit<Clue, 'bit'> {
  const planned = plan.probes.filter(({ point }) => point.name === clue.probe);
  if ('icmp' in clue) {
    const [type, code] = clue.icmp;
    return {
      visible: planned.some(({ backend }) => backend !== undefined),
      holds: (cursor) => cursor.named('icmpType') === type && cursor.named('icmpCode') === code,
    };
  }
  // Attached at the entry alone, a function says nothing of what it returned.
  const visible = planned.some(({ backend }) => backend === 'fexit' || backend === 'kretprobe');
  const returned = (cursor: EventCursor): boolean => (cursor.flags & FLAG.returned) !== 0;
  if ('errno' in clue) {
    return { visible, holds: (cursor) => returned(cursor) && errnoName(cursor.ret | 0) === clue.errno };
  }
  const { returns } = clue;
  return {
    visible,
    holds: (cursor) => {
      if (!returned(cursor)) return false;
      const low = Number(BigInt.asUintN(16, BigInt(Math.trunc(cursor.ret))));
      return returns === 'nonzero' ? low !== 0 : low === returns;
    },
  };
}

function placeOf(low: number): number {
  return (Math.imul(low >>> 6, 0x9e3779b1) >>> 16) & (SKBS - 1);
}
