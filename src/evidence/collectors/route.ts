import {
  commandPrefix,
  deviceParam,
  known,
  numberIn,
  numberParam,
  parseObjects,
  stringIn,
  textOfAnswer,
  textParam,
  unknown,
  where,
} from '../facts.js';
import { addressFits, parseAddress } from '../firewall/address-match.js';
import { parseLinks } from '../parsers/links.js';
import { shellLine } from '../shell-words.js';
import type { EvidenceCollector, EvidenceParams, EvidenceSource } from '../types.js';

/** What the kernel's errors mean: a route of that type, or none at all (net/ipv4/fib_semantics.c, fib_props). */
const ERRORS: [RegExp, string][] = [
  [/Invalid argument/, 'blackhole'],
  [/No route to host/, 'unreachable'],
  [/Permission denied/, 'prohibit'],
  [/Network is unreachable/, 'none'],
  [/Resource temporarily unavailable/, 'throw'],
  [/Invalid cross-device link/, 'reverse-path'],
];

/** Where the kernel would send a packet, asked of its routing tables and rules. */
export const route: EvidenceCollector = {
  name: 'route',
  describe: 'The route that the kernel takes for a packet, or why it has none.',
  params: {
    dst: 'destination address',
    src: 'source address',
    iif: 'device it came in by; not used for a packet whose source is an address of this host',
    mark: 'firewall mark',
  },
  members: {
    type: 'unicast, local, broadcast, multicast; blackhole, unreachable, prohibit, throw; `none`: no route; `reverse-path`: refused by rp_filter; `martian`: its source cannot be; `not-forwarded`: there is a route, but forwarding is off',
    found: 'there is a route that packets can take',
    device: 'device it leaves by; empty without',
    gateway: 'next hop; empty when it is on the link',
    prefsrc: 'source address the kernel would choose; empty when it says none',
    mtu: 'MTU of the route, else of its device; null when neither is known',
    error: "the kernel's answer when it refuses; empty otherwise",
    rejecting: 'the route that refuses: `blackhole 10.99.1.0/24`; empty without one',
    rejectingTable: 'table that holds it; empty for main',
    rule: 'routing rule that refuses it: `32765: from 10.92.0.9 to 10.98.0.0/16 prohibit`; empty without one',
    forwarding: 'forwarding is on for `iif`; null without iif',
    removeCommand: 'removes the route or rule that refuses; empty without one',
    restoreCommand: 'undoes that; empty without one',
  },

  async collect(source, params) {
    const dst = textParam(params, 'dst') ?? '';
    const prefix = await commandPrefix(source, params.netns);
    if (!parseAddress(dst)) return unknown(`"${dst}" is not an IP address`, `${prefix}ip route get`);
    const words = await question(source, params, dst);
    const command = `${prefix}${shellLine(words)}`;
    const answer = await ask(source, params, words);
    if (answer.failure) return unknown(answer.failure, command);
    const iif = deviceParam(params, 'iif');
    const forwarding = iif === undefined ? null : await isForwarding(source, params, iif, dst);
    if (answer.route && isUsable(answer.route)) {
      const value = routeValue(answer.route);
      const mtu = value.mtu ?? (await deviceMtu(source, params, value.device));
      return known({ ...value, mtu, forwarding }, command, routeText(dst, value));
    }
    const cause = await rejection(source, params, dst, prefix);
    let type = answer.type;
    if (words.includes('iif')) {
      // Without forwarding the kernel says "No route to host" whatever its tables hold (ip_route_input_slow).
      if (type === 'unreachable' && forwarding === false) {
        const own = await ask(source, params, ['ip', 'route', 'get', dst]);
        type = own.route && isUsable(own.route) ? 'not-forwarded' : own.type;
      } else if (type === 'blackhole' && !cause.rejecting && !cause.rule) type = 'martian';
    }
    // IPv6 answers with its null entry where there is no route.
    if (answer.route && !cause.rejecting && !cause.rule) type = 'none';
    const because =
      cause.rejecting ||
      (cause.rule && `rule ${cause.rule}`) ||
      (forwarding === false ? `forwarding is off for ${iif}` : '');
    const said = answer.error ? ` (${answer.error})` : '';
    const text = `${dst}: ${type === 'none' ? 'no route' : type}${said}${because ? `, ${because}` : ''}`;
    return known({ ...NO_ROUTE, type, error: answer.error, ...cause, forwarding }, command, text);
  },
};

