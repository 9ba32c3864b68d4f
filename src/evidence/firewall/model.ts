/** Whether a rule fits a packet: `maybe` when the rule asks for something that is not known about the packet. */
export type Fit = 'yes' | 'no' | 'maybe';

/** What is known about a packet; everything may be absent. */
export interface PacketFacts {
  src?: string;
  dst?: string;
  /** IANA number of the protocol. */
  proto?: number;
  sport?: number;
  dport?: number;
  iif?: string;
  oif?: string;
  /** 4 or 6. */
  version?: number;
  /** TCP flags as tcpdump writes them: `S`, `S.`, `P.`. */
  flags?: string;
  icmpType?: number;
}

export type Test = (packet: PacketFacts) => Fit;

/** What a rule does with a packet that fits. */
export interface Outcome {
  /** In addition to the rule's own test: an entry of a verdict map. */
  test?: Test;
  /** That entry, where its map has a name. */
  entry?: NamedEntry;
  verdict?: 'DROP' | 'REJECT' | 'ACCEPT' | 'RETURN' | 'QUEUE';
  /** Chain it goes on in; with `goto` it does not come back. */
  target?: string;
  goto?: boolean;
}

/** An element of a named set or map of nft, as its own tool would write it. */
export interface NamedEntry {
  kind: 'set' | 'map';
  /** Name of the set or map. */
  name: string;
  /** `10.0.0.0/28`, `10.0.0.1 . 80`, of maps `443 : drop`; undefined when it cannot be written back as it was. */
  text?: string;
}

export interface FirewallRule {
  /** Place in its chain, from 1. */
  number: number;
  /** nft only. */
  handle?: number;
  /** As its tool prints it, without counters. */
  text: string;
  /** Words of the rule after `-A CHAIN`, for iptables. */
  words?: string[];
  /** Packets it counted; undefined when it does not count. */
  packets?: number;
  /** Its counter stands before one of its conditions, or before a verdict map: it counts more than what it decided. */
  countsMore?: true;
  /** How many conditions it has; 0: it takes every packet that comes to it. */
  conditions: number;
  test: Test;
  outcomes: Outcome[];
  /** The element of a named set because of which it fits a packet. */
  entryOf?: (packet: PacketFacts) => NamedEntry | undefined;
  /** It translates: `dnat` to another destination, `snat` to another source. */
  nat?: {
    kind: 'dnat' | 'snat';
    /** `10.0.0.9:8080`, `10.0.0.9`, `:8080`; empty for the address of the device it leaves by (masquerade). */
    to: string;
  };
  /** States of connection tracking that it asks for, in capitals: `INVALID`. Absent: none. */
  states?: string[];
}

export type FirewallBackend =
  'iptables-legacy' | 'iptables-nft' | 'iptables' | 'nft' | 'ebtables-legacy' | 'ebtables-nft';

export interface FirewallChain {
  backend: FirewallBackend;
  /** Command that changes it: `iptables-legacy`, `ip6tables-nft`, `nft`, `ebtables-legacy`. */
  tool: string;
  /** `ip`, `ip6`, `inet`, `bridge`, `arp`, `netdev`. */
  family: string;
  table: string;
  name: string;
  /** `input`, `forward` …; absent: entered by jumps alone. */
  hook?: string;
  /** Order at the hook (NF_IP_PRI_…, NF_BR_PRI_… of the kernel's headers): lower ones come first. */
  priority?: number;
  /** Of a chain of the netdev family: the devices it is at. */
  devices?: string[];
  policy?: 'ACCEPT' | 'DROP';
  /** Packets that the policy decided; undefined when it does not count. */
  policyPackets?: number;
  rules: FirewallRule[];
}

const PROTOCOLS: Record<string, number> = {
  icmp: 1,
  igmp: 2,
  ipip: 4,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  'ipv6-icmp': 58,
  icmp6: 58,
  sctp: 132,
  udplite: 136,
};

/** IANA number of a protocol's name in any spelling that tools, packets and rules use; undefined when unknown. */
export function protocolNumber(name: string | number | undefined): number | undefined {
  if (name === undefined || name === '') return undefined;
  const number = Number(name);
  return Number.isInteger(number) ? number : PROTOCOLS[String(name).toLowerCase()];
}

/** All of several tests: `no` if one says no, `maybe` if one cannot say. */
export function allOf(tests: readonly Test[]): Test {
  return (packet) => {
    let fit: Fit = 'yes';
    for (const test of tests) {
      const one = test(packet);
      if (one === 'no') return 'no';
      if (one === 'maybe') fit = 'maybe';
    }
    return fit;
  };
}

export const both = (a: Fit, b: Fit): Fit =>
  a === 'no' || b === 'no' ? 'no' : a === 'yes' && b === 'yes' ? 'yes' : 'maybe';
export const negate = (fit: Fit): Fit => (fit === 'maybe' ? fit : fit === 'yes' ? 'no' : 'yes');
export const fits = (condition: boolean): Fit => (condition ? 'yes' : 'no');
