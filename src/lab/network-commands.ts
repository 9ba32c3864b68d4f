import { namespaceName } from './names.js';
import type { LinkEnd, Topology } from './types.js';

/** Quiet and quick namespaces: addresses usable at once, no router solicitations among the traffic that is watched. */
const SYSCTLS = [
  'net.ipv6.conf.all.dad_transmits=0',
  'net.ipv6.conf.default.dad_transmits=0',
  'net.ipv6.conf.default.accept_dad=0',
  'net.ipv6.conf.default.router_solicitations=0',
];

/**
 * The commands that make a topology, in order. Every device is made inside a namespace of the lab, so the machine's own
 * network is never touched, not even for a moment.
 */
export function commandsToMake(topology: Topology, labId: string): string[][] {
  const name = (short: string): string => namespaceName(labId, short);
  const ip = (short: string, ...rest: string[]): string[] => ['ip', '-n', name(short), ...rest];
  const commands: string[][] = [];
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
    commands.push(
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
      ...finish({ ...bridge, quiet: bridge.addresses === undefined }, ip),
    );
  }
  for (const { ends } of topology.links) {
    const [one, two] = ends;
    commands.push(
      ip(one.in, 'link', 'add', 'name', one.name, 'type', 'veth', 'peer', 'name', two.name, 'netns', name(two.in)),
      ...finish(one, ip),
      ...finish(two, ip),
    );
  }
  for (const tap of topology.taps ?? []) {
    commands.push(ip(tap.in, 'tuntap', 'add', 'dev', tap.name, 'mode', 'tap'), ...finish(tap, ip));
  }
  for (const end of topology.wire?.ends ?? []) {
    commands.push(
      ip(end.in, 'tuntap', 'add', 'dev', end.name, 'mode', 'tap'),
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
    commands.push(ip(vxlan.in, 'link', 'add', 'name', vxlan.name, 'type', 'vxlan', ...tunnel), ...finish(vxlan, ip));
  }
  for (const route of topology.routes ?? []) {
    const family = route.to.includes(':') || route.via?.includes(':') ? ['-6'] : ['-4'];
    const way = [...(route.via ? ['via', route.via] : []), ...(route.device ? ['dev', route.device] : [])];
    commands.push(['ip', ...family, '-n', name(route.in), 'route', 'add', route.to, ...way]);
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