/** `ip route get` for this packet: as the host would send it, or as it would pass it on. */
async function question(source: EvidenceSource, params: EvidenceParams, dst: string): Promise<string[]> {
  const src = textParam(params, 'src');
  const iif = deviceParam(params, 'iif');
  const mark = numberParam(params, 'mark');
  const words = ['ip', 'route', 'get', dst];
  if (src !== undefined && parseAddress(src) && src.includes(':') === dst.includes(':')) {
    const own = await ask(source, params, ['ip', 'route', 'get', src]);
    if (own.route && stringIn(own.route, 'type') === 'local') words.push('from', src);
    else if (iif !== undefined) words.push('from', src, 'iif', iif);
  }
  if (mark) words.push('mark', String(mark));
  return words;
}

interface RouteAnswer {
  route?: Record<string, unknown>;
  /** What a refusal means, and the kernel's words for it. */
  type: string;
  error: string;
  /** Why nothing could be found out. */
  failure?: string;
}

async function ask(source: EvidenceSource, params: EvidenceParams, words: string[]): Promise<RouteAnswer> {
  const answer = await source.run(['ip', '-j', ...words.slice(1)], where(params, 'after'));
  if (answer.status === 'ok') {
    const route = parseObjects(answer.text)?.[0];
    if (!route) return { type: 'none', error: '', failure: 'its answer could not be understood' };
    return { route, type: stringIn(route, 'type') ?? 'unicast', error: '' };
  }
  const error = answer.why.replace(/^RTNETLINK answers: /, '');
  const type = ERRORS.find(([pattern]) => pattern.test(error))?.[1];
  return type && answer.status === 'failed' ? { type, error } : { type: 'none', error, failure: answer.why };
}

function isUsable(route: Record<string, unknown>): boolean {
  return !['blackhole', 'unreachable', 'prohibit', 'throw'].includes(stringIn(route, 'type') ?? 'unicast');
}

async function deviceMtu(source: EvidenceSource, params: EvidenceParams, device: string): Promise<number | null> {
  const links = parseLinks(
    textOfAnswer(await source.run(['ip', '-j', '-s', '-d', 'link', 'show'], where(params, 'after'))) ?? '-',
  );
  return links?.find((link) => link.name === device)?.mtu ?? null;
}

const NO_ROUTE = {
  type: 'none',
  found: false,
  device: '',
  gateway: '',
  prefsrc: '',
  mtu: null as number | null,
  error: '',
  rejecting: '',
  rejectingTable: '',
  rule: '',
  removeCommand: '',
  restoreCommand: '',
};

function routeValue(route: Record<string, unknown>): typeof NO_ROUTE {
  const type = stringIn(route, 'type') ?? 'unicast';
  const metrics = Array.isArray(route.metrics) ? (route.metrics as unknown[]) : [];
  const first = metrics.find((one): one is Record<string, unknown> => typeof one === 'object' && one !== null);
  return {
    ...NO_ROUTE,
    type,
    found: true,
    device: stringIn(route, 'dev') ?? '',
    gateway: stringIn(route, 'gateway') ?? '',
    prefsrc: stringIn(route, 'prefsrc') ?? '',
    mtu: numberIn(route, 'mtu') ?? (first && numberIn(first, 'mtu')) ?? null,
  };
}

function routeText(dst: string, value: typeof NO_ROUTE): string {
  const words = [
    `${dst}: ${value.type}`,
    value.gateway && `via ${value.gateway}`,
    value.device && `dev ${value.device}`,
  ];
  return words.filter(Boolean).join(' ');
}

async function isForwarding(
  source: EvidenceSource,
  params: EvidenceParams,
  iif: string,
  dst: string,
): Promise<boolean | null> {
  const family = dst.includes(':') ? 'ipv6' : 'ipv4';
  const text = textOfAnswer(
    await source.read(`/proc/sys/net/${family}/conf/${iif}/forwarding`, where(params, 'after')),
  );
  return text === undefined ? null : text.trim() !== '0';
}

