import type { Json } from '../../base/json.js';
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
import { LINKS, parseLinks } from '../parsers/links.js';
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
    device: 'device that is asked about, for `byDevice`',
  },
  members: {
    type: 'unicast, local, broadcast, multicast; blackhole, unreachable, prohibit, throw; `none`: no route; `reverse-path`: refused by rp_filter; `martian`: its source cannot be; `not-forwarded`: there is a route, but forwarding is off',
    found: 'there is a route that packets can take',
    device: 'device it leaves by; empty without',
    byDevice: 'it leaves by the device that is asked about; false without',
    holder: 'device that has the address, if it is one of this host; empty otherwise',
    gateway: 'next hop; empty when it is on the link',
    prefsrc: 'source address the kernel would choose; empty when it says none',
    mtu: 'MTU of the route, else of its device; null when neither is known',
    error: "the kernel's answer when it refuses; empty otherwise",
    rejecting: 'the route that refuses: `blackhole 10.99.1.0/24`; empty without one',
    rejectingTable: 'table that holds it; empty for main',
    rule: 'routing rule that refuses it: `32765: from 10.92.0.9 to 10.98.0.0/16 prohibit`; empty without one',
    rulePriority: "that rule's priority; -1 without one",
    ruleAction: 'prohibit, unreachable or blackhole; empty without a rule',
    hairpin: 'the packet would leave by the device that it came in by; false without iif',
    forwarding: 'forwarding is on for `iif`; null without iif',
    forwardingSetting: 'the setting that decides that: `net.ipv4.ip_forward`; empty without iif',
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
    const forward = iif === undefined ? NOT_ASKED : await forwardingOf(source, params, iif, dst);
    const { forwarding } = forward;
    if (answer.route && isUsable(answer.route)) {
      const value = routeValue(answer.route);
      const mtu = value.mtu ?? (await deviceMtu(source, params, value.device));
      const hairpin = words.includes('iif') && value.device === iif;
      // IPv6 finds the route and refuses only then to go it (ip6_forward).
      const refused = words.includes('iif') && value.type === 'unicast' && forwarding === false;
      const type = refused ? 'not-forwarded' : value.type;
      const holder = value.type === 'local' ? await holderOf(source, params, dst) : '';
      const byDevice = value.device === deviceParam(params);
      const text = `${routeText(dst, value)}${holder && `, an address of ${holder}`}${refused ? `, but ${forward.forwardingSetting} is 0` : ''}`;
      return known({ ...value, type, mtu, hairpin, byDevice, holder, ...forward }, command, text);
    }
    const cause = await rejection(source, params, dst, answer.type, prefix);
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
      (forwarding === false ? `${forward.forwardingSetting} is 0` : '');
    const said = answer.error ? ` (${answer.error})` : '';
    const text = `${dst}: ${type === 'none' ? 'no route' : type}${said}${because ? `, ${because}` : ''}`;
    return known({ ...NO_ROUTE, type, error: answer.error, ...cause, ...forward }, command, text);
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

/** Types of routes, and actions of rules, that take no packet on. */
const REFUSALS = ['blackhole', 'unreachable', 'prohibit', 'throw'];

function isUsable(route: Record<string, unknown>): boolean {
  return !REFUSALS.includes(stringIn(route, 'type') ?? 'unicast');
}

async function deviceMtu(source: EvidenceSource, params: EvidenceParams, device: string): Promise<number | null> {
  const links = parseLinks(textOfAnswer(await source.run(LINKS, where(params, 'after'))) ?? '-');
  return links?.find((link) => link.name === device)?.mtu ?? null;
}

/** Device that has an address of this host. */
async function holderOf(source: EvidenceSource, params: EvidenceParams, address: string): Promise<string> {
  const answer = await source.run(['ip', '-j', 'address', 'show', 'to', address], where(params, 'after'));
  return stringIn(parseObjects(textOfAnswer(answer) ?? '')?.[0] ?? {}, 'ifname') ?? '';
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
  rulePriority: -1,
  ruleAction: '',
  hairpin: false,
  byDevice: false,
  holder: '',
  removeCommand: '',
  restoreCommand: '',
};

/** Whether packets that came in by a device are passed on, and what decides it. */
interface Forwarding {
  forwarding: boolean | null;
  forwardingSetting: string;
  [name: string]: Json;
}

const NOT_ASKED: Forwarding = { forwarding: null, forwardingSetting: '' };

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

/**
 * IPv4 asks the device that a packet came in by (IN_DEV_FORWARD); IPv6 asks `conf.all`, or since 6.17 whether the device
 * has `force_forwarding` (net/ipv6/ip6_output.c).
 */
async function forwardingOf(
  source: EvidenceSource,
  params: EvidenceParams,
  iif: string,
  dst: string,
): Promise<Forwarding> {
  const read = async (path: string): Promise<boolean | null> => {
    const text = textOfAnswer(await source.read(`/proc/sys/net/${path}`, where(params, 'after')));
    return text === undefined ? null : text.trim() !== '0';
  };
  if (dst.includes(':')) {
    const all = await read('ipv6/conf/all/forwarding');
    const forced = all === false && (await read(`ipv6/conf/${iif}/force_forwarding`)) === true;
    return { forwarding: forced || all, forwardingSetting: 'net.ipv6.conf.all.forwarding' };
  }
  const own = await read(`ipv4/conf/${iif}/forwarding`);
  const all = own === false ? await read('ipv4/ip_forward') : true;
  // sysctl swaps dots and slashes, so that a VLAN's name can be told from a path.
  const name = `net.ipv4.conf.${iif.replaceAll('.', '/')}.forwarding`;
  return { forwarding: own, forwardingSetting: all === false ? 'net.ipv4.ip_forward' : name };
}

type Rejection = Pick<
  typeof NO_ROUTE,
  'rejecting' | 'rejectingTable' | 'rule' | 'rulePriority' | 'ruleAction' | 'removeCommand' | 'restoreCommand'
>;

/** The route or rule that makes the kernel refuse this destination. */
async function rejection(
  source: EvidenceSource,
  params: EvidenceParams,
  dst: string,
  type: string,
  prefix: string,
): Promise<Rejection> {
  const version = dst.includes(':') ? '-6' : '-4';
  const [routes, rules] = await Promise.all([
    source.run(['ip', '-j', version, 'route', 'show', 'table', 'all', 'to', 'match', dst], where(params, 'after')),
    source.run(['ip', '-j', version, 'rule', 'show'], where(params, 'after')),
  ]);
  // One of another kind than the kernel's answer is not asked, or not reached.
  const isOfKind = (kind: string): boolean => REFUSALS.includes(kind) && (kind === type || !REFUSALS.includes(type));
  const refusing = (parseObjects(textOfAnswer(routes) ?? '') ?? [])
    .filter((one) => isOfKind(stringIn(one, 'type') ?? ''))
    .filter((one) => stringIn(one, 'dst') === 'default' || addressFits(dst, stringIn(one, 'dst') ?? '') === 'yes')
    .sort((a, b) => prefixLength(b) - prefixLength(a))[0];
  const order = parseObjects(textOfAnswer(rules) ?? '') ?? [];
  const priorityOf = (one: Record<string, unknown> | undefined): number => (one && numberIn(one, 'priority')) ?? -1;
  const refusingRule = order.find((one) => isOfKind(stringIn(one, 'action') ?? '') && ruleFits(one, dst, params));
  const leads = order.find((one) => stringIn(one, 'table') === (refusing && (stringIn(refusing, 'table') ?? 'main')));
  const rule = refusing && priorityOf(leads) <= priorityOf(refusingRule) ? undefined : refusingRule;
  const { rejecting, rejectingTable, rule: noRule, rulePriority, ruleAction, removeCommand, restoreCommand } = NO_ROUTE;
  const nothing = { rejecting, rejectingTable, rule: noRule, rulePriority, ruleAction, removeCommand, restoreCommand };
  if (refusing && !rule) {
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
  if (!rule) return nothing;
  const words = ruleWords(rule);
  const priority = String(numberIn(rule, 'priority') ?? '');
  return {
    ...nothing,
    rule: `${priority}: ${words.join(' ')}`,
    rulePriority: Number(priority || -1),
    ruleAction: stringIn(rule, 'action') ?? '',
    removeCommand: `${prefix}${shellLine(['ip', version, 'rule', 'del', 'priority', priority])}`,
    restoreCommand: `${prefix}${shellLine(['ip', version, 'rule', 'add', 'priority', priority, ...words])}`,
  };
}

function ruleFits(rule: Record<string, unknown>, dst: string, params: EvidenceParams): boolean {
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
