import type { Json } from '../../base/json.js';
import { commandPrefix, deviceParam, known, textParam, unknown, where, whyNot } from '../facts.js';
import type { EvidenceCollector, EvidenceParams, EvidenceSource } from '../types.js';

/**
 * How the kernel joins `conf.all` and `conf.<device>` (include/linux/inetdevice.h): IN_DEV_MAXCONF, IN_DEV_ORCONF,
 * IN_DEV_ANDCONF; all others: the device's own.
 */
const JOINED: Record<string, 'max' | 'or' | 'and'> = {
  rp_filter: 'max',
  arp_ignore: 'max',
  arp_announce: 'max',
  arp_notify: 'max',
  arp_filter: 'or',
  accept_local: 'or',
  log_martians: 'or',
  proxy_arp: 'or',
  send_redirects: 'or',
  shared_media: 'or',
  route_localnet: 'or',
  mc_forwarding: 'and',
  accept_source_route: 'and',
  bootp_relay: 'and',
};

/** Names that may be given without their path. */
const SHORT: Record<string, string> = {
  ip_forward: 'net.ipv4.ip_forward',
  somaxconn: 'net.core.somaxconn',
  netdev_max_backlog: 'net.core.netdev_max_backlog',
  netdev_budget: 'net.core.netdev_budget',
  netdev_budget_usecs: 'net.core.netdev_budget_usecs',
  rmem_max: 'net.core.rmem_max',
  rmem_default: 'net.core.rmem_default',
  wmem_max: 'net.core.wmem_max',
  ip_local_port_range: 'net.ipv4.ip_local_port_range',
  icmp_echo_ignore_all: 'net.ipv4.icmp_echo_ignore_all',
  icmp_ratelimit: 'net.ipv4.icmp_ratelimit',
  ip_default_ttl: 'net.ipv4.ip_default_ttl',
  ip_no_pmtu_disc: 'net.ipv4.ip_no_pmtu_disc',
  bindv6only: 'net.ipv6.bindv6only',
  nf_conntrack_max: 'net.netfilter.nf_conntrack_max',
  'bridge-nf-call-iptables': 'net.bridge.bridge-nf-call-iptables',
};

/** One kernel setting below /proc/sys/net, as it takes effect for a device. */
export const sysctl: EvidenceCollector = {
  name: 'sysctl',
  describe: 'A kernel setting below net., joined for a device as the kernel joins it.',
  params: {
    name: 'full (`net.ipv4.ip_forward`, `net.ipv4.conf.*.rp_filter` for the device) or short (`ip_forward`, `rp_filter`, `tcp_rmem`) name',
    device: 'device, for settings that each device has (`rp_filter`); absent: `all`',
    family: '`ipv6` for the IPv6 setting of a device',
  },
  members: {
    name: 'full name, as sysctl takes it; of the device, if it is a device setting',
    value: 'the number, or the text if it is none; of several numbers the first',
    values: 'all numbers, for settings with several (tcp_rmem: least, default, most)',
    raw: 'as the file says it, blanks joined',
    all: '`conf.all` of a device setting; null otherwise',
    own: '`conf.<device>` of a device setting; null otherwise',
    joined: '`max`, `or`, `and` of both, `own`: the device alone; empty for others',
  },

  async collect(source, params) {
    const prefix = await commandPrefix(source, params.netns);
    const name = textParam(params, 'name') ?? '';
    const perDevice = /^net\.(ipv4|ipv6)\.conf\.\*\.(\w+)$/.exec(name);
    if (perDevice) return deviceSetting(source, { ...params, family: perDevice[1] }, perDevice[2], prefix);
    if (!/^[\w.-]+$/.test(name) || name.includes('..'))
      return unknown(`"${name}" is not the name of a setting`, `${prefix}sysctl net`);
    const full = fullName(name);
    if (full) return plain(source, params, full, prefix);
    return deviceSetting(source, params, name, prefix);
  },
};

function fullName(name: string): string | undefined {
  if (Object.hasOwn(SHORT, name)) return SHORT[name];
  if (name.startsWith('net.')) return name;
  return /^(tcp|udp|igmp|ipfrag|icmp|neigh)_/.test(name) ? `net.ipv4.${name}` : undefined;
}

async function plain(
  source: EvidenceSource,
  params: EvidenceParams,
  name: string,
  prefix: string,
): ReturnType<EvidenceCollector['collect']> {
  const command = `${prefix}sysctl ${name}`;
  const answer = await source.read(`/proc/sys/${name.replaceAll('.', '/')}`, where(params, 'after'));
  if (answer.status !== 'ok') return unknown(answer.why, command);
  const raw = answer.text.trim().replace(/\s+/g, ' ');
  return known({ name, ...valueOf(raw), raw, all: null, own: null, joined: '' }, command, `${name} = ${raw}`);
}

async function deviceSetting(
  source: EvidenceSource,
  params: EvidenceParams,
  name: string,
  prefix: string,
): ReturnType<EvidenceCollector['collect']> {
  const family = textParam(params, 'family') === 'ipv6' ? 'ipv6' : 'ipv4';
  const device = deviceParam(params) ?? 'all';
  // sysctl swaps dots and slashes, so that a VLAN's name can be told from a path.
  const key = `net.${family}.conf.${device.replaceAll('.', '/')}.${name}`;
  const command = `${prefix}sysctl net.${family}.conf.all.${name} ${key}`;
  const read = async (of: string): Promise<Awaited<ReturnType<EvidenceSource['read']>>> =>
    source.read(`/proc/sys/net/${family}/conf/${of}/${name}`, where(params, 'after'));
  const [allAnswer, ownAnswer] = await Promise.all([read('all'), read(device)]);
  if (ownAnswer.status !== 'ok') return unknown(ownAnswer.why, command);
  const own = valueOf(ownAnswer.text.trim()).value;
  const all = allAnswer.status === 'ok' ? valueOf(allAnswer.text.trim()).value : null;
  if (typeof own !== 'number') return unknown(whyNot(ownAnswer), command);
  const joined = family === 'ipv4' ? (JOINED[name] ?? 'own') : 'own';
  const value = typeof all === 'number' ? join(all, own, joined) : own;
  const text = device === 'all' ? `${key} = ${own}` : `${key} = ${own}, all = ${String(all)}: ${value} counts`;
  return known({ name: key, value, values: [value], raw: String(value), all, own, joined }, command, text);
}

function join(all: number, own: number, how: 'max' | 'or' | 'and' | 'own'): number {
  if (how === 'max') return Math.max(all, own);
  if (how === 'or') return all || own;
  return how === 'and' ? (all ? own : 0) : own;
}

function valueOf(text: string): { value: Json; values: number[] } {
  const words = text.split(/\s+/);
  if (text !== '' && words.every((word) => /^-?\d+$/.test(word))) {
    const values = words.map(Number);
    return { value: values[0], values };
  }
  return { value: text, values: [] };
}
