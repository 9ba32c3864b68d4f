import ipaddr from 'ipaddr.js';
import { fits, type Fit } from './model.js';

/** Whether an address is in `10.0.0.0/24`, `10.0.0.1`, `10.0.0.1/255.255.0.0` or `fd00::/8`; `maybe` for what is none. */
export function addressFits(address: string | undefined, range: string): Fit {
  if (address === undefined) return 'maybe';
  const parsed = parseAddress(address);
  const [base, length] = range.split('/');
  const network = parseAddress(base);
  if (!parsed || !network) return 'maybe';
  if (parsed.kind() !== network.kind()) return 'no';
  const bits = length === undefined ? network.toByteArray().length * 8 : prefixLength(length);
  if (bits === undefined || bits > network.toByteArray().length * 8) return 'maybe';
  return fits(samePrefix(parsed.toByteArray(), network.toByteArray(), bits));
}

/** Whether an address lies between two others, both included. */
export function addressBetween(address: string | undefined, low: string, high: string): Fit {
  const [one, from, to] = [address ?? '', low, high].map(parseAddress);
  if (!one || !from || !to) return 'maybe';
  if (one.kind() !== from.kind()) return 'no';
  const text = (value: Address): string =>
    value
      .toByteArray()
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('');
  return fits(text(from) <= text(one) && text(one) <= text(to));
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** An IPv4 or IPv6 address (IPv4-mapped as IPv4), or undefined. Short forms (`10.1`) are refused: tools read them otherwise. */
export function parseAddress(text: string): Address | undefined {
  const bare = text.replace(/%.*$/, '');
  if (ipaddr.IPv4.isValidFourPartDecimal(bare) || ipaddr.IPv6.isValid(bare)) return ipaddr.process(bare);
  return undefined;
}

function prefixLength(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const mask = parseAddress(text);
  return mask ? (mask.prefixLengthFromSubnetMask() ?? undefined) : undefined;
}

function samePrefix(a: number[], b: number[], bits: number): boolean {
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = bits & 7;
  return rest === 0 || a[whole] >> (8 - rest) === b[whole] >> (8 - rest);
}
