import {
  commandPrefix,
  deviceParam,
  known,
  parseObjects,
  stringIn,
  textOfAnswer,
  textParam,
  unknown,
  unnamed,
  where,
} from '../facts.js';
import { parseAddress } from '../firewall/address-match.js';
import { crossingsOf, type Crossing } from '../l2/crossing.js';
import { commandsFor, downOn, placeOf, prefixOf, troubleOf, twinsIn } from '../l2/trouble.js';
import { shellLine } from '../shell-words.js';
import type { EvidenceCollector, EvidenceParams, EvidenceSource } from '../types.js';
import { EthernetSegment, readWiring, type WiredDevice } from '../wiring.js';

const NONE = {
  found: false,
  trouble: '',
  troubleText: '',
  neighbour: '',
  state: '',
  mac: '',
  usedMac: '',
  owner: '',
  ownerDevice: '',
  holders: 0,
  holdersText: '',
  xdp: '',
  device: '',
  netns: 0,
  inPort: '',
  bridge: '',
  portState: '',
  vlan: null as number | null,
  otherVlans: '',
  fdbPort: '',
  fdbEntry: '',
  fixCommand: '',
  undoCommand: '',
};

/**
 * The way of a frame to its neighbour through the veth pairs and bridges of this host, whichever namespaces they are in,
 * and what on it keeps the frame from getting there. Where the host ends (a tap, a wire) it is not known.
 */
export const framePath: EvidenceCollector = {
  name: 'frame-path',
  describe:
    'The way of a frame to its neighbour over the veth pairs and bridges of this host, and what keeps it from getting there.',
  params: {
    device: 'device that the packet came in by, or that it is sent from',
    outDevice: 'device that it left by; absent or empty: none',
    address: 'IP address that it is for',
    mac: 'Ethernet address that it was sent to; of the bridges on the way the tables are asked for it',
    seenDevice: 'bridge port that frames from that address come in by; absent or empty: not seen',
  },
  members: {
    found: 'where the frame has to go is known',
    trouble:
      "`down`: a device on the way; `blocked`, `isolated`, `vlan`, `fdb`: a bridge on the way; `mac`: the neighbour entry has an address that is not the neighbour's; `twin`: two machines have one Ethernet address; `duplicate`: several machines have the IP address; empty: nothing was found",
    troubleText: 'that in words; empty without',
    neighbour: 'IP address of the next hop; empty when a bridge was looked at',
    state: 'state of the neighbour entry for it; empty without one',
    mac: 'Ethernet address that the frame must have; empty when unknown',
    usedMac: 'Ethernet address that it has; empty when unknown',
    owner: 'who has that: `eth0 in web`; empty when unknown',
    ownerDevice: 'the device of that; empty when unknown',
    holders: 'how many devices that the frame can come to have the IP address',
    holdersText: 'those, with their Ethernet addresses; empty without',
    xdp: 'XDP programs on devices that the frame, or an answer to it, can come in by: `drop_all on eth0 in web`; empty without',
    device: 'device that the trouble is on; empty without',
    netns: 'inode number of its network namespace; 0 without',
    inPort: 'port that the frame enters the bridge by; empty without one',
    bridge: 'the bridge; empty without one',
    portState: 'state of the port that does not forward; empty without',
    vlan: 'VLAN that the frame is in; null without trouble of that kind',
    otherVlans: 'VLANs of the port that it has to leave by; empty without',
    fdbPort: "port that the bridge's table names; empty without trouble of that kind",
    fdbEntry: 'that entry; empty without',
    fixCommand: 'takes the trouble away; empty without',
    undoCommand: 'undoes that; empty without',
  },

  async collect(source, params) {
    const name = deviceParam(params);
    const prefix = await commandPrefix(source, params.netns);
    if (name === undefined) return unnamed('no device was named', `${prefix}bridge link show`);
    const wiring = await readWiring(source);
    const own = params.netns ?? wiring.devices.find(({ netnsName }) => netnsName === '')?.netns;
    const find = (device: string | undefined): WiredDevice | undefined =>
      wiring.devices.find((one) => one.netns === own && one.name === device);
    const came = find(name);
    if (!came) return unknown(`${name} does not exist in this network namespace`, `${prefix}ip link show dev ${name}`);
    if (came.portOf === 'bridge') return bridged(source, params, new EthernetSegment(wiring, came), find, prefix);
    const left = find(deviceParam(params, 'outDevice')) ?? came;
    return sent(source, params, new EthernetSegment(wiring, left), prefix);
  },
};

