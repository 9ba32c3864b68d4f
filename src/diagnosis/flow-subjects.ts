import type { PacketView } from '../events/types.js';
import type { PairStats } from '../paths/types.js';
import type { FindingGroup } from '../rules/types.js';

/** A flow that a group of findings hit, with what its rules may be asked about it. */
export interface FlowData {
  [name: string]: string | number;
  proto: string;
  src: string;
  dst: string;
  sport: number;
  dport: number;
  flow: string;
  /** Packets of it in the group. */
  count: number;
  /** `request`, `reply`, or empty when it cannot be told. */
  direction: string;
}

/**
 * The flows of a group, most hit first: a group may hold several (all that netfilter dropped at one place), and each may
 * have a cause of its own. Connections of one client to one service count as one.
 */
export function flowsOf(group: FindingGroup, pairs: readonly PairStats[]): FlowData[] {
  const merged: FlowData[] = [];
  for (const { flow, count } of group.flows) {
    const parts = partsOf(flow);
    if (!parts) continue;
    const same = merged.find(
      (one) =>
        one.proto === parts.proto &&
        one.src === parts.src &&
        one.dst === parts.dst &&
        (one.dport === parts.dport || one.sport === parts.sport),
    );
    if (same) {
      same.count += count;
      continue;
    }
    const packet = group.samples.map((event) => event.packet).find((one) => one && isOf(one, parts));
    merged.push({
      ...parts,
      ...(packet && detailsOf(packet)),
      flow,
      count,
      direction: directionOf(parts, packet, pairs),
    });
  }
  return merged;
}

type Parts = Pick<FlowData, 'proto' | 'src' | 'dst' | 'sport' | 'dport'>;

/** Reads `TCP 10.0.0.1:4711 → [fd00::1]:80`; ports are 0 where the protocol has none. */
function partsOf(flow: string): Parts | undefined {
  const match = /^(\S+) (\S+) → (\S+)$/.exec(flow);
  if (!match) return undefined;
  const [src, sport] = endOf(match[2]);
  const [dst, dport] = endOf(match[3]);
  return { proto: match[1], src, dst, sport, dport };
}

function endOf(text: string): [string, number] {
  const six = /^\[(.*)\]:(\d+)$/.exec(text);
  if (six) return [six[1], Number(six[2])];
  const four = /^([\d.]+):(\d+)$/.exec(text);
  return four ? [four[1], Number(four[2])] : [text, 0];
}

function isOf(packet: PacketView, { proto, src, dst, sport, dport }: Parts): boolean {
  return (
    packet.proto === proto &&
    packet.src === src &&
    packet.dst === dst &&
    packet.sport === sport &&
    packet.dport === dport
  );
}

function detailsOf(packet: PacketView): Record<string, string | number> {
  return {
    ...(packet.flags !== '' && { flags: packet.flags }),
    ...(packet.proto.startsWith('ICMP') && { icmpType: packet.icmpType }),
    ttl: packet.ttl,
  };
}

const ECHO: Record<string, Record<number, string>> = {
  ICMP: { 8: 'request', 0: 'reply' },
  ICMPv6: { 128: 'request', 129: 'reply' },
};

/** Ports below are given to services, those from here on to clients (net.ipv4.ip_local_port_range by default). */
const FIRST_CLIENT_PORT = 32_768;

/** A SYN asks and its answer replies; else the ports tell, and of what has none, who of the two spoke first. */
function directionOf(
  { src, dst, proto, sport, dport }: Parts,
  packet: PacketView | undefined,
  pairs: readonly PairStats[],
): string {
  if (packet?.flags.includes('S')) return packet.flags.includes('.') ? 'reply' : 'request';
  const echo = packet && ECHO[proto]?.[packet.icmpType];
  if (echo) return echo;
  const fromClient = sport >= FIRST_CLIENT_PORT;
  if (sport > 0 && dport > 0 && fromClient !== dport >= FIRST_CLIENT_PORT) return fromClient ? 'request' : 'reply';
  const pair = pairs.find(({ a, b }) => (a === src && b === dst) || (a === dst && b === src));
  if (!pair) return '';
  return pair.a === src ? 'request' : 'reply';
}
