const CACHE = 1024;

/** IPv4 and IPv6 addresses as text (RFC 5952), kept for as long as they keep coming. */
export class AddressNames {
  private readonly seen = new Uint32Array(CACHE * 4);
  private readonly versions = new Uint8Array(CACHE);
  private readonly texts: string[] = new Array<string>(CACHE).fill('');

  /** @param start byte offset of 16 bytes, a multiple of 4. @param version 4 or 6. */
  read(u8: Uint8Array, u32: Uint32Array, start: number, version: number): string {
    const w = start >>> 2;
    const a = u32[w];
    const [b, c, d] = version === 6 ? [u32[w + 1], u32[w + 2], u32[w + 3]] : [0, 0, 0];
    let hash = Math.imul(a ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35) ^ d, 0x9e3779b1);
    hash = (hash ^ (hash >>> 15)) & (CACHE - 1);
    const { seen } = this;
    const s = hash * 4;
    if (
      this.versions[hash] !== version ||
      seen[s] !== a ||
      seen[s + 1] !== b ||
      seen[s + 2] !== c ||
      seen[s + 3] !== d
    ) {
      this.versions[hash] = version;
      seen[s] = a;
      seen[s + 1] = b;
      seen[s + 2] = c;
      seen[s + 3] = d;
      this.texts[hash] = version === 6 ? ipv6Text(u8, start) : ipv4Text(u8, start);
    }
    return this.texts[hash];
  }
}

/** Dotted quad of the four bytes at an offset. */
export function ipv4Text(u8: Uint8Array, at: number): string {
  return `${u8[at]}.${u8[at + 1]}.${u8[at + 2]}.${u8[at + 3]}`;
}

/** RFC 5952 text of the sixteen bytes at an offset; IPv4-mapped addresses as `::ffff:1.2.3.4`. */
export function ipv6Text(u8: Uint8Array, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => (u8[at + 2 * i] << 8) | u8[at + 2 * i + 1]);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return `::ffff:${ipv4Text(u8, at + 12)}`;
  let best = { start: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > best.length) best = { start: i, length };
    i += length;
  }
  const text = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (best.start < 0) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}
