import { isObject, numberIn, parseObject, parseObjects, stringIn, textOfAnswer } from './facts.js';
import { parseLinks, type Link } from './parsers/links.js';
import type { EvidenceSource } from './types.js';

/** A device of this host, in whichever network namespace, and what it is wired to. */
export interface WiredDevice extends Link {
  netns: number;
  /** As `ip netns` or a process names it: `web`, `pid 4711`; empty for vdiag's own. */
  netnsName: string;
  /** Inode of the namespace that its other end (veth) is in; absent: its own, or not known. */
  peerNetns?: number;
  addresses: { address: string; prefix: number }[];
}

/** The devices of all network namespaces of the host that could be read. */
export interface Wiring {
  devices: WiredDevice[];
  /** Namespaces that were left out: too many of them, or gone. */
  unread: number;
}

/** A step of a frame's way: the device that it comes to, and the one that it comes from. */
interface Step {
  device: WiredDevice;
  from?: Step;
}

/** With `-d` it tells bridge ports and tunnels too. */
const DEVICES = ['ip', '-j', '-s', '-d', 'address', 'show'];

/** Reads the devices of every network namespace of the host, for ways that cross namespaces. */
export async function readWiring(source: EvidenceSource): Promise<Wiring> {
  const answer = parseObject(textOfAnswer(await source.run(['vdiag:namespaces'], { phase: 'after' })) ?? '');
  const listed = Array.isArray(answer.namespaces) ? answer.namespaces.filter(isObject) : [];
  const inodes = new Map<string, number>();
  for (const one of listed) {
    const [name, inode] = [stringIn(one, 'name'), numberIn(one, 'inode')];
    if (name !== undefined && inode !== undefined) inodes.set(name, inode);
  }
  const read = await Promise.all(listed.map((one) => readNamespace(source, one, inodes)));
  return {
    devices: read.flatMap((devices) => devices ?? []),
    unread: read.filter((devices) => devices === undefined).length + (numberIn(answer, 'left') ?? 0),
  };
}

async function readNamespace(
  source: EvidenceSource,
  listed: Record<string, unknown>,
  inodes: ReadonlyMap<string, number>,
): Promise<WiredDevice[] | undefined> {
  const netns = numberIn(listed, 'inode');
  if (netns === undefined) return undefined;
  const name = stringIn(listed, 'name');
  const pid = numberIn(listed, 'pid');
  const netnsName = name ?? (pid === undefined ? '' : `pid ${pid}`);
  const at = listed.own === true ? ({ phase: 'after' } as const) : ({ netns, phase: 'after' } as const);
  const [answer, ids] = await Promise.all([source.run(DEVICES, at), source.run(['ip', '-j', 'netns', 'list-id'], at)]);
  const text = textOfAnswer(answer);
  const links = text === undefined ? undefined : parseLinks(text);
  if (!links) return undefined;
  const addresses = new Map(
    (parseObjects(text ?? '') ?? []).map((one) => [numberIn(one, 'ifindex'), addressesOf(one)]),
  );
  const named = new Map<number, number>();
  for (const one of parseObjects(textOfAnswer(ids) ?? '') ?? []) {
    const [id, inode] = [numberIn(one, 'nsid'), inodes.get(stringIn(one, 'name') ?? '')];
    if (id !== undefined && inode !== undefined) named.set(id, inode);
  }
  return links.map((link) => {
    const peerNetns = link.peerNetnsid === undefined ? undefined : named.get(link.peerNetnsid);
    return {
      ...link,
      netns,
      netnsName,
      ...(peerNetns !== undefined && { peerNetns }),
      addresses: addresses.get(link.index) ?? [],
    };
  });
}

function addressesOf(object: Record<string, unknown>): { address: string; prefix: number }[] {
  const list = Array.isArray(object.addr_info) ? object.addr_info.filter(isObject) : [];
  return list.flatMap((one) => {
    const [address, prefix] = [stringIn(one, 'local'), numberIn(one, 'prefixlen')];
    return address === undefined || prefix === undefined ? [] : [{ address, prefix }];
  });
}

/** The other end of a veth pair; undefined when it is not known for certain. */
export function peerOf({ devices }: Wiring, device: WiredDevice): WiredDevice | undefined {
  if (device.kind !== 'veth' || device.peerIndex === undefined) return undefined;
  const away = device.peerNetnsid !== undefined;
  const found = devices.filter(
    (one) =>
      one.kind === 'veth' &&
      one.index === device.peerIndex &&
      one.peerIndex === device.index &&
      (away ? one.netns !== device.netns : one.netns === device.netns) &&
      (device.peerNetns === undefined || !away || one.netns === device.peerNetns) &&
      (one.peerNetns === undefined || one.peerNetns === device.netns),
  );
  return found.length === 1 ? found[0] : undefined;
}

/**
 * The devices that a frame from one device can come to without being routed: over veth pairs and Linux bridges, each with
 * the way there. It ends where this host does: at physical devices, tunnels and taps.
 */
export class EthernetSegment {
  private readonly steps = new Map<WiredDevice, Step>();

  constructor(
    private readonly wiring: Wiring,
    readonly start: WiredDevice,
  ) {
    const queue: Step[] = [];
    const visit = (device: WiredDevice | undefined, from?: Step): void => {
      if (!device || this.steps.has(device)) return;
      const step = { device, ...(from && { from }) };
      this.steps.set(device, step);
      queue.push(step);
    };
    visit(start);
    for (let step = queue.shift(); step; step = queue.shift()) {
      const { device } = step;
      visit(peerOf(wiring, device), step);
      const bridge = device.kind === 'bridge' ? device : this.bridgeOf(device);
      if (!bridge) continue;
      visit(bridge, step);
      for (const port of this.portsOf(bridge)) visit(port, step);
    }
  }

  get devices(): WiredDevice[] {
    return [...this.steps.keys()];
  }

  bridgeOf({ netns, portOf, master }: WiredDevice): WiredDevice | undefined {
    if (portOf !== 'bridge') return undefined;
    return this.wiring.devices.find((one) => one.netns === netns && one.kind === 'bridge' && one.name === master);
  }

  portsOf({ netns, name }: WiredDevice): WiredDevice[] {
    return this.wiring.devices.filter((one) => one.netns === netns && one.portOf === 'bridge' && one.master === name);
  }

  /** The devices from the start to this one, both included; a bridge is crossed from port to port. */
  wayTo(device: WiredDevice): WiredDevice[] {
    const way: WiredDevice[] = [];
    for (let step = this.steps.get(device); step; step = step.from) way.unshift(step.device);
    return way;
  }
}
