import {
  commandPrefix,
  delta,
  deviceParam,
  known,
  numberIn,
  numberParam,
  stringIn,
  textOfAnswer,
  unknown,
  unnamed,
  where,
  whyNot,
} from '../facts.js';
import { LINKS, parseLinks, type Link } from '../parsers/links.js';
import { shellWord } from '../shell-words.js';
import type { EvidenceCollector, EvidenceParams } from '../types.js';

const ETHERNET_HEADER = 14;
/** Bytes of a VLAN tag. */
const VLAN_TAG = 4;

/** The state of a network device (rtnetlink), and of the bridge port or tunnel it is. */
export const link: EvidenceCollector = {
  name: 'link',
  describe:
    'A network device: up or not, MTU, kind, bridge port state, tunnel, XDP, and what it dropped during the run.',
  params: {
    device: 'device',
    index: 'its ifindex: a device of that name with another one is not it; absent: the name is enough',
    frame: 'length of a frame with its Ethernet header, bytes',
    length: 'length of an IP packet, bytes',
  },
  members: {
    exists: 'there is such a device in the namespace',
    device: 'its name',
    change:
      'what happened to it during the run: `made`, `removed`, `set up`, `set down`; empty: nothing; null: not known before',
    index: 'ifindex',
    up: 'it is set up (IFF_UP)',
    carrier: 'it has a carrier (LOWER_UP)',
    operstate: 'UP, DOWN, LOWERLAYERDOWN, UNKNOWN …',
    mtu: 'bytes',
    kind: 'tap, tun, veth, bridge, vxlan, geneve, openvswitch, dummy, physical, loopback …',
    mac: 'Ethernet address',
    master: 'device it is a port of; empty without',
    portOf: 'kind of that: bridge, bond, openvswitch, vrf; empty without',
    portState: 'disabled, listening, learning, forwarding or blocking; empty if it is not a bridge port',
    isolated: 'bridge port that may not talk to other isolated ports',
    hairpin: 'bridge port that may send back to where a packet came from',
    learning: 'bridge port that learns addresses',
    flood: 'bridge port that gets packets for unknown addresses',
    stp: 'bridge: spanning tree is on',
    vlanFiltering: 'bridge: filters by VLAN',
    nfCallIptables: 'bridge: hands its packets to iptables',
    queue: "root queueing discipline's kind",
    txqlen: 'length of its transmit queue, packets',
    rxDroppedDelta: 'received packets it dropped during the run; null when not read before',
    txDroppedDelta: 'packets to send it dropped during the run; null when not read before',
    rxErrorsDelta: 'receive errors during the run; null when not read before',
    txErrorsDelta: 'transmit errors during the run; null when not read before',
    xdp: 'an XDP program is attached',
    xdpMode: 'driver, generic or offload; empty without',
    xdpProgram: "the program's id; 0 without",
    xdpName: "the program's name; empty without, or when the tool is too old to tell",
    xdpOffCommand: 'takes the program off the device; empty without one',
    queueLengthCommand: 'sets its transmit queue (of a tap: its ring) back to the usual 1000 packets',
    queueLengthUndo: 'undoes queueLengthCommand',
    vxlanId: 'VXLAN network identifier; null if it is none',
    vxlanRemote: "tunnel's far end or group; empty without",
    vxlanPort: 'UDP port of the tunnel; null if it is none',
    lowerDevice: 'device below it (VLAN, VXLAN, macvlan); empty without',
    peerIndex: "veth: the other end's ifindex; null without",
    peerNetnsid: "veth: id of the other end's namespace as this one knows it; null when it is the same",
    tooLong: 'the frame does not fit its MTU; null without one',
    upCommand: 'sets it up',
    portUpCommand: 'lets its bridge port forward again',
    raiseMtuCommand: 'gives it an MTU that the frame fits; empty without one',
    restoreMtuCommand: 'undoes that',
  },

  async before(source, netns) {
    await source.run(LINKS, { netns, phase: 'before' });
  },

  async collect(source, params) {
    const device = deviceParam(params);
    const prefix = await commandPrefix(source, params.netns);
    const command = `${prefix}ip -s -d link show dev ${device ?? '?'}`;
    if (device === undefined) return unnamed('no device was named', command);
    const answer = await source.run(LINKS, where(params, 'after'));
    const links = answer.status === 'ok' ? parseLinks(answer.text) : undefined;
    if (!links) return unknown(whyNot(answer), command);
    const before = parseLinks(textOfAnswer(await source.run(LINKS, where(params, 'before'))) ?? '-');
    const index = numberParam(params, 'index');
    const after = links.find((one) => one.name === device && (index === undefined || one.index === index));
    if (!after) {
      const value = { exists: false, device, change: 'removed', up: false };
      return known(value, command, `${device} does not exist in this network namespace`);
    }
    return known({ ...valueOf(after, before, prefix), ...sizeOf(after, params, prefix) }, command, textOf(after));
  },
};

/** Without its mode, `xdp off` means the driver's and leaves a generic program where it is (net/core/dev.c, dev_xdp_mode). */
const XDP_OFF: Record<string, string> = { driver: 'xdpdrv', generic: 'xdpgeneric', offload: 'xdpoffload' };
/** DEFAULT_TX_QUEUE_LEN (include/net/pkt_sched.h), and TUN_READQ_SIZE twice over. */
const USUAL_QUEUE = 1000;

