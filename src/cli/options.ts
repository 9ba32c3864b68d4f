import { InvalidArgumentError } from 'commander';
import ipaddr from 'ipaddr.js';
import { checkBackends } from '../probes/backends.js';
import type { Backend } from '../probes/types.js';

/** `30s`, `2m`, `500ms`, `1h`, or seconds as a plain number → seconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const unit = { ms: 0.001, s: 1, m: 60, h: 3600 }[match?.[2] ?? 's'] ?? 1;
  const seconds = match ? Number(match[1]) * unit : NaN;
  if (!(seconds >= 0.1 && seconds <= 24 * 3600)) {
    throw new InvalidArgumentError('Expected a duration of 100ms to 24h, such as 30s or 2m.');
  }
  return seconds;
}

/** `8M`, `64M`, `512K` → bytes; a power of two between 256 kB and 1 GB, as the kernel's ring buffer wants it. */
export function parseRingSize(text: string): number {
  const match = /^(\d+)([KMG])i?B?$/i.exec(text);
  const bytes = match
    ? Number(match[1]) * { K: 1024, M: 1 << 20, G: 1 << 30 }[match[2].toUpperCase() as 'K' | 'M' | 'G']
    : NaN;
  if (!(bytes >= 256 * 1024 && bytes <= 1 << 30) || !Number.isInteger(Math.log2(bytes))) {
    throw new InvalidArgumentError('Expected a power of two from 256K to 1G, such as 64M.');
  }
  return bytes;
}

/** A whole number within bounds. */
export function parseInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : NaN;
    if (!(value >= min && value <= max))
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** `0x10` or `0x10/0xff` → value and mask. */
export function parseMark(text: string): { value: number; mask: number } {
  const [value, mask = 0xffffffff] = text.split('/').map(parseInteger(0, 0xffffffff));
  return { value, mask };
}

/** `tcp`, `udp`, `icmp`, `icmp6`, `arp` or an IP protocol number. */
export function parseProto(text: string): 'tcp' | 'udp' | 'icmp' | 'icmp6' | 'arp' | number {
  const name = text.toLowerCase();
  if (name === 'tcp' || name === 'udp' || name === 'icmp' || name === 'icmp6' || name === 'arp') return name;
  if (/^\d+$/.test(text)) return parseInteger(0, 255)(text);
  throw new InvalidArgumentError('Expected tcp, udp, icmp, icmp6, arp or a protocol number.');
}

/** Whether text is an IP address or a prefix. */
export function isAddress(text: string): boolean {
  return ipaddr.isValid(text) || ipaddr.isValidCIDR(text);
}

/** `raw-tracepoint,kprobe` → ways of attaching. @throws VdiagError (2) for one that does not exist */
export function parseBackends(text: string): Backend[] {
  return checkBackends(namesOf(text));
}

/** `all`, or `openvswitch,vxlan` → names. */
export function parseModules(text: string): string[] | 'all' {
  const names = namesOf(text);
  if (names.length === 0) throw new InvalidArgumentError('Expected names of modules, or all.');
  return text === 'all' ? text : names;
}

function namesOf(text: string): string[] {
  return text.split(',').flatMap((name) => name.trim() || []);
}

/** Collects names that are given one by one, or several with commas between them. */
export function collectNames(value: string, previous: string[] = []): string[] {
  return [...previous, ...value.split(',').filter((name) => name !== '')];
}

/** Collects a repeatable option. */
export function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}

/** Whether standard output is a terminal that is to have colours: not a file, a pipe or a CI's log, nor with NO_COLOR. */
export function wantsColour(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR;
}

/** Columns for text: the terminal's within reason, 110 where there is none. */
export function terminalWidth(): number {
  return Math.min(Math.max(process.stdout.columns ?? 110, 60), 140);
}
