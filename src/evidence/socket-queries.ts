import { parseObjects, stringIn, where } from './facts.js';
import { parseAddress } from './firewall/address-match.js';
import { parseSockets, type Socket } from './parsers/sockets.js';
import type { EvidenceParams, EvidenceSource, RawEvidence } from './types.js';

type Answer<T> = { known: true; value: T } | { known: false; why: string };

/** Sockets by a question to sock_diag; words after the options are a filter of ss. */
export async function askSockets(
  source: EvidenceSource,
  params: EvidenceParams,
  options: readonly string[],
  ...filter: string[]
): Promise<Answer<Socket[]>> {
  return socketsOf(await source.run(['ss', '-H', '-n', ...options, '-O', ...filter], where(params, 'after')));
}

function socketsOf(answer: RawEvidence): Answer<Socket[]> {
  return answer.status === 'ok' ? { known: true, value: parseSockets(answer.text) } : { known: false, why: answer.why };
}

/** Whether an address belongs to the namespace (a route of type local leads to it); undefined when that is not known. */
export async function isLocalAddress(
  source: EvidenceSource,
  params: EvidenceParams,
  address: string,
): Promise<boolean | undefined> {
  if (!parseAddress(address)) return undefined;
  const answer = await source.run(['ip', '-j', 'route', 'get', address], where(params, 'after'));
  // The kernel's refusal (no route, blackhole …) means that it is not its own.
  if (answer.status === 'failed') return false;
  if (answer.status !== 'ok') return undefined;
  return parseObjects(answer.text)?.some((route) => stringIn(route, 'type') === 'local') ?? undefined;
}

export const isWildcard = (address: string): boolean => ['*', '0.0.0.0', '::'].includes(address);

/** `10.0.0.1:80`, `[::]%eth0:80`. */
export const nameOf = (socket: Socket): string =>
  `${hostOf(socket.address)}${socket.device ? `%${socket.device}` : ''}:${socket.port}`;

/** An address as it stands before a port. */
export const hostOf = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** Whether a socket's own address takes packets for that address: `*` is an IPv6 socket that takes IPv4 too. */
export function takes(socket: Socket, address: string | undefined): boolean {
  if (address === undefined || socket.address === '*') return true;
  if (socket.address === '0.0.0.0') return !address.includes(':');
  if (socket.address === '::') return address.includes(':');
  return sameAddress(socket.address, address);
}

/** IPv4 in an IPv6 socket (`::ffff:10.0.0.1`) is the IPv4 address. */
export function sameAddress(a: string, b: string): boolean {
  const plain = (text: string): string | undefined => parseAddress(text.replace(/^::ffff:(?=\d+\.)/i, ''))?.toString();
  return plain(a) !== undefined && plain(a) === plain(b);
}

/** Numbers of a setting below /proc/sys/net, in the namespace or, where it has none of its own, of the host. */
export async function settingOf(source: EvidenceSource, params: EvidenceParams, name: string): Promise<number[]> {
  const path = `/proc/sys/${name.replaceAll('.', '/')}`;
  const own = await source.read(path, where(params, 'after'));
  const answer = own.status === 'ok' ? own : await source.read(path, { phase: 'after' });
  if (answer.status !== 'ok') return [];
  const numbers = answer.text.trim().split(/\s+/).map(Number);
  return numbers.every(Number.isFinite) ? numbers : [];
}

/** Smallest power of two that is not below the number. */
export function roundUp(number: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, number)));
}