/** The route or rule that makes the kernel refuse this destination. */
async function rejection(
  source: EvidenceSource,
  params: EvidenceParams,
  dst: string,
  prefix: string,
): Promise<Pick<typeof NO_ROUTE, 'rejecting' | 'rejectingTable' | 'rule' | 'removeCommand' | 'restoreCommand'>> {
  const version = dst.includes(':') ? '-6' : '-4';
  const [routes, rules] = await Promise.all([
    source.run(['ip', '-j', version, 'route', 'show', 'table', 'all', 'to', 'match', dst], where(params, 'after')),
    source.run(['ip', '-j', version, 'rule', 'show'], where(params, 'after')),
  ]);
  const refusing = (parseObjects(textOfAnswer(routes) ?? '') ?? [])
    .filter((one) => ['blackhole', 'unreachable', 'prohibit', 'throw'].includes(stringIn(one, 'type') ?? ''))
    .filter((one) => stringIn(one, 'dst') === 'default' || addressFits(dst, stringIn(one, 'dst') ?? '') === 'yes')
    .sort((a, b) => prefixLength(b) - prefixLength(a))[0];
  const nothing = { rejecting: '', rejectingTable: '', rule: '', removeCommand: '', restoreCommand: '' };
  if (refusing) {
    const rejecting = `${stringIn(refusing, 'type')} ${stringIn(refusing, 'dst')}`;
    const table = stringIn(refusing, 'table') ?? '';
    const words = [...rejecting.split(' '), ...(table ? ['table', table] : [])];
    // `lo` routes of this kind for IPv6 are the kernel's own (the null entry): nothing to remove.
    const own = stringIn(refusing, 'protocol') === 'kernel';
    return {
      ...nothing,
      rejecting,
      rejectingTable: table,
      removeCommand: own ? '' : `${prefix}${shellLine(['ip', version, 'route', 'del', ...words])}`,
      restoreCommand: own ? '' : `${prefix}${shellLine(['ip', version, 'route', 'add', ...words])}`,
    };
  }
  const rule = (parseObjects(textOfAnswer(rules) ?? '') ?? []).find((one) => ruleRefuses(one, dst, params));
  if (!rule) return nothing;
  const words = ruleWords(rule);
  const priority = String(numberIn(rule, 'priority') ?? '');
  return {
    ...nothing,
    rule: `${priority}: ${words.join(' ')}`,
    removeCommand: `${prefix}${shellLine(['ip', version, 'rule', 'del', 'priority', priority])}`,
    restoreCommand: `${prefix}${shellLine(['ip', version, 'rule', 'add', 'priority', priority, ...words])}`,
  };
}

function ruleRefuses(rule: Record<string, unknown>, dst: string, params: EvidenceParams): boolean {
  if (!['blackhole', 'unreachable', 'prohibit'].includes(stringIn(rule, 'action') ?? '')) return false;
  const range = (name: 'src' | 'dst'): string | undefined => rangeOf(rule, name);
  const src = textParam(params, 'src');
  if (range('dst') !== undefined && addressFits(dst, range('dst')!) !== 'yes') return false;
  if (range('src') !== undefined && addressFits(src, range('src')!) !== 'yes') return false;
  const iif = stringIn(rule, 'iif');
  return iif === undefined || iif === textParam(params, 'iif');
}

function rangeOf(rule: Record<string, unknown>, name: 'src' | 'dst'): string | undefined {
  const base = stringIn(rule, name);
  if (base === undefined || base === 'all') return undefined;
  const length = numberIn(rule, `${name}len`);
  return length === undefined ? base : `${base}/${length}`;
}

function ruleWords(rule: Record<string, unknown>): string[] {
  const words = ['from', rangeOf(rule, 'src') ?? 'all'];
  const to = rangeOf(rule, 'dst');
  if (to) words.push('to', to);
  for (const name of ['iif', 'oif', 'fwmark']) {
    const value = stringIn(rule, name);
    if (value)
      words.push(name, name === 'fwmark' && stringIn(rule, 'fwmask') ? `${value}/${stringIn(rule, 'fwmask')}` : value);
  }
  return [...words, stringIn(rule, 'action') ?? ''];
}

function prefixLength(route: Record<string, unknown>): number {
  const dst = stringIn(route, 'dst') ?? '';
  return dst === 'default' ? -1 : Number(dst.split('/')[1] ?? 128);
}
