import { isObject, numberIn, objectIn, parseObjects, stringIn } from '../facts.js';

/** What asks for all devices of a namespace, always so that it is asked once. */
export const LINKS = ['ip', '-j', '-s', '-d', 'link', 'show'];

/** A network device as `ip -j -s -d link show` tells it. */
export interface Link {
  index: number;
  name: string;
  /** `tap`, `tun`, `veth`, `bridge`, `vxlan`, `openvswitch`, `physical`, `loopback`, or what the kernel calls it. */
  kind: string;
  flags: string[];
  mtu: number;
  /** `UP`, `DOWN`, `LOWERLAYERDOWN`, `UNKNOWN` (drivers that do not say) … */
  operstate: string;
  mac: string;
  qdisc: string;
  txqlen: number;
  master: string;
  /** `bridge`, `bond`, `openvswitch`, `vrf` …; empty without a master. */
  portOf: string;
  /** Members of the bridge port (info_slave_data) or of the device's own kind (info_data). */
  port: Record<string, unknown>;
  data: Record<string, unknown>;
  peerIndex?: number;
  peerNetnsid?: number;
  xdp?: { mode: string; id: number; name: string };
  rx: LinkCounters;
  tx: LinkCounters;
}

export interface LinkCounters {
  bytes: number;
  packets: number;
  errors: number;
  dropped: number;
}

const XDP_MODES = ['none', 'driver', 'generic', 'offload', 'several'];

/** Parses `ip -j -s -d link show`; undefined when it is not JSON. */
export function parseLinks(text: string): Link[] | undefined {
  return parseObjects(text)?.flatMap((object) => {
    const name = stringIn(object, 'ifname');
    const index = numberIn(object, 'ifindex');
    if (name === undefined || index === undefined) return [];
    const info = objectIn(object, 'linkinfo');
    const data = objectIn(info, 'info_data');
    const stats = isObject(object.stats64) ? object.stats64 : objectIn(object, 'stats');
    const xdp = objectIn(object, 'xdp');
    const program = objectIn(xdp, 'prog');
    const peerIndex = numberIn(object, 'link_index');
    const peerNetnsid = numberIn(object, 'link_netnsid');
    return [
      {
        index,
        name,
        kind: kindOf(object, info, data),
        flags: Array.isArray(object.flags) ? object.flags.map(String) : [],
        mtu: numberIn(object, 'mtu') ?? 0,
        operstate: stringIn(object, 'operstate') ?? '',
        mac: stringIn(object, 'address') ?? '',
        qdisc: stringIn(object, 'qdisc') ?? '',
        txqlen: numberIn(object, 'txqlen') ?? 0,
        master: stringIn(object, 'master') ?? '',
        portOf: stringIn(info, 'info_slave_kind') ?? '',
        port: objectIn(info, 'info_slave_data'),
        data,
        ...(peerIndex === undefined ? {} : { peerIndex }),
        ...(peerNetnsid === undefined ? {} : { peerNetnsid }),
        ...(Object.keys(xdp).length === 0
          ? {}
          : {
              xdp: {
                mode: XDP_MODES[numberIn(xdp, 'mode') ?? 0] ?? 'unknown',
                id: numberIn(program, 'id') ?? 0,
                name: stringIn(program, 'name') ?? '',
              },
            }),
        rx: counters(objectIn(stats, 'rx')),
        tx: counters(objectIn(stats, 'tx')),
      },
    ];
  });
}

function kindOf(object: Record<string, unknown>, info: Record<string, unknown>, data: Record<string, unknown>): string {
  const kind = stringIn(info, 'info_kind');
  if (kind === 'tun') return stringIn(data, 'type') ?? 'tun';
  if (kind !== undefined) return kind;
  return stringIn(object, 'link_type') === 'loopback' ? 'loopback' : 'physical';
}

function counters(object: Record<string, unknown>): LinkCounters {
  const count = (name: string): number => numberIn(object, name) ?? 0;
  return { bytes: count('bytes'), packets: count('packets'), errors: count('errors'), dropped: count('dropped') };
}
