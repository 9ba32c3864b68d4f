import { VdiagError } from '../base/errors.js';

const MILLISECONDS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };
const BYTES: Record<string, number> = { B: 1, KB: 1000, MB: 1_000_000, KiB: 1024, MiB: 1 << 20 };

/** `200ms`, `1.5s`, `2m` → milliseconds. @throws VdiagError (status 2) for anything else. */
export function parseDuration(text: string): number {
  return parse(text, MILLISECONDS, 'a duration such as 200ms, 20s or 2m');
}

/** `64KB`, `2MB`, `512` (bytes) → bytes. @throws VdiagError (status 2) for anything else. */
export function parseSize(size: string | number): number {
  return typeof size === 'number'
    ? size
    : parse(/^\d+$/.test(size) ? `${size}B` : size, BYTES, 'a size such as 512, 64KB or 2MB');
}

function parse(text: string, units: Record<string, number>, expected: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)([a-zA-Z]+)$/.exec(text);
  const unit = match && Object.hasOwn(units, match[2]) ? units[match[2]] : undefined;
  if (!match || unit === undefined) throw new VdiagError({ message: `"${text}" cannot be understood`, expected }, 2);
  return Number(match[1]) * unit;
}