/** The frame as a bridge takes it in: where it has to go is told by its address, or by where that is heard. */
async function bridged(
  source: EvidenceSource,
  params: EvidenceParams,
  segment: EthernetSegment,
  find: (device: string | undefined) => WiredDevice | undefined,
  prefix: string,
): ReturnType<EvidenceCollector['collect']> {
  const command = `${prefix}bridge -d link show`;
  const usedMac = unicast(textParam(params, 'mac'));
  const holders = holdersOf(segment, textParam(params, 'address') ?? '');
  const byMac = segment.devices.filter(({ mac, kind }) => usedMac !== '' && mac === usedMac && kind !== 'bridge');
  const owner = byMac.length === 1 ? byMac[0] : holders.length === 1 && usedMac === '' ? holders[0] : undefined;
  const seen = find(deviceParam(params, 'seenDevice'));
  const way = owner ? segment.wayTo(owner) : [];
  const bridge = segment.bridgeOf(segment.start);
  const crossings =
    owner || !bridge || !seen || segment.bridgeOf(seen) !== bridge || seen === segment.start
      ? crossingsOf(segment, way)
      : [{ bridge, in: segment.start, out: seen }];
  const base = {
    ...NONE,
    found: crossings.length > 0,
    mac: owner?.mac ?? usedMac,
    usedMac,
    ...ownerMembers(owner, holders),
  };
  return judged(source, segment, base, way, crossings, usedMac, command);
}

/** The frame as a host sends it: to the next hop, with the address that its neighbour entry has. */
async function sent(
  source: EvidenceSource,
  params: EvidenceParams,
  segment: EthernetSegment,
  prefix: string,
): ReturnType<EvidenceCollector['collect']> {
  const dst = textParam(params, 'address') ?? '';
  if (!parseAddress(dst)) return unknown(`"${dst}" is not an IP address`, `${prefix}ip neigh show`);
  const { start } = segment;
  const neighbour = await nextHop(source, params, dst, start.name);
  const words = ['ip', 'neigh', 'show', 'to', neighbour, 'dev', start.name];
  const command = `${prefix}${shellLine(words)}`;
  const answer = await source.run(['ip', '-j', ...words.slice(1)], where(params, 'after'));
  const entry = (parseObjects(textOfAnswer(answer) ?? '') ?? [])[0];
  const state = entry && Array.isArray(entry.state) ? String(entry.state[0] ?? '') : '';
  const usedMac = unicast(entry && stringIn(entry, 'lladdr'));
  const holders = holdersOf(segment, neighbour);
  const owner = holders.length === 1 && holders[0] !== start ? holders[0] : undefined;
  const way = owner ? segment.wayTo(owner) : [];
  const xdp = programsOn([start, ...segment.devices]);
  const base = { ...NONE, xdp, found: owner !== undefined, neighbour, state, mac: owner?.mac ?? '', usedMac };
  const value = { ...base, ...ownerMembers(owner, holders) };
  const macs = new Set(holders.map(({ mac }) => mac));
  if (macs.size > 1) {
    const troubleText = `${neighbour} is the address of ${macs.size} machines: ${value.holdersText}`;
    return known(
      { ...value, trouble: 'duplicate', troubleText, device: start.name, netns: start.netns },
      command,
      troubleText,
    );
  }
  if (owner && usedMac !== '' && owner.mac !== '' && usedMac !== owner.mac) {
    const troubleText = `${neighbour} dev ${start.name} lladdr ${usedMac} ${state}, but ${placeOf(owner)} has ${owner.mac}`;
    const at = ['ip', 'neigh', 'replace', neighbour, 'dev', start.name, 'lladdr', usedMac, 'nud', state.toLowerCase()];
    const commands = {
      fixCommand: `${prefix}${shellLine(['ip', 'neigh', 'del', neighbour, 'dev', start.name])}`,
      undoCommand: `${prefix}${shellLine(at)}`,
    };
    return known(
      { ...value, ...commands, trouble: 'mac', troubleText, device: start.name, netns: start.netns },
      command,
      troubleText,
    );
  }
  return judged(source, segment, value, way, crossingsOf(segment, way), owner?.mac ?? '', command);
}

