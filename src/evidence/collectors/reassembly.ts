import { commandPrefix, delta, known, textOfAnswer, textParam, unknown, where, whyNot } from '../facts.js';
import { parseSnmp, parseSnmp6 } from '../parsers/proc-net.js';
import type { EvidenceCollector, EvidenceParams, EvidencePhase, EvidenceSource, RawEvidence } from '../types.js';

interface Family {
  /** Line of its sockstat file, and where the file is. */
  sockstat: string;
  line: string;
  /** Settings, below /proc/sys/net. */
  settings: string;
  counters: { fails: string; timeouts: string; overlaps?: string };
}

const FAMILIES: Record<'4' | '6', Family> = {
  '4': {
    sockstat: '/proc/net/sockstat',
    line: 'FRAG',
    settings: 'net/ipv4/ipfrag',
    counters: { fails: 'IpReasmFails', timeouts: 'IpReasmTimeout', overlaps: 'IpExtReasmOverlaps' },
  },
  '6': {
    sockstat: '/proc/net/sockstat6',
    line: 'FRAG6',
    settings: 'net/ipv6/ip6frag',
    counters: { fails: 'Ip6ReasmFails', timeouts: 'Ip6ReasmTimeout' },
  },
};
const COUNTER_FILES = ['/proc/net/snmp', '/proc/net/netstat', '/proc/net/snmp6'];
/** A fragment takes about this much memory: its data and the kernel's own (truesize of a 1500-byte packet). */
const FRAGMENT_MEMORY = 2304;

/** Where IP puts fragments together, per namespace (net/ipv4/ip_fragment.c, net/ipv6/reassembly.c, inet_fragment.c). */
export const reassembly: EvidenceCollector = {
  name: 'reassembly',
  describe:
    'How IP reassembly stands: datagrams that wait for fragments, their memory and its limit, and what failed during the run.',
  params: { family: '`4` (default) or `6`, or an address of that family' },
  members: {
    waiting: 'datagrams that wait for fragments',
    memory: 'memory that they take, bytes',
    highThresh: 'limit of that, bytes: above it no further datagram is begun; 0: reassembly is off',
    lowThresh: 'bytes',
    timeout: 's that a datagram waits for its last fragment',
    full: 'the memory is used up: it is above the limit, or the limit is 0',
    failsDelta: 'datagrams and fragments given up during the run; null when not read before',
    timeoutsDelta: 'datagrams that waited too long during the run; null when not read before',
    overlapsDelta: 'overlapping fragments during the run (IPv4 alone counts them); null when not known',
    contradictDelta:
      'datagrams given up during the run because their fragments overlap or contradict each other: IPv4 the overlaps, IPv6 what failed without a timeout; null when not known',
    setting: 'name of the limit: net.ipv4.ipfrag_high_thresh',
    needed: 'a limit with room for twice of what waits and for 64 fragments more, bytes; at least the default of 4 MiB',
    raiseLimitCommand: 'sets the limit to what is needed',
    restoreLimitCommand: 'undoes that',
  },

  async before(source, netns) {
    await Promise.all(COUNTER_FILES.map((path) => source.read(path, { netns, phase: 'before' })));
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const asked = textParam(params, 'family') ?? '4';
    const family = FAMILIES[asked === '6' || asked.includes(':') ? '6' : '4'];
    const name = `${family.settings.replaceAll('/', '.')}_high_thresh`;
    const command = `${prefix}grep FRAG ${family.sockstat}; ${prefix}sysctl ${name}`;
    const setting = (which: string): Promise<RawEvidence> =>
      source.read(`/proc/sys/${family.settings}_${which}`, where(params, 'after'));
    const [stat, high, low, time] = await Promise.all([
      source.read(family.sockstat, where(params, 'after')),
      setting('high_thresh'),
      setting('low_thresh'),
      setting('time'),
    ]);
    const highThresh = numberOf(high);
    if (highThresh === undefined) return unknown(whyNot(high), command);
    const use = new RegExp(`^${family.line}: inuse (\\d+) memory (\\d+)`, 'm').exec(textOfAnswer(stat) ?? '');
    if (!use) return unknown(whyNot(stat), command);
    const [waiting, memory] = [Number(use[1]), Number(use[2])];
    const grew = await growth(source, params);
    const needed = Math.max(4 << 20, 2 * memory + 64 * FRAGMENT_MEMORY);
    const failsDelta = grew(family.counters.fails);
    const timeoutsDelta = grew(family.counters.timeouts);
    const overlapsDelta = family.counters.overlaps === undefined ? null : grew(family.counters.overlaps);
    const value = {
      waiting,
      memory,
      highThresh,
      lowThresh: numberOf(low) ?? null,
      timeout: numberOf(time) ?? null,
      full: highThresh === 0 || memory > highThresh,
      failsDelta,
      timeoutsDelta,
      overlapsDelta,
      contradictDelta:
        overlapsDelta ?? (failsDelta === null ? null : Math.max(0, failsDelta - (timeoutsDelta ?? failsDelta))),
      setting: name,
      needed,
      raiseLimitCommand: `${prefix}sysctl -w ${name}=${needed}`,
      restoreLimitCommand: `${prefix}sysctl -w ${name}=${highThresh}`,
    };
    return known(value, command, textOf(value));
  },
};

/** How much a counter grew, by its name; asks each file once. */
async function growth(source: EvidenceSource, params: EvidenceParams): Promise<(counter: string) => number | null> {
  const read = async (phase: EvidencePhase): Promise<Map<string, number> | undefined> => {
    const texts = await Promise.all(
      COUNTER_FILES.map(async (path) => textOfAnswer(await source.read(path, where(params, phase)))),
    );
    if (texts[0] === undefined) return undefined;
    return new Map([
      ...parseSnmp(texts[0]),
      ...parseSnmp(texts[1] ?? ''),
      ...(texts[2] === undefined ? [] : parseSnmp6(texts[2])),
    ]);
  };
  const [before, after] = await Promise.all([read('before'), read('after')]);
  return (counter) => delta(before && (before.get(counter) ?? 0), after?.get(counter));
}

function numberOf(answer: RawEvidence): number | undefined {
  const text = textOfAnswer(answer)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function textOf(value: {
  waiting: number;
  memory: number;
  highThresh: number;
  failsDelta: number | null;
  timeoutsDelta: number | null;
  overlapsDelta: number | null;
  setting: string;
}): string {
  const grew = [
    value.failsDelta && `${value.failsDelta} given up`,
    value.timeoutsDelta && `${value.timeoutsDelta} timed out`,
    value.overlapsDelta && `${value.overlapsDelta} overlapped`,
  ].filter(Boolean);
  const room = `${value.waiting} datagrams wait for fragments in ${value.memory} bytes, ${value.setting} = ${value.highThresh}`;
  return grew.length === 0 ? room : `${room}; during the run ${grew.join(', ')}`;
}
