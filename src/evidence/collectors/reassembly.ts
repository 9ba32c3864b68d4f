import { commandPrefix, delta, known, textOfAnswer, textParam, unknown, where, whyNot } from '../facts.js';
import { parseSnmp, parseSnmp6 } from '../parsers/proc-net.js';
import type { EvidenceCollector, EvidenceParams, EvidencePhase, EvidenceSource, RawEvidence } from '../types.js';

interface Reassembler {
  by: 'ip' | 'connection tracking';
  /** Line of its sockstat file, and where the file is; connection tracking shows its queues nowhere. */
  use?: { file: string; line: string };
  /** Settings, below /proc/sys: their common beginning, and the name of the time. */
  settings: string;
  time: string;
  counters: { fails: string; timeouts: string; overlaps?: string };
}

const COUNTERS6 = { fails: 'Ip6ReasmFails', timeouts: 'Ip6ReasmTimeout' };
const IPV4: Reassembler = {
  by: 'ip',
  use: { file: '/proc/net/sockstat', line: 'FRAG' },
  settings: 'net/ipv4/ipfrag_',
  time: 'time',
  counters: { fails: 'IpReasmFails', timeouts: 'IpReasmTimeout', overlaps: 'IpExtReasmOverlaps' },
};
const IPV6: Reassembler = {
  by: 'ip',
  use: { file: '/proc/net/sockstat6', line: 'FRAG6' },
  settings: 'net/ipv6/ip6frag_',
  time: 'time',
  counters: COUNTERS6,
};
/**
 * IPv6 where connection tracking is in use: it reassembles before IP does, in a queue with settings of its own
 * (net/ipv6/netfilter/nf_conntrack_reasm.c). For IPv4 it takes IP's own (ip_defrag).
 */
const IPV6_TRACKED: Reassembler = {
  by: 'connection tracking',
  settings: 'net/netfilter/nf_conntrack_frag6_',
  time: 'timeout',
  counters: COUNTERS6,
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
    by: '`ip`, or `connection tracking`, which puts IPv6 together before IP where it is in use',
    waiting: 'datagrams that wait for fragments; null when by connection tracking, which does not show them',
    memory: 'memory that they take, bytes; null likewise',
    highThresh: 'limit of that, bytes: above it no further datagram is begun; 0: reassembly is off',
    lowThresh: 'bytes',
    timeout: 's that a datagram waits for its last fragment',
    full: 'the memory is used up: it is above the limit, or the limit is 0; null when the memory is not known and the limit is not 0',
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
    const counters = await readCounters(source, params);
    const from = asked !== '6' && !asked.includes(':') ? IPV4 : byTracking(counters) ? IPV6_TRACKED : IPV6;
    const name = `${from.settings.replaceAll('/', '.')}high_thresh`;
    const command = `${from.use ? `${prefix}grep FRAG ${from.use.file}; ` : ''}${prefix}sysctl ${name}`;
    const setting = (which: string): Promise<RawEvidence> =>
      source.read(`/proc/sys/${from.settings}${which}`, where(params, 'after'));
    const [stat, high, low, time] = await Promise.all([
      from.use && source.read(from.use.file, where(params, 'after')),
      setting('high_thresh'),
      setting('low_thresh'),
      setting(from.time),
    ]);
    const highThresh = numberOf(high);
    if (highThresh === undefined) return unknown(whyNot(high), command);
    const use =
      from.use && new RegExp(`^${from.use.line}: inuse (\\d+) memory (\\d+)`, 'm').exec(textOfAnswer(stat!) ?? '');
    if (use === null) return unknown(whyNot(stat!), command);
    const [waiting, memory] = use ? [Number(use[1]), Number(use[2])] : [null, null];
    const grew = (counter: string): number | null => growth(counters, counter);
    const needed = Math.max(4 << 20, 2 * (memory ?? 0) + 64 * FRAGMENT_MEMORY);
    const failsDelta = grew(from.counters.fails);
    const timeoutsDelta = grew(from.counters.timeouts);
    const overlapsDelta = from.counters.overlaps === undefined ? null : grew(from.counters.overlaps);
    const value = {
      by: from.by,
      waiting,
      memory,
      highThresh,
      lowThresh: numberOf(low) ?? null,
      timeout: numberOf(time) ?? null,
      full: highThresh === 0 || (memory === null ? null : memory > highThresh),
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

type Counters = Record<EvidencePhase, Map<string, number> | undefined>;

async function readCounters(source: EvidenceSource, params: EvidenceParams): Promise<Counters> {
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
  return { before, after };
}

/** How much a counter grew, by its name. */
function growth({ before, after }: Counters, counter: string): number | null {
  return delta(before && (before.get(counter) ?? 0), after?.get(counter));
}

/**
 * More IPv6 datagrams were given up than fragments came to IP since the namespace was made: connection tracking had them.
 * It counts what it gives up in IP's counters, not what it takes in (ip6frag_expire_frag_queue, nf_ct_frag6_gather).
 */
function byTracking({ after }: Counters): boolean {
  return (after?.get('Ip6ReasmTimeout') ?? 0) > (after?.get('Ip6ReasmReqds') ?? 0);
}

function numberOf(answer: RawEvidence): number | undefined {
  const text = textOfAnswer(answer)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function textOf(value: {
  waiting: number | null;
  memory: number | null;
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
  const limit = `${value.setting} = ${value.highThresh}`;
  const room =
    value.waiting === null
      ? `connection tracking waits for the fragments, ${limit}`
      : `${value.waiting} datagrams wait for fragments in ${value.memory} bytes, ${limit}`;
  return grew.length === 0 ? room : `${room}; during the run ${grew.join(', ')}`;
}
