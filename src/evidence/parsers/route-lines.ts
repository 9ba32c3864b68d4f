/** A route as `ip route show` prints it, in words, with the metrics that TCP goes by. */
export interface RouteLine {
  /** Prefix, address or `default`. */
  dst: string;
  device: string;
  /** Least retransmission timeout, as written (`5ms`); undefined: the kernel's. */
  rtoMin?: string;
  quickack: boolean;
  /** The words that `ip route change` takes to have this very route. */
  words: string[];
}

/** Words that `ip route show` prints and `ip route change` does not take. */
const STATE = new Set(['lock', 'linkdown', 'dead', 'pervasive', 'offload', 'trap', 'rt_trap', 'notify']);

/** Parses the lines of `ip -4|-6 route show`, the most specific first; multipath routes (several lines) are left out. */
export function parseRouteLines(text: string): RouteLine[] {
  return text
    .split('\n')
    .filter((line) => /^\S/.test(line) && !line.includes('nexthop'))
    .flatMap((line): RouteLine[] => {
      const words = line.split(/\s+/).filter((word) => word !== '' && !STATE.has(word));
      const after = (name: string): string | undefined => words[words.indexOf(name, 1) + 1];
      const has = (name: string): boolean => words.indexOf(name, 1) > 0;
      if (!has('dev') || !/^(default|[0-9a-fA-F:.]+(\/\d+)?)$/.test(words[0])) return [];
      return [
        {
          dst: words[0],
          device: after('dev') ?? '',
          ...(has('rto_min') && { rtoMin: after('rto_min') }),
          quickack: has('quickack') && after('quickack') === '1',
          words,
        },
      ];
    })
    .sort((x, y) => lengthOf(y.dst) - lengthOf(x.dst));
}

/** The words without one setting and its value. */
export function without(words: readonly string[], name: string): string[] {
  const at = words.indexOf(name, 1);
  return at < 0 ? [...words] : [...words.slice(0, at), ...words.slice(at + 2)];
}

function lengthOf(dst: string): number {
  if (dst === 'default') return -1;
  return Number(dst.split('/')[1] ?? 128);
}

/** A time as ip writes it (`5ms`, `1s`, `500us`), ms; undefined when it is none. */
export function milliseconds(text: string | undefined): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(s|ms|us)?$/.exec(text ?? '');
  if (!match) return undefined;
  return Number(match[1]) * ({ s: 1000, ms: 1, us: 0.001 }[match[2] ?? 'ms'] ?? 1);
}