function valueOf(link: Link, before: Link[] | undefined, prefix: string) {
  const was = before?.find((one) => one.index === link.index);
  const flag = (name: string): boolean => link.port[name] === true;
  return {
    exists: true,
    device: link.name,
    change: before ? changeOf(was, link) : null,
    index: link.index,
    up: link.flags.includes('UP'),
    carrier: link.flags.includes('LOWER_UP'),
    operstate: link.operstate,
    mtu: link.mtu,
    kind: link.kind,
    mac: link.mac,
    master: link.master,
    portOf: link.portOf,
    portState: link.portOf === 'bridge' ? (stringIn(link.port, 'state') ?? '') : '',
    isolated: flag('isolated'),
    hairpin: flag('hairpin'),
    learning: flag('learning'),
    flood: flag('flood'),
    stp: numberIn(link.data, 'stp_state') === 1,
    vlanFiltering: numberIn(link.data, 'vlan_filtering') === 1,
    nfCallIptables: numberIn(link.data, 'nf_call_iptables') === 1,
    queue: link.qdisc,
    txqlen: link.txqlen,
    rxDroppedDelta: delta(was?.rx.dropped, link.rx.dropped),
    txDroppedDelta: delta(was?.tx.dropped, link.tx.dropped),
    rxErrorsDelta: delta(was?.rx.errors, link.rx.errors),
    txErrorsDelta: delta(was?.tx.errors, link.tx.errors),
    xdp: link.xdp !== undefined,
    xdpMode: link.xdp?.mode ?? '',
    xdpProgram: link.xdp?.id ?? 0,
    xdpName: link.xdp?.name ?? '',
    xdpOffCommand: link.xdp
      ? `${prefix}ip link set dev ${shellWord(link.name)} ${XDP_OFF[link.xdp.mode] ?? 'xdp'} off`
      : '',
    queueLengthCommand: `${prefix}ip link set dev ${shellWord(link.name)} txqueuelen ${USUAL_QUEUE}`,
    queueLengthUndo: `${prefix}ip link set dev ${shellWord(link.name)} txqueuelen ${link.txqlen}`,
    vxlanId: link.kind === 'vxlan' ? (numberIn(link.data, 'id') ?? null) : null,
    vxlanRemote: link.kind === 'vxlan' ? remoteOf(link) : '',
    vxlanPort: link.kind === 'vxlan' ? (numberIn(link.data, 'port') ?? null) : null,
    lowerDevice: stringIn(link.data, 'link') ?? '',
    peerIndex: link.kind === 'veth' ? (link.peerIndex ?? null) : null,
    peerNetnsid: link.kind === 'veth' ? (link.peerNetnsid ?? null) : null,
    upCommand: `${prefix}ip link set dev ${link.name} up`,
    portUpCommand: `${prefix}bridge link set dev ${link.name} state 3`,
  };
}

function changeOf(was: Link | undefined, link: Link): string {
  if (!was) return 'made';
  const [before, after] = [was, link].map(({ flags }) => flags.includes('UP'));
  return before === after ? '' : after ? 'set up' : 'set down';
}

/** Whether a frame fits: bridges and veth let a VLAN tag pass beyond the MTU (is_skb_forwardable, include/linux/netdevice.h). */
function sizeOf({ name, mtu }: Link, params: EvidenceParams, prefix: string) {
  const frame = numberParam(params, 'frame');
  const length = numberParam(params, 'length') ?? (frame === undefined ? undefined : frame - ETHERNET_HEADER);
  if (length === undefined) return { tooLong: null, raiseMtuCommand: '', restoreMtuCommand: '' };
  const set = (bytes: number): string => `${prefix}ip link set dev ${name} mtu ${bytes}`;
  const most = frame === undefined ? mtu : mtu + VLAN_TAG;
  return { tooLong: length > most, raiseMtuCommand: set(length), restoreMtuCommand: set(mtu) };
}

function remoteOf(link: Link): string {
  return (
    stringIn(link.data, 'remote') ??
    stringIn(link.data, 'remote6') ??
    stringIn(link.data, 'group') ??
    stringIn(link.data, 'group6') ??
    ''
  );
}

function textOf(link: Link): string {
  const parts = [`${link.name}: ${link.kind}, ${link.flags.includes('UP') ? 'up' : 'down'}`];
  if (link.operstate !== 'UNKNOWN' && link.operstate !== 'UP') parts.push(`operstate ${link.operstate}`);
  parts.push(`mtu ${link.mtu}`);
  if (link.portOf === 'bridge')
    parts.push(
      `port of ${link.master} ${String(link.port.state ?? '')}${link.port.isolated === true ? ', isolated' : ''}`,
    );
  else if (link.master) parts.push(`port of ${link.master}`);
  if (link.xdp) parts.push(`XDP program ${link.xdp.id} ${link.xdp.name} (${link.xdp.mode})`);
  if (link.kind === 'vxlan') parts.push(`VXLAN ${String(link.data.id ?? '?')} to ${remoteOf(link) || 'no remote'}`);
  return parts.join(', ');
}
