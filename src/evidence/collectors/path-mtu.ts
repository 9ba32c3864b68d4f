import {
  commandPrefix,
  isDeviceName,
  known,
  numberIn,
  numberParam,
  parseObjects,
  stringIn,
  textOfAnswer,
  textParam,
  unknown,
  where,
  whyNot,
} from '../facts.js';
import { parseAddress } from '../firewall/address-match.js';
import { LINKS, parseLinks, type Link } from '../parsers/links.js';
import { shellWord } from '../shell-words.js';
import type { EvidenceCollector, EvidenceParams, EvidenceSource } from '../types.js';

/** Bytes of an IP and a TCP header without options. */
const HEADERS = { 4: 40, 6: 60 };

/** How large a packet may be that goes out to an address: of the device, and of what was learnt about the way. */
export const pathMtu: EvidenceCollector = {
  name: 'path-mtu',
  describe:
    'How large packets to an address may be on their way out of this host, and whether this host is the narrow place.',
  params: {
    dst: 'destination address',
    length: 'length of an IP packet that is to go there, bytes',
    told: 'MTU that an ICMP error told about the way, bytes',
    reporter: 'address that this error came from',
  },
  members: {
    device: 'device that packets to it leave by',
    deviceMtu: 'its MTU, bytes',
    limit: 'the smaller one of that and the MTU of the route, bytes',
    learnt: 'MTU that the kernel learnt from ICMP errors for this destination, bytes; null when it has learnt none',
    tooLong: 'the packet is larger than the limit; null without a length',
    own: 'the reporter is an address of this host; null without a reporter',
    narrow: 'the device here that has the told MTU, of an own reporter; empty otherwise',
    mss: 'largest TCP segment that fits the told MTU, else the limit, bytes',
    raiseMtuCommand: 'gives the device an MTU that the packet fits; empty without a length',
    restoreMtuCommand: 'undoes that',
  },

  async collect(source, params) {
    const dst = textParam(params, 'dst') ?? '';
    const prefix = await commandPrefix(source, params.netns);
    const command = `${prefix}ip route get ${parseAddress(dst) ? dst : '?'}`;
    if (!parseAddress(dst)) return unknown(`"${dst}" is not an IP address`, command);
    const [routeAnswer, linksAnswer] = await Promise.all([
      source.run(['ip', '-j', 'route', 'get', dst], where(params, 'after')),
      source.run(LINKS, where(params, 'after')),
    ]);
    const route = routeAnswer.status === 'ok' ? parseObjects(routeAnswer.text)?.[0] : undefined;
    const links = parseLinks(textOfAnswer(linksAnswer) ?? '-');
    if (!route) return unknown(whyNot(routeAnswer), command);
    if (!links) return unknown(whyNot(linksAnswer), command);
    const link = links.find((one) => one.name === stringIn(route, 'dev'));
    if (!link || !isDeviceName(link.name)) return unknown(`the device to ${dst} is not known`, command);
    const value = {
      ...sizesOf(route, link, params, dst),
      ...(await reporterOf(source, params, link)),
      ...commandsOf(link, params, prefix),
    };
    return known(value, command, textOf(dst, value));
  },
};

function sizesOf(route: Record<string, unknown>, link: Link, params: EvidenceParams, dst: string) {
  const routeMtu = mtuOf(route);
  const limit = Math.min(link.mtu, routeMtu ?? link.mtu);
  const length = numberParam(params, 'length');
  const told = numberParam(params, 'told') ?? 0;
  return {
    device: link.name,
    deviceMtu: link.mtu,
    limit,
    learnt: isLearnt(route) ? (routeMtu ?? null) : null,
    tooLong: length === undefined ? null : length > limit,
    mss: Math.max(0, (told > 0 ? told : limit) - HEADERS[dst.includes(':') ? 6 : 4]),
  };
}

async function reporterOf(source: EvidenceSource, params: EvidenceParams, link: Link) {
  const reporter = textParam(params, 'reporter');
  if (reporter === undefined || !parseAddress(reporter)) return { own: null, narrow: '' };
  const answer = await source.run(['ip', '-j', 'route', 'get', reporter], where(params, 'after'));
  const route = answer.status === 'ok' ? parseObjects(answer.text)?.[0] : undefined;
  const own = route === undefined ? null : stringIn(route, 'type') === 'local';
  return { own, narrow: own && link.mtu === numberParam(params, 'told') ? link.name : '' };
}

function commandsOf(link: Link, params: EvidenceParams, prefix: string) {
  const length = numberParam(params, 'length');
  const set = (mtu: number): string => `${prefix}ip link set dev ${shellWord(link.name)} mtu ${mtu}`;
  return {
    raiseMtuCommand: length === undefined || length <= link.mtu ? '' : set(length),
    restoreMtuCommand: length === undefined ? '' : set(link.mtu),
  };
}

/** `ip -j route get` has the MTU among the metrics, also of what was learnt. */
function mtuOf(route: Record<string, unknown>): number | undefined {
  const metrics = Array.isArray(route.metrics) ? (route.metrics as unknown[]) : [];
  const first = metrics.find((one): one is Record<string, unknown> => typeof one === 'object' && one !== null);
  return numberIn(route, 'mtu') ?? (first && numberIn(first, 'mtu'));
}

/** An exception of the route, which a destination gets by an ICMP error, expires; a route that was set does not. */
function isLearnt(route: Record<string, unknown>): boolean {
  return numberIn(route, 'expires') !== undefined || (Array.isArray(route.cache) && 'expires' in route);
}

function textOf(
  dst: string,
  value: { device: string; deviceMtu: number; limit: number; learnt: number | null },
): string {
  const learnt = value.learnt === null ? '' : `, learnt for this way: ${value.learnt}`;
  const route = value.limit < value.deviceMtu && value.learnt === null ? `, of the route: ${value.limit}` : '';
  return `packets to ${dst} leave by ${value.device}, MTU ${value.deviceMtu}${route}${learnt}`;
}
