import ipaddr from 'ipaddr.js';

/** A datapath of Open vSwitch's kernel module, as `ovs-dpctl show -s` tells it. */
export interface Datapath {
  /** `system@ovs-system`: the name that other commands take. */
  name: string;
  hit: number;
  missed: number;
  lost: number;
  flows: number;
  /** Port numbers by device. */
  ports: Map<string, number>;
}

/** Datapaths in the output of `ovs-dpctl show -s`. */
export function parseDatapaths(text: string): Datapath[] {
  const datapaths: Datapath[] = [];
  for (const line of text.split('\n')) {
    const name = /^(\S+@\S+):$/.exec(line)?.[1];
    if (name) datapaths.push({ name, hit: 0, missed: 0, lost: 0, flows: 0, ports: new Map() });
    const last = datapaths.at(-1);
    if (!last) continue;
    const lookups = /^\s+lookups: hit:(\d+) missed:(\d+) lost:(\d+)/.exec(line);
    if (lookups) [last.hit, last.missed, last.lost] = lookups.slice(1).map(Number);
    const flows = /^\s+flows: (\d+)/.exec(line);
    if (flows) last.flows = Number(flows[1]);
    const port = /^\s+port (\d+): (\S+)/.exec(line);
    if (port) last.ports.set(port[2], Number(port[1]));
  }
  return datapaths;
}

/** A flow of a datapath, as `ovs-dpctl dump-flows` tells it. */
export interface DatapathFlow {
  /** `in_port(1),eth_type(0x0800),ipv4(proto=6),tcp(dst=80)`. */
  match: string;
  packets: number;
  /** `drop`, `2`, `push_vlan(…),3` … */
  actions: string;
}

/** Flows in the output of `ovs-dpctl dump-flows`; what else is there is passed over. */
export function parseFlows(text: string): DatapathFlow[] {
  return text.split('\n').flatMap((line) => {
    const parts = /^(?:ufid:\S+, )?(\S.*\)), packets:(\d+), bytes:\d+, .*actions:(.*)$/.exec(line.trim());
    // Ports of which nothing is asked are printed as bytes by OVS 3.1.
    return parts
      ? [{ match: parts[1].replace(/,key\d+\([^()]*\)/g, ''), packets: Number(parts[2]), actions: parts[3] }]
      : [];
  });
}

/** Actions after which the packet is still where it was (lib/odp-util.c, format_odp_action). */
const STAYS = /^(?:drop|(?:set|push_\w+|pop_\w+|add_mpls|trunc|meter|hash|dec_ttl)(?:\(.*\))?)$/;

/** Whether a flow sends what matches it nowhere. */
export function endsThere({ actions }: DatapathFlow): boolean {
  const list: string[] = [''];
  let depth = 0;
  for (const char of actions) {
    depth += char === '(' ? 1 : char === ')' ? -1 : 0;
    if (char === ',' && depth === 0) list.push('');
    else list[list.length - 1] += char;
  }
  return list.every((action) => STAYS.test(action));
}

/** What is known of a packet; IP protocols by name. */
export interface FlowPacket {
  port?: number;
  src?: string;
  dst?: string;
  proto?: string;
  sport?: number;
  dport?: number;
}

const PROTOCOLS: Record<string, number[]> = {
  ICMP: [1],
  TCP: [6],
  UDP: [17],
  ICMPv6: [58],
  SCTP: [132],
};
const ETHERTYPES: Record<string, string> = { ARP: '0x0806', ipv4: '0x0800', ipv6: '0x86dd' };

/**
 * Whether a flow may be that of a packet: nothing that both name differs. Masks follow a slash (lib/odp-util.c); what the packet
 * does not tell (addresses of Ethernet, tunnels, connection tracking) is taken to fit.
 */
export function mayMatch({ match }: DatapathFlow, packet: FlowPacket): boolean {
  const inside = (group: string): Map<string, string> | undefined => {
    const found = new RegExp(`(?:^|,)${group}\\(([^()]*)\\)`).exec(match)?.[1];
    return found === undefined ? undefined : new Map(found.split(',').map((one) => one.split('=') as [string, string]));
  };
  const inPort = /(?:^|,)in_port\((\d+)\)/.exec(match)?.[1];
  if (packet.port !== undefined && inPort !== undefined && Number(inPort) !== packet.port) return false;
  const version = packet.src && ipaddr.isValid(packet.src) ? ipaddr.parse(packet.src).kind() : undefined;
  const type = /(?:^|,)eth_type\((0x[0-9a-f]+)\)/.exec(match)?.[1];
  const wanted = packet.proto === 'ARP' ? ETHERTYPES.ARP : version && ETHERTYPES[version];
  if (type !== undefined && wanted !== undefined && type !== wanted) return false;
  const ip = version && inside(version);
  for (const name of ['src', 'dst'] as const) {
    if (!covers(ip?.get(name), packet[name])) return false;
  }
  const numbers = packet.proto === undefined ? undefined : PROTOCOLS[packet.proto];
  const proto = ip?.get('proto');
  if (proto !== undefined && numbers && !numbers.some((number) => inMask(proto, number))) return false;
  const ports = packet.proto && inside(packet.proto.toLowerCase());
  if (!ports || packet.proto?.startsWith('ICMP')) return true;
  return inMask(ports.get('src'), packet.sport) && inMask(ports.get('dst'), packet.dport);
}

/** `10.0.0.0/255.255.0.0` against an address; absent is any. */
function covers(pattern: string | undefined, address: string | undefined): boolean {
  if (pattern === undefined || address === undefined || !ipaddr.isValid(address)) return true;
  const [value, mask] = pattern.split('/');
  if (!ipaddr.isValid(value) || (mask !== undefined && !ipaddr.isValid(mask))) return true;
  const [want, have] = [ipaddr.parse(value).toByteArray(), ipaddr.parse(address).toByteArray()];
  const bits = mask === undefined ? want.map(() => 255) : ipaddr.parse(mask).toByteArray();
  return want.length === have.length && want.every((byte, i) => (byte & bits[i]) === (have[i] & bits[i]));
}

/** `80`, `0x50/0xfff0` against a number; absent is any. */
function inMask(pattern: string | undefined, number: number | undefined): boolean {
  if (pattern === undefined || number === undefined || number === 0) return true;
  const [value, mask = '0xffffffff'] = pattern.split('/');
  return ((Number(value) ^ number) & Number(mask)) === 0;
}
