import { commandPrefix, known, textParam, textOfAnswer, unknown, where } from '../facts.js';
import { parseAddress } from '../firewall/address-match.js';
import { milliseconds, parseRouteLines, without } from '../parsers/route-lines.js';
import { shellLine } from '../shell-words.js';
import type { EvidenceCollector } from '../types.js';

/** RTO_MIN (include/net/tcp.h): 200 ms; since 6.11 the setting tcp_rto_min_us. */
const USUAL_RTO_MIN = 200;

/** What the route to an address tells TCP (RTAX_… of include/uapi/linux/rtnetlink.h), and how to change it. */
export const routeMetrics: EvidenceCollector = {
  name: 'route-metrics',
  describe: 'What a route tells TCP: its least retransmission timeout, and whether it acknowledges at once.',
  params: { dst: 'destination address' },
  members: {
    route: 'prefix of the route; empty without one',
    device: 'device that it leads to',
    setting: '`rto_min` of the route, or the sysctl that counts without it',
    rtoMin: 'least retransmission timeout as it is set: `5ms`',
    rtoMinMs: 'the same, ms',
    usual: 'what the kernel has by itself: `200ms`',
    quickack: 'it acknowledges at once (quickack 1)',
    usualRtoCommand: 'takes the least timeout back to the usual; empty when it is the usual one',
    quickackCommand: 'has the connections of this route acknowledge at once; empty when they do',
    restoreRouteCommand: 'undoes either',
  },

  async collect(source, params) {
    const dst = textParam(params, 'dst') ?? '';
    const prefix = await commandPrefix(source, params.netns);
    if (!parseAddress(dst)) return unknown(`"${dst}" is not an IP address`, `${prefix}ip route show match`);
    const version = dst.includes(':') ? '-6' : '-4';
    const words = ['ip', version, 'route', 'show', 'match', dst];
    const command = `${prefix}${shellLine(words)}`;
    const answer = await source.run(words, where(params, 'after'));
    if (answer.status !== 'ok') return unknown(answer.why, command);
    const [line] = parseRouteLines(answer.text);
    if (!line) return unknown(`no route to ${dst} is here`, command);
    const setting = textOfAnswer(await source.read('/proc/sys/net/ipv4/tcp_rto_min_us', where(params, 'after')));
    const fromSysctl = setting === undefined ? USUAL_RTO_MIN : Number(setting.trim()) / 1000;
    const rtoMinMs = milliseconds(line.rtoMin) ?? fromSysctl;
    const byRoute = line.rtoMin !== undefined;
    const change = (to: readonly string[]): string =>
      `${prefix}${shellLine(['ip', version, 'route', 'change', ...to])}`;
    const sysctl = (us: number): string => `${prefix}sysctl -w net.ipv4.tcp_rto_min_us=${us}`;
    const restored = byRoute || rtoMinMs === USUAL_RTO_MIN ? change(line.words) : sysctl(rtoMinMs * 1000);
    const value = {
      route: line.dst,
      device: line.device,
      setting: byRoute ? `rto_min of the route to ${line.dst}` : 'net.ipv4.tcp_rto_min_us',
      rtoMin: `${rtoMinMs}ms`,
      rtoMinMs,
      usual: `${USUAL_RTO_MIN}ms`,
      quickack: line.quickack,
      usualRtoCommand:
        rtoMinMs === USUAL_RTO_MIN
          ? ''
          : byRoute
            ? change(without(line.words, 'rto_min'))
            : sysctl(USUAL_RTO_MIN * 1000),
      quickackCommand: line.quickack ? '' : change([...without(line.words, 'quickack'), 'quickack', '1']),
      restoreRouteCommand: restored,
    };
    const quick = line.quickack ? ', acknowledged at once' : '';
    return known(value, command, `route to ${line.dst} dev ${line.device}: TCP waits at least ${value.rtoMin}${quick}`);
  },
};
