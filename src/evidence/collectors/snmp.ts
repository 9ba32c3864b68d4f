import {
  commandPrefix,
  delta,
  grewBy,
  known,
  textOfAnswer,
  textParam,
  unknown,
  unnamed,
  where,
  whyNot,
} from '../facts.js';
import { parseSnmp, parseSnmp6 } from '../parsers/proc-net.js';
import type { EvidenceCollector } from '../types.js';

const FILES = { snmp: '/proc/net/snmp', netstat: '/proc/net/netstat', snmp6: '/proc/net/snmp6' };

/** A protocol counter of a namespace (include/uapi/linux/snmp.h, net/ipv4/proc.c). */
export const snmp: EvidenceCollector = {
  name: 'snmp',
  describe: 'A protocol counter, as nstat names it, and how it grew during the run.',
  params: {
    counter: '`TcpExtListenOverflows`, `UdpRcvbufErrors`, `IpInAddrErrors`, `Ip6InNoRoutes` …',
    seconds: 'length of the run, for the text',
  },
  members: {
    counter: 'its name',
    delta: 'how much it grew during the run; null when not read before',
    total: 'its value at the end',
    perSecond: 'delta / seconds; null when either is unknown',
  },

  async before(source, netns) {
    await Promise.all(Object.values(FILES).map((path) => source.read(path, { netns, phase: 'before' })));
  },

  async collect(source, params) {
    const counter = textParam(params, 'counter') ?? '';
    const command =
      `${await commandPrefix(source, params.netns)}nstat -asz ${/^\w+$/.test(counter) ? counter : ''}`.trimEnd();
    if (counter === '') return unnamed('no counter was named', command);
    const [path, parse] =
      counter.includes('6') && !counter.startsWith('TcpExt')
        ? ([FILES.snmp6, parseSnmp6] as const)
        : ([fileOf(counter), parseSnmp] as const);
    const answer = await source.read(path, where(params, 'after'));
    if (answer.status !== 'ok') return unknown(answer.why, command);
    const total = parse(answer.text).get(counter);
    // A kernel that never heard of a counter has not counted either.
    if (total === undefined)
      return unknown(answer.text === '' ? whyNot(answer) : `this kernel has no counter ${counter}`, command);
    const before = textOfAnswer(await source.read(path, where(params, 'before')));
    // Counters that are missing from an answer of before were zero: snmp6 leaves out what never counted.
    const grown = delta(before === undefined ? undefined : (parse(before).get(counter) ?? 0), total);
    const seconds = typeof params.seconds === 'number' && params.seconds > 0 ? params.seconds : undefined;
    const perSecond = grown === null || seconds === undefined ? null : +(grown / seconds).toFixed(3);
    return known(
      { counter, delta: grown, total, perSecond },
      command,
      `${counter} ${grown === null ? `${total} in all` : grewBy(grown, params)}`,
    );
  },
};

function fileOf(counter: string): string {
  return /^(\w+Ext)/.test(counter) ? FILES.netstat : FILES.snmp;
}
