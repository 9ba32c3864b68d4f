import { constants } from 'node:os';

/** TCP states, include/net/tcp_states.h; the index is the number. */
export const TCP_STATES = [
  ...['', 'TCP_ESTABLISHED', 'TCP_SYN_SENT', 'TCP_SYN_RECV', 'TCP_FIN_WAIT1', 'TCP_FIN_WAIT2', 'TCP_TIME_WAIT'],
  ...['TCP_CLOSE', 'TCP_CLOSE_WAIT', 'TCP_LAST_ACK', 'TCP_LISTEN', 'TCP_CLOSING', 'TCP_NEW_SYN_RECV'],
  'TCP_BOUND_INACTIVE',
] as const;

const NUD_STATES: Record<number, string> = {
  0: 'NUD_NONE',
  1: 'NUD_INCOMPLETE',
  2: 'NUD_REACHABLE',
  4: 'NUD_STALE',
  8: 'NUD_DELAY',
  16: 'NUD_PROBE',
  32: 'NUD_FAILED',
  64: 'NUD_NOARP',
  128: 'NUD_PERMANENT',
};

/** Neighbour states, include/uapi/linux/neighbour.h. */
export const nudStateName = (state: number): string => NUD_STATES[state] ?? `NUD_${state}`;

export const tcpStateName = (state: number): string => TCP_STATES[state] || `TCP_${state}`;

/** Linux's own, where the tool's host is another system (a replay): the codes that the network stack returns. */
const ERRNO = new Map<number, string>(Object.entries(constants.errno).map(([name, code]) => [code, name]));
// Same numbers, other names, or names that Node does not list (include/uapi/asm-generic/errno.h; 524 is the kernel's own).
for (const [code, name] of [
  [11, 'EAGAIN'],
  [19, 'ENODEV'],
  [95, 'EOPNOTSUPP'],
  [108, 'ESHUTDOWN'],
  [112, 'EHOSTDOWN'],
  [524, 'ENOTSUPP'],
] as const) {
  ERRNO.set(code, name);
}

/** `ENOBUFS` for -105; undefined unless it is an error number (-1 … -4095). */
export function errnoName(ret: number): string | undefined {
  if (ret >= 0 || ret < -4095) return undefined;
  return ERRNO.get(-ret) ?? `errno ${-ret}`;
}

const VERDICTS = ['NF_DROP', 'NF_ACCEPT', 'NF_STOLEN', 'NF_QUEUE', 'NF_REPEAT', 'NF_STOP'];

/** Name of a netfilter verdict: the low byte counts, the rest is a queue's number or an errno (linux/netfilter.h). */
export function verdictName(ret: number): string | undefined {
  return VERDICTS[((ret % 256) + 256) % 256];
}

const INET_HOOKS = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING', 'INGRESS'];
const ARP_HOOKS = ['INPUT', 'OUTPUT', 'FORWARD'];
const NETDEV_HOOKS = ['INGRESS', 'EGRESS'];
const NFPROTO_ARP = 3;
const NFPROTO_NETDEV = 5;
const FAMILIES: Record<number, string> = { 1: 'inet', 2: 'ip', 3: 'arp', 5: 'netdev', 7: 'bridge', 10: 'ip6' };

/** Name of a hook in its family: the same number means another one for ARP and netdev. */
export function hookName(hook: number, family: number): string | undefined {
  if (family === NFPROTO_ARP) return ARP_HOOKS[hook];
  return family === NFPROTO_NETDEV ? NETDEV_HOOKS[hook] : INET_HOOKS[hook];
}

/** Name of a netfilter family, as nft calls it. */
export const familyName = (family: number): string | undefined => FAMILIES[family];

const PROTOCOLS: Record<number, string> = {
  ...{ 0: 'HOPOPT', 1: 'ICMP', 2: 'IGMP', 4: 'IPIP', 6: 'TCP', 17: 'UDP', 33: 'DCCP', 41: 'IPv6', 47: 'GRE' },
  ...{
    50: 'ESP',
    51: 'AH',
    58: 'ICMPv6',
    89: 'OSPF',
    103: 'PIM',
    112: 'VRRP',
    115: 'L2TP',
    132: 'SCTP',
    136: 'UDPLite',
  },
};

/** `TCP`, `ICMPv6`, `IP proto 253`; `ARP`; for other frames their ethertype, `0x88cc`. Empty when nothing is known. */
export function protocolName(version: number, protocol: number, ethertype: number): string {
  if (version !== 0) return PROTOCOLS[protocol] ?? `IP proto ${protocol}`;
  if (ethertype === 0x0806) return 'ARP';
  return ethertype === 0 ? '' : `0x${ethertype.toString(16).padStart(4, '0')}`;
}

/** Name of an IP protocol number of a socket. */
export const ipProtocolName = (protocol: number): string => PROTOCOLS[protocol] ?? `IP proto ${protocol}`;

const TUNNELS: Record<number, string> = { 1: 'vxlan', 2: 'geneve', 4: 'ipip', 41: 'sit', 47: 'gre' };

export const tunnelName = (tunnel: number): string => (tunnel === 0 ? '' : (TUNNELS[tunnel] ?? `tunnel ${tunnel}`));

const FLAG_LETTERS: readonly [number, string][] = [
  [0x01, 'F'],
  [0x02, 'S'],
  [0x04, 'R'],
  [0x08, 'P'],
  [0x10, '.'],
  [0x20, 'U'],
  [0x40, 'E'],
  [0x80, 'W'],
];
const FLAG_TEXTS = Array.from({ length: 256 }, (_, bits) =>
  FLAG_LETTERS.map(([bit, letter]) => ((bits & bit) !== 0 ? letter : '')).join(''),
);

/** TCP flags as tcpdump writes them (`S.`, `P.`, `none` for none set). */
export const tcpFlagsText = (bits: number): string => FLAG_TEXTS[bits & 0xff] || 'none';
