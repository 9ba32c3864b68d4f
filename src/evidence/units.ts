/** Rates as tc takes them: decimal kbit, mbit, gbit. */
export function rateText(bitsPerSecond: number): string {
  for (const [factor, unit] of [
    [1e9, 'gbit'],
    [1e6, 'mbit'],
    [1e3, 'kbit'],
  ] as const) {
    if (bitsPerSecond >= factor && Number.isInteger(+(bitsPerSecond / factor).toFixed(3))) {
      return `${Math.round(bitsPerSecond / factor)}${unit}`;
    }
  }
  return bitsPerSecond >= 1e6 ? `${Math.round(bitsPerSecond / 1e3)}kbit` : `${Math.round(bitsPerSecond)}bit`;
}

/** Sizes as tc takes them: binary kb and mb, else bytes. */
export function sizeText(bytes: number): string {
  const rounded = Math.round(bytes);
  if (rounded >= 1 << 20 && rounded % (1 << 20) === 0) return `${rounded >> 20}mb`;
  // tc keeps a burst as time, so what it prints back may be a few bytes off a round number.
  const kilo = Math.round(rounded / 1024);
  return kilo >= 1 && Math.abs(kilo * 1024 - rounded) < 16 ? `${kilo}kb` : `${rounded}b`;
}

/** Times as tc takes them. */
export function timeText(ms: number): string {
  return ms >= 1 || ms === 0 ? `${+ms.toFixed(3)}ms` : `${+(ms * 1000).toFixed(1)}us`;
}

/** bits/s of `700Kbit`, `1Mbit`, `1.5Gbit`, `87500bps` (tc prints bytes/s as `bps`), or undefined. */
export function parseRate(text: string): number | undefined {
  const match = /^([\d.]+)(T|G|M|K|Ki|Mi|Gi)?(bit|bps)$/i.exec(text);
  if (!match) return undefined;
  const [, number, prefix = '', unit] = match;
  const factors: Record<string, number> = {
    '': 1,
    k: 1e3,
    m: 1e6,
    g: 1e9,
    t: 1e12,
    ki: 1024,
    mi: 1 << 20,
    gi: 1 << 30,
  };
  const value = Number(number) * factors[prefix.toLowerCase()] * (unit.toLowerCase() === 'bps' ? 8 : 1);
  return Number.isFinite(value) ? value : undefined;
}

/** Bytes of `4Kb/1`, `1599b`, `2Mb` (tc prints bytes as `b`), or undefined. */
export function parseSize(text: string): number | undefined {
  const match = /^([\d.]+)(K|M|G)?b?(\/\d+)?$/i.exec(text);
  if (!match) return undefined;
  const factor = { '': 1, k: 1024, m: 1 << 20, g: 1 << 30 }[(match[2] ?? '').toLowerCase()] ?? 1;
  const value = Number(match[1]) * factor;
  return Number.isFinite(value) ? value : undefined;
}

/** ms of `1.12s`, `50ms`, `50us`, or undefined. */
export function parseTime(text: string): number | undefined {
  const match = /^([\d.]+)(s|ms|us|ns)$/.exec(text);
  if (!match) return undefined;
  const value = Number(match[1]) * { s: 1000, ms: 1, us: 1e-3, ns: 1e-6 }[match[2] as 's' | 'ms' | 'us' | 'ns'];
  return Number.isFinite(value) ? value : undefined;
}
