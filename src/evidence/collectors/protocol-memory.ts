import { delta, known, textOfAnswer, textParam, unknown, where, whyNot } from '../facts.js';
import { parseSnmp } from '../parsers/proc-net.js';
import type { EvidenceCollector, EvidencePhase } from '../types.js';

/** Of a protocol: its line of sockstat, its setting and what of all memory that is by default, and the counters of what found no memory. */
const PROTOCOLS: Record<string, { line: string; setting: string; share: number; counters: readonly string[] }> = {
  TCP: { line: 'TCP', setting: 'tcp_mem', share: 1 / 16, counters: ['TcpExtTCPRcvQDrop', 'TcpExtTCPMemoryPressures'] },
  UDP: { line: 'UDP', setting: 'udp_mem', share: 1 / 8, counters: ['UdpMemErrors'] },
};
/** The three numbers of a setting by default, as parts of the second, which is a share of all memory (tcp_init_mem, net/ipv4/tcp.c). */
const PARTS = [0.75, 1, 1.5];
const KB_PER_PAGE = 4;
const SOCKSTAT = '/proc/net/sockstat';
const COUNTER_FILES = ['/proc/net/snmp', '/proc/net/netstat'];
/** The limits and what is used of them are the host's: its first namespace alone has the setting (net/ipv4/sysctl_net_ipv4.c). */
const OF_HOST = { phase: 'after' } as const;

/** The memory that all sockets of a protocol share (net/core/sock.c, __sk_mem_raise_allocated). */
export const protocolMemory: EvidenceCollector = {
  name: 'protocol-memory',
  describe: 'The memory of all TCP or UDP sockets of the host together, its limit, and how often there was none left.',
  params: { protocol: '`TCP` (default) or `UDP`' },
  members: {
    protocol: 'TCP or UDP',
    pages: 'memory in use at the end of the run, pages of 4 KiB',
    limit: 'limit of that: the last number of the setting',
    pressure: 'from so many on each socket gets the least only: the second number',
    setting: 'name of the limits: net.ipv4.tcp_mem',
    values: 'the three numbers of the setting',
    needed: 'four times those, at least what the kernel sets by default for the memory of this host',
    refusedDelta:
      'packets without memory and times that memory became short in this namespace, during the run; null when not read before',
    raiseLimitCommand: 'sets what is needed',
    restoreLimitCommand: 'undoes that',
  },

  async before(source, netns) {
    await Promise.all(COUNTER_FILES.map((path) => source.read(path, { netns, phase: 'before' })));
  },

  async collect(source, params) {
    const protocol = textParam(params, 'protocol') === 'UDP' ? 'UDP' : 'TCP';
    const { line, setting, share, counters } = PROTOCOLS[protocol]!;
    const name = `net.ipv4.${setting}`;
    const command = `grep ${line}: ${SOCKSTAT}; sysctl ${name}`;
    const [stat, limits, memory] = await Promise.all([
      source.read(SOCKSTAT, OF_HOST),
      source.read(`/proc/sys/net/ipv4/${setting}`, OF_HOST),
      source.read('/proc/meminfo', OF_HOST),
    ]);
    const use = new RegExp(`^${line}: .*\\bmem (\\d+)`, 'm').exec(textOfAnswer(stat) ?? '');
    if (!use) return unknown(whyNot(stat), command);
    const numbers = (textOfAnswer(limits) ?? '').trim().split(/\s+/).map(Number);
    if (numbers.length !== 3 || !numbers.every(Number.isSafeInteger)) return unknown(whyNot(limits), command);
    const read = async (phase: EvidencePhase): Promise<Map<string, number> | undefined> => {
      const texts = await Promise.all(
        COUNTER_FILES.map(async (path) => textOfAnswer(await source.read(path, where(params, phase)))),
      );
      return texts[0] === undefined ? undefined : new Map(texts.flatMap((text) => [...parseSnmp(text ?? '')]));
    };
    const [before, after] = await Promise.all([read('before'), read('after')]);
    const grown = counters.map((counter) => delta(before && (before.get(counter) ?? 0), after?.get(counter) ?? 0));
    const refusedDelta = grown.some((one) => one === null) ? null : grown.reduce<number>((sum, one) => sum + one!, 0);
    const [, pressure, limit] = numbers;
    const values = numbers.join(' ');
    const pages = Number(/^MemTotal: +(\d+)/m.exec(textOfAnswer(memory) ?? '')?.[1] ?? 0) / KB_PER_PAGE;
    const needed = numbers.map((number, i) => Math.max(number * 4, Math.floor(pages * share * PARTS[i]!))).join(' ');
    const value = {
      ...{
        protocol,
        pages: Number(use[1]),
        limit: limit!,
        pressure: pressure!,
        setting: name,
        values,
        needed,
        refusedDelta,
      },
      raiseLimitCommand: `sysctl -w '${name}=${needed}'`,
      restoreLimitCommand: `sysctl -w '${name}=${values}'`,
    };
    const refused = refusedDelta === null ? '' : `; during the run there was none left ${refusedDelta} times`;
    return known(value, command, `all ${protocol} sockets hold ${value.pages} pages, ${name} = ${values}${refused}`);
  },
};
