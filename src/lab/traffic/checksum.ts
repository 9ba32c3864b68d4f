/** Sum of 16-bit words in ones' complement arithmetic (RFC 1071), not yet inverted. An odd byte is padded with a zero. */
export function sumOfWords(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  if (bytes.length % 2 === 1) sum += bytes[bytes.length - 1] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** The Internet checksum of what was summed. */
export function invert(sum: number): number {
  return ~sum & 0xffff;
}
