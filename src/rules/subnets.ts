import ipaddr from 'ipaddr.js';

/** An address prefix, parsed: as a number for IPv4 (the hot path), as bytes for IPv6. */
type Prefix = { version: 4; net: number; mask: number } | { version: 6; net: ipaddr.IPv6; bits: number };

/** Answers kept per matcher; packets of a run come from few addresses. */
const MAX_REMEMBERED = 1024;

/** Whether a text is an address or a prefix as `inSubnet` takes it: `10.0.0.0/8`, `192.0.2.1`, `fd00::/8`. */
export function isPrefix(text: string): boolean {
  return parsePrefix(text) !== undefined;
}

/**
 * A test whether an address lies in any of the prefixes. They are parsed once, here; an address seen before is
 * answered from memory. Text that is no address lies in none.
 * @throws Error if a prefix cannot be parsed: the loader has checked them ({@link isPrefix}).
 */
export function subnetMatcher(prefixes: readonly string[]): (address: string) => boolean {
  const parsed = prefixes.map((text) => {
    const prefix = parsePrefix(text);
    if (!prefix) throw new Error(`"${text}" is not an address or prefix`);
    return prefix;
  });
  const remembered = new Map<string, boolean>();
  return (address) => {
    const known = remembered.get(address);
    if (known !== undefined) return known;
    if (remembered.size >= MAX_REMEMBERED) remembered.clear();
    const found = liesIn(address, parsed);
    remembered.set(address, found);
    return found;
  };
}

function liesIn(text: string, prefixes: readonly Prefix[]): boolean {
  const address = parsePrefix(text.includes('/') ? '' : text);
  if (!address) return false;
  return prefixes.some((prefix) => {
    if (prefix.version === 4) return address.version === 4 && (address.net & prefix.mask) >>> 0 === prefix.net;
    return address.version === 6 && address.net.match(prefix.net, prefix.bits);
  });
}

/** IPv4 must be four decimal parts: inet_aton's `10.1` or octal `010.0.0.1` would surprise. Mapped IPv6 is IPv4. */
function parsePrefix(text: string): Prefix | undefined {
  const [address, length, more] = text.split('/');
  if (more !== undefined || (length !== undefined && !/^\d{1,3}$/.test(length))) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) return prefix4(ipaddr.IPv4.parse(address), Number(length ?? 32));
  if (address.includes('%') || !ipaddr.IPv6.isValid(address)) return undefined;
  const bits = Number(length ?? 128);
  const net = ipaddr.IPv6.parse(address);
  if (net.isIPv4MappedAddress() && bits >= 96) return prefix4(net.toIPv4Address(), bits - 96);
  return bits <= 128 ? { version: 6, net, bits } : undefined;
}

function prefix4(address: ipaddr.IPv4, bits: number): Prefix | undefined {
  if (bits > 32) return undefined;
  const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
  const number = address.octets.reduce((sum, octet) => sum * 256 + octet, 0);
  return { version: 4, net: (number & mask) >>> 0, mask };
}
