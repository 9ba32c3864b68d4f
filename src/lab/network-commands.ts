import { namespaceName } from './names.js';
import type { LinkEnd, Topology } from './types.js';

/** Quiet and quick namespaces: addresses usable at once, no router solicitations among the traffic that is watched. */
const SYSCTLS = [
  'net.ipv6.conf.all.dad_transmits=0',
  'net.ipv6.conf.default.dad_transmits=0',
  'net.ipv6.conf.default.accept_dad=0',
  'net.ipv6.conf.default.router_solicitations=0',
];

/** The kernel wants every header named that a packet of that protocol has (net/openvswitch/flow_netlink.c, match_validate). */
const TRANSPORTS = ['(proto=6),tcp(),tcp_flags(0/0)', '(proto=17),udp()'];
/** What the ports of a switch hand each other, a flow each: ARP, then ICMP, TCP and UDP of both versions. */
const JOINED = [
  'eth_type(0x0806),arp()',
  ...['(proto=1),icmp()', ...TRANSPORTS].map((rest) => `eth_type(0x0800),ipv4${rest}`),
  ...['(proto=58),icmpv6()', ...TRANSPORTS].map((rest) => `eth_type(0x86dd),ipv6${rest}`),
];

/**
 * The commands that make a topology, in order: namespaces, then what is in them, then its settings, each a namespace at
 * a time, so that few processes do it ({@link runBatched}). Every device is made inside a namespace of the lab, so the
 * machine's own network is never touched, not even for a moment.
 * @param cards the machine's names of the cards that a link of the topology takes away from it (`cards: true`)
 */
export function commandsToMake(topology: Topology, labId: string, cards: readonly string[] = []): string[][] {
  const name = (short: string): string => namespaceName(labId, short);
  const ip = (short: string, ...rest: string[]): string[] => ['ip', '-n', name(short), ...rest];
  const commands: string[][] = [];
  const devices: string[][] = [];
  const settings: string[][] = [];
  for (const short of topology.namespaces) {
    const own = (topology.sysctls ?? [])
      .filter((sysctl) => sysctl.in === short)
      .map((sysctl) => `${sysctl.name}=${sysctl.value}`);
    commands.push(
      ['ip', 'netns', 'add', name(short)],
      ['ip', 'netns', 'exec', name(short), 'sysctl', '-q', '-w', ...SYSCTLS, ...own],
      ip(short, 'link', 'set', 'dev', 'lo', 'up'),
    );
  }
  for (const bridge of topology.bridges ?? []) {
    devices.push(
      ip(
        bridge.in,
        'link',
        'add',
        'name',
        bridge.name,
        'type',
        'bridge',
        'stp_state',
        '0',
        'forward_delay',
        '0',
        'mcast_snooping',
        '0',
      ),
    );
    settings.push(...finish({ ...bridge, quiet: bridge.addresses === undefined }, ip));
  }
  for (const { ends, cards: onCable } of topology.links) {
    const [one, two] = ends;
    if (onCable) {
      ends.forEach((end, i) => {
        devices.push(['ip', 'link', 'set', 'dev', cards[i], 'netns', name(end.in), 'name', end.name]);
      });
    } else
      devices.push(
        ip(one.in, 'link', 'add', 'name', one.name, 'type', 'veth', 'peer', 'name', two.name, 'netns', name(two.in)),
      );
    settings.push(...finish(one, ip), ...finish(two, ip));
  }
  for (const { in: short, ports } of topology.switches ?? []) {
    for (const port of ports) settings.push(ip(short, 'link', 'set', 'dev', port, 'addrgenmode', 'none'));
  }
  for (const tap of topology.taps ?? []) {
    devices.push(ip(tap.in, 'tuntap', 'add', 'dev', tap.name, 'mode', 'tap'));
    settings.push(...finish(tap, ip));
  }
  for (const end of topology.wire?.ends ?? []) {
    devices.push(ip(end.in, 'tuntap', 'add', 'dev', end.name, 'mode', 'tap'));
    settings.push(
      // Room for a burst: its reader is a process that shares the CPU with the rest of the lab.
      ip(end.in, 'link', 'set', 'dev', end.name, 'txqueuelen', '10000'),
      ...finish(end, ip),
    );
  }
  for (const vxlan of topology.vxlans ?? []) {
    const tunnel = [
      'id',
      String(vxlan.vni),
      'local',
      vxlan.local,
      'remote',
      vxlan.remote,
      'dstport',
      String(vxlan.port ?? 4789),
    ];
    devices.push(ip(vxlan.in, 'link', 'add', 'name', vxlan.name, 'type', 'vxlan', ...tunnel));
    settings.push(...finish(vxlan, ip));
  }
  for (const route of topology.routes ?? []) {
    const way = [...(route.via ? ['via', route.via] : []), ...(route.device ? ['dev', route.device] : [])];
    settings.push(ip(route.in, 'route', 'add', route.to, ...way));
  }
  commands.push(...byNamespace(devices), ...byNamespace(settings));
  for (const { in: short, name: datapath, ports } of topology.switches ?? []) {
    const inside = (...words: string[]): string[] => ['ip', 'netns', 'exec', name(short), 'ovs-dpctl', ...words];
    commands.push(inside('add-dp', datapath), inside('add-if', datapath, ...ports));
    for (const [from, to] of [
      [1, 2],
      [2, 1],
    ]) {
      for (const match of JOINED)
        commands.push(inside('add-flow', datapath, `in_port(${from}),eth(),${match}`, String(to)));
    }
  }
  for (const qdisc of topology.qdiscs ?? []) {
    commands.push(['tc', '-n', name(qdisc.in), 'qdisc', 'replace', 'dev', qdisc.device, 'root', ...qdisc.arguments]);
  }
  return commands;
}

/** Gives a device that exists its address, size, bridge and addresses, and puts it up. */
function finish(device: LinkEnd & { quiet?: boolean }, ip: (short: string, ...rest: string[]) => string[]): string[][] {
  const set = (...words: string[]): string[] => ip(device.in, 'link', 'set', 'dev', device.name, ...words);
  return [
    ...(device.mac ? [set('address', device.mac)] : []),
    ...(device.mtu ? [set('mtu', String(device.mtu))] : []),
    // A port has no business with IPv6 of its own, and its multicast would show up in the trace.
    ...(device.master ? [set('addrgenmode', 'none'), set('master', device.master)] : []),
    ...(device.quiet ? [set('addrgenmode', 'none')] : []),
    set('up'),
    ...(device.addresses ?? []).map((address) =>
      ip(device.in, 'address', 'add', address, 'dev', device.name, ...(address.includes(':') ? ['nodad'] : [])),
    ),
  ];
}

/** Commands of `ip -n NAMESPACE`, namespace by namespace; within one they keep their order. */
function byNamespace(commands: readonly string[][]): string[][] {
  const names = [...new Set(commands.map(([, , namespace]) => namespace))];
  return names.flatMap((name) => commands.filter(([, , namespace]) => namespace === name));
}
