import { where } from '../facts.js';
import type { EvidenceParams, EvidenceSource } from '../types.js';
import { addressFits, parseAddress } from './address-match.js';
import type { PacketFacts } from './model.js';

/** What became of the connections that were sent to another destination. */
export interface Translations {
  [name: string]: string | number | boolean | null;
  /** Address and port that clients ask for; empty without a connection. */
  service: string;
  connections: number;
  unanswered: number;
  /** None was answered; null when there is none. */
  dead: boolean | null;
}

/** Whether a rule's `10.0.0.9:8080`, `10.0.0.9`, `10.0.0.9-10.0.0.12`, `[fd00::9]:80` or `:8080` leads to this address and port. */
export function isTo(to: string, address: string, port: number | undefined): boolean {
  const match = /^(?:\[([^\]]+)\]|([^[\]]*?))(?::(\d+)(?:-(\d+))?)?$/.exec(to);
  // An IPv6 address without a port has colons of its own.
  const [target, low, high] = parseAddress(to) ? [to] : [match?.[1] ?? match?.[2] ?? '', match?.[3], match?.[4]];
  if (low !== undefined && port !== undefined && (port < Number(low) || port > Number(high ?? low))) return false;
  if (target === '') return low !== undefined;
  const [first, last] = target.split('-');
  return last === undefined ? addressFits(address, first) === 'yes' : inRange(address, first, last);
}

function inRange(address: string, first: string, last: string): boolean {
  const bytes = [address, first, last].map((text) => parseAddress(text)?.toByteArray());
  if (bytes.some((one) => one === undefined || one.length !== bytes[0]!.length)) return false;
  const [one, low, high] = bytes.map((list) => Buffer.from(list!));
  return Buffer.compare(low, one) <= 0 && Buffer.compare(one, high) <= 0;
}

/** Connections whose answers are to come from this address and port (ctnetlink, by conntrack-tools); undefined when unreadable. */
export async function translationsTo(
  source: EvidenceSource,
  params: EvidenceParams,
  { dst, dport }: PacketFacts,
): Promise<Translations | undefined> {
  if (dst === undefined || !parseAddress(dst)) return undefined;
  const family = dst.includes(':') ? 'ipv6' : 'ipv4';
  const answer = await source.run(['conntrack', '-L', '-f', family, '--reply-src', dst], where(params, 'after'));
  if (answer.status !== 'ok') return undefined;
  const lines = answer.text.split('\n').filter((line) => {
    const [asked, replies] = [...line.matchAll(/src=(\S+) dst=(\S+)(?: sport=(\d+) dport=(\d+))?/g)];
    if (!asked || !replies) return false;
    const translated = asked[2] !== replies[1] || asked[4] !== replies[3];
    return translated && (dport === undefined || replies[3] === undefined || Number(replies[3]) === dport);
  });
  const unanswered = lines.filter((line) => line.includes('[UNREPLIED]')).length;
  const [, service = '', port] = /dst=(\S+)(?: sport=\d+ dport=(\d+))?/.exec(lines[0] ?? '') ?? [];
  return {
    service: port === undefined ? service : service.includes(':') ? `[${service}]:${port}` : `${service}:${port}`,
    connections: lines.length,
    unanswered,
    dead: lines.length === 0 ? null : unanswered === lines.length,
  };
}
