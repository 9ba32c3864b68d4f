import { isObject, numberIn, objectIn, stringIn } from '../facts.js';
import { addressBetween, addressFits } from './address-match.js';
import { both, fits, negate, protocolNumber, type Fit, type PacketFacts, type Test } from './model.js';

/** Elements of named sets, by `family table @name`. */
export type NftSets = Map<string, unknown[]>;

/** Value that a match asks about, with the protocol that asking for it implies. */
interface Subject {
  value: (packet: PacketFacts) => string | number | undefined;
  kind: 'address' | 'number' | 'device' | 'protocol';
  /** IANA number that must be the packet's (`tcp dport` only fits TCP). */
  proto?: number;
  version?: number;
}

/** Compiles nft's `match` expression; what cannot be told from a packet's addresses and ports fits `maybe`. */
export function nftTest(match: Record<string, unknown>, named: (name: string) => unknown[] | undefined): Test {
  const subject = subjectOf(match.left);
  const operator = stringIn(match, 'op') ?? '==';
  if (!subject || !['==', '!=', 'in'].includes(operator)) return () => 'maybe';
  return (packet) => {
    const implied = impliedFits(subject, packet);
    if (implied === 'no') return 'no';
    const fit = valueFits(subject, subject.value(packet), match.right, named, 0);
    return both(implied, operator === '!=' ? negate(fit) : fit);
  };
}

function impliedFits(subject: Subject, packet: PacketFacts): Fit {
  if (subject.version !== undefined && packet.version !== undefined && packet.version !== subject.version) return 'no';
  if (subject.proto === undefined) return 'yes';
  return packet.proto === undefined ? 'maybe' : fits(packet.proto === subject.proto);
}

function subjectOf(left: unknown): Subject | undefined {
  if (!isObject(left)) return undefined;
  const meta = stringIn(objectIn(left, 'meta'), 'key');
  switch (meta) {
    case 'l4proto':
      return { kind: 'protocol', value: (packet) => packet.proto };
    case 'iifname':
    case 'iif':
      return { kind: 'device', value: (packet) => packet.iif };
    case 'oifname':
    case 'oif':
      return { kind: 'device', value: (packet) => packet.oif };
  }
  const payload = objectIn(left, 'payload');
  const [protocol, field] = [stringIn(payload, 'protocol'), stringIn(payload, 'field')];
  if (protocol === 'ip' || protocol === 'ip6') {
    const version = protocol === 'ip' ? 4 : 6;
    if (field === 'saddr') return { kind: 'address', value: (packet) => packet.src, version };
    if (field === 'daddr') return { kind: 'address', value: (packet) => packet.dst, version };
    if (field === 'protocol' || field === 'nexthdr')
      return { kind: 'protocol', value: (packet) => packet.proto, version };
  }
  if (field === 'sport' || field === 'dport') {
    const proto = protocol === 'th' ? undefined : protocolNumber(protocol);
    return { kind: 'number', value: (packet) => packet[field], ...(proto === undefined ? {} : { proto }) };
  }
  return undefined;
}

function valueFits(
  subject: Subject,
  value: string | number | undefined,
  right: unknown,
  named: (name: string) => unknown[] | undefined,
  depth: number,
): Fit {
  if (value === undefined || depth > 4) return 'maybe';
  const again = (part: unknown): Fit => valueFits(subject, value, part, named, depth + 1);
  if (Array.isArray(right)) return anyFits(right.map(again));
  if (isObject(right)) {
    if (Array.isArray(right.set)) return anyFits(right.set.map(again));
    if (isObject(right.elem)) return again(right.elem.val);
    if (Array.isArray(right.range)) return rangeFits(subject, value, right.range);
    if (isObject(right.prefix) && subject.kind === 'address') {
      return addressFits(
        String(value),
        `${stringIn(right.prefix, 'addr') ?? ''}/${numberIn(right.prefix, 'len') ?? ''}`,
      );
    }
    return 'maybe';
  }
  if (typeof right === 'string' && right.startsWith('@')) {
    const elements = named(right);
    return elements ? anyFits(elements.map(again)) : 'maybe';
  }
  if (typeof right !== 'string' && typeof right !== 'number') return 'maybe';
  switch (subject.kind) {
    case 'address':
      return addressFits(String(value), String(right));
    case 'device': {
      const name = String(right);
      return fits(name.endsWith('*') ? String(value).startsWith(name.slice(0, -1)) : value === name);
    }
    case 'protocol': {
      const number = protocolNumber(right);
      return number === undefined ? 'maybe' : fits(number === value);
    }
    case 'number':
      // Service names (`ssh`) are printed only with -S, which vdiag does not ask for.
      return Number.isFinite(Number(right)) ? fits(Number(right) === value) : 'maybe';
  }
}

function rangeFits(subject: Subject, value: string | number, range: unknown[]): Fit {
  const [low, high] = range;
  if (subject.kind === 'address') return addressBetween(String(value), String(low), String(high));
  if (typeof low !== 'number' || typeof high !== 'number') return 'maybe';
  return fits(Number(value) >= low && Number(value) <= high);
}

function anyFits(all: Fit[]): Fit {
  if (all.includes('yes')) return 'yes';
  return all.includes('maybe') ? 'maybe' : 'no';
}
