import { isObject, numberIn, objectIn, stringIn } from '../facts.js';
import { addressBetween, addressFits } from './address-match.js';
import { allOf, both, fits, negate, protocolNumber, type Fit, type PacketFacts, type Test } from './model.js';

/** Elements of named sets, by `family table @name`. */
export type NftSets = Map<string, unknown[]>;

/** Value that a match asks about, with the protocol that asking for it implies. */
interface Subject {
  value: (packet: PacketFacts) => string | number | undefined;
  kind: 'address' | 'number' | 'device' | 'protocol' | 'icmp' | 'icmpv6' | 'version';
  /** IANA number that must be the packet's (`tcp dport` only fits TCP). */
  proto?: number;
  version?: number;
}

/** Compiles nft's `match` expression; what cannot be told from a packet's addresses and ports fits `maybe`. */
export function nftTest(match: Record<string, unknown>, named: (name: string) => unknown[] | undefined): Test {
  const parts = isObject(match.left) && Array.isArray(match.left.concat) ? match.left.concat : undefined;
  if (parts) return concatenationTest(parts, match.right, stringIn(match, 'op') ?? '==', named);
  if (isTcpFlags(match.left)) return flagsTest(match.left, match.right, stringIn(match, 'op') ?? '==');
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

/** `ip saddr . tcp dport @blocked`: every part of one element must fit. */
function concatenationTest(
  parts: unknown[],
  right: unknown,
  operator: string,
  named: (name: string) => unknown[] | undefined,
): Test {
  const elements = elementsOf(right, named);
  if (!elements || !['==', '!=', 'in'].includes(operator)) return () => 'maybe';
  const one = (element: unknown): Test => {
    const value = isObject(element) && isObject(element.elem) ? element.elem.val : element;
    const values = isObject(value) && Array.isArray(value.concat) ? value.concat : [];
    if (values.length !== parts.length) return () => 'maybe';
    return allOf(parts.map((left, i) => nftTest({ op: '==', left, right: values[i] as unknown }, named)));
  };
  const tests = elements.map(one);
  return (packet) => {
    const fit = anyFits(tests.map((test) => test(packet)));
    return operator === '!=' ? negate(fit) : fit;
  };
}

/** The elements of `@name`, of a set written out, or a single value. */
export function elementsOf(right: unknown, named: (name: string) => unknown[] | undefined): unknown[] | undefined {
  if (typeof right === 'string' && right.startsWith('@')) return named(right);
  if (isObject(right) && Array.isArray(right.set)) return right.set;
  return right === undefined ? undefined : [right];
}

const FLAG_LETTERS: Record<string, string> = { fin: 'F', syn: 'S', rst: 'R', psh: 'P', ack: '.', urg: 'U' };

function isTcpFlags(left: unknown): boolean {
  if (!isObject(left)) return false;
  const masked = Array.isArray(left['&']) ? (left['&'] as unknown[])[0] : left;
  const payload = isObject(masked) ? objectIn(masked, 'payload') : {};
  return payload.protocol === 'tcp' && payload.field === 'flags';
}

/** `tcp flags syn / fin,syn,rst,ack` and `tcp flags syn` (which asks whether it is set among others). */
function flagsTest(left: unknown, right: unknown, operator: string): Test {
  const masked = isObject(left) && Array.isArray(left['&']) ? (left['&'] as unknown[]) : undefined;
  const mask = masked ? flagLetters(masked[1]) : undefined;
  const wanted = flagLetters(right);
  if (!wanted || (masked && !mask)) return () => 'maybe';
  return ({ proto, flags }) => {
    if (proto !== undefined && proto !== 6) return 'no';
    if (flags === undefined) return 'maybe';
    if (mask && (operator === '==' || operator === '!=')) {
      const equal = mask.every((letter) => flags.includes(letter) === wanted.includes(letter));
      return fits(equal === (operator === '=='));
    }
    return operator === 'in' && !mask ? fits(wanted.some((letter) => flags.includes(letter))) : 'maybe';
  };
}

/** `"syn"`, `["syn", "ack"]` or `{"|": ["syn", "ack"]}` as letters; undefined for anything else. */
function flagLetters(value: unknown): string[] | undefined {
  if (typeof value === 'string') return Object.hasOwn(FLAG_LETTERS, value) ? [FLAG_LETTERS[value]] : undefined;
  const parts = isObject(value) ? value['|'] : value;
  if (!Array.isArray(parts)) return undefined;
  const letters = parts.map(flagLetters);
  return letters.includes(undefined) ? undefined : letters.flatMap((list) => list ?? []);
}

/** Names that nft gives to types of ICMP (icmp_type_tbl and icmp6_type_tbl of its proto.c). */
const ICMP_TYPES: Record<string, Record<string, number>> = {
  icmp: { 'echo-reply': 0, 'destination-unreachable': 3, 'echo-request': 8, 'time-exceeded': 11 },
  icmpv6: {
    'destination-unreachable': 1,
    'packet-too-big': 2,
    'time-exceeded': 3,
    'echo-request': 128,
    'echo-reply': 129,
    'nd-router-solicit': 133,
    'nd-router-advert': 134,
    'nd-neighbor-solicit': 135,
    'nd-neighbor-advert': 136,
  },
};

function impliedFits(subject: Subject, packet: PacketFacts): Fit {
  if (subject.version !== undefined && packet.version !== undefined && packet.version !== subject.version) return 'no';
  if (subject.proto === undefined) return 'yes';
  return packet.proto === undefined ? 'maybe' : fits(packet.proto === subject.proto);
}

function subjectOf(left: unknown): Subject | undefined {
  if (!isObject(left)) return undefined;
  const meta = stringIn(objectIn(left, 'meta'), 'key');
  switch (meta) {
    case 'nfproto':
    case 'protocol':
      return { kind: 'version', value: (packet) => packet.version };
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
  if ((protocol === 'icmp' || protocol === 'icmpv6') && field === 'type')
    return { kind: protocol, value: (packet) => packet.icmpType, proto: protocolNumber(protocol) };
  if (protocol === 'ether' && field === 'type') return { kind: 'version', value: (packet) => packet.version };
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
    case 'version': {
      const version = { ip: 4, ipv4: 4, ip6: 6, ipv6: 6, arp: 0 }[String(right)];
      return version === undefined ? 'maybe' : fits(version === value);
    }
    case 'icmp':
    case 'icmpv6': {
      const type = typeof right === 'number' ? right : ICMP_TYPES[subject.kind][right];
      return type === undefined ? 'maybe' : fits(type === value);
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