async function judged(
  source: EvidenceSource,
  segment: EthernetSegment,
  base: typeof NONE,
  way: readonly WiredDevice[],
  crossings: readonly Crossing[],
  mac: string,
  command: string,
): ReturnType<EvidenceCollector['collect']> {
  const said = way.map(placeOf).join(' → ');
  const down = downOn([...way, ...crossings.map(({ bridge }) => bridge)]);
  if (down) {
    const at = { device: down.at.name, netns: down.at.netns };
    const value = { ...base, trouble: 'down', troubleText: down.text, ...at, ...commandsFor(down) };
    return known(value, `${prefixOf(down.at)}ip link show dev ${down.at.name}`, `${down.text} (${said})`);
  }
  const twin = twinsIn(segment, [...new Set([mac, ...way.map((device) => device.mac)])]);
  if (twin) {
    const at = { device: twin.at.name, netns: twin.at.netns, mac: twin.mac ?? '' };
    const value = { ...base, trouble: 'twin', troubleText: twin.text, ...at, ...commandsFor(twin) };
    return known(value, `${prefixOf(twin.at)}ip link show dev ${twin.at.name}`, twin.text);
  }
  for (const crossing of crossings) {
    const found = await troubleOf(source, crossing, mac);
    if (!found) continue;
    const value = {
      ...base,
      trouble: found.trouble,
      troubleText: found.text,
      device: found.at.name,
      netns: found.at.netns,
      inPort: crossing.in.name,
      bridge: crossing.bridge.name,
      portState: found.state ?? '',
      vlan: found.vlan ?? null,
      otherVlans: found.otherVlans ?? '',
      fdbPort: found.fdbPort ?? '',
      fdbEntry: found.fdbEntry ?? '',
      ...commandsFor(found),
    };
    const show = { vlan: 'bridge vlan show', fdb: `bridge fdb show br ${crossing.bridge.name}` };
    const shown = found.trouble === 'vlan' || found.trouble === 'fdb' ? show[found.trouble] : 'bridge -d link show';
    return known(value, `${prefixOf(found.at)}${shown}`, found.text);
  }
  return known(
    base,
    command,
    said === '' ? 'where the frame has to go is not on this host' : `the way ${said} is open`,
  );
}

function ownerMembers(owner: WiredDevice | undefined, holders: readonly WiredDevice[]): Partial<typeof NONE> {
  return {
    owner: owner ? placeOf(owner) : '',
    ownerDevice: owner?.name ?? '',
    holders: holders.length,
    holdersText: holders.map((device) => `${placeOf(device)} (${device.mac})`).join(', '),
  };
}

function programsOn(devices: readonly WiredDevice[]): string {
  const texts = devices.flatMap((device) =>
    device.xdp ? [`${device.xdp.name || `program ${device.xdp.id}`} on ${placeOf(device)}`] : [],
  );
  return [...new Set(texts)].join(', ');
}

function holdersOf(segment: EthernetSegment, address: string): WiredDevice[] {
  const wanted = parseAddress(address)?.toString();
  if (wanted === undefined) return [];
  return segment.devices.filter((device) =>
    device.addresses.some((one) => parseAddress(one.address)?.toString() === wanted),
  );
}

/** Empty for none, and for broadcast and multicast. */
function unicast(mac: string | undefined): string {
  const text = mac?.toLowerCase() ?? '';
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(text) && (Number.parseInt(text.slice(0, 2), 16) & 1) === 0 ? text : '';
}

/** The gateway to an address that is not on the device's link, else the address itself. */
async function nextHop(
  source: EvidenceSource,
  params: EvidenceParams,
  address: string,
  device: string,
): Promise<string> {
  const answer = await source.run(['ip', '-j', 'route', 'get', address, 'oif', device], where(params, 'after'));
  const route = answer.status === 'ok' ? parseObjects(answer.text)?.[0] : undefined;
  return (route && stringIn(route, 'gateway')) ?? address;
}
