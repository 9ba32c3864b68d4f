import ipaddr from 'ipaddr.js';
import { VdiagError } from '../base/errors.js';
import { printable } from '../base/sanitize.js';
import { didYouMean } from '../base/suggest.js';
import { MAX_FILTER_ENTRIES } from '../bpf/filter.js';
import type { TraceFilter } from '../capture/types.js';
import { readHolders } from '../evidence/holders.js';
import { type Link, LINKS, parseLinks } from '../evidence/parsers/links.js';
import type { TapHolder } from '../evidence/tap-holders.js';
import type { EvidenceSource } from '../evidence/types.js';
import type { HostDevice } from '../paths/host-devices.js';
import type { FirstEnd } from '../paths/pair.js';
import { readDomains } from './libvirt-domains.js';
import { hostNamespaces } from './namespaces.js';
import type { Scenario } from './types.js';

/** What a run needs to know of its ends before it begins: plain data. */
export interface Endpoints {
  filter: Pick<TraceFilter, 'src' | 'dst' | 'ifindex'>;
  /** Threads that read the taps concerned, or take packets in: their waits for a CPU are measured. */
  watchTids: number[];
  /** How many more there are of them, beyond what is watched. */
  threadsNotWatched: number;
  /** Devices of all namespaces, with their readers. */
  devices: HostDevice[];
  /** Which end is `a` of its pair. */
  first?: FirstEnd;
}

/** One end as it was asked for: an address or prefix, or the devices of a guest. */
type End = { address: string } | { devices: HostDevice[] };

/** Kinds of device behind which a guest is. */
const GUEST_KINDS = ['tap', 'macvtap'];
/** As many as the analysis keeps (SchedWaits). */
const MAX_WATCHED = 256;

/**
 * Finds what `--src`, `--dst` and `--dev` mean on this host, and who reads its taps.
 * @param ends an address, a prefix, a device or a libvirt domain each
 * @param devices only packets that are first seen on these
 * @param namespaces inode numbers of the namespaces to look for devices in; default: those of the host
 * @throws VdiagError (2) for an end or a device that is none, or when a scenario of virtual machines finds none
 */
export async function resolveEndpoints(
  scenario: Pick<Scenario, 'endpoints' | 'id'>,
  ends: { src?: string; dst?: string },
  devices: readonly string[],
  source: EvidenceSource,
  namespaces: readonly number[] = hostNamespaces(),
): Promise<Endpoints> {
  const all = await hostDevices(source, namespaces);
  const src = ends.src === undefined ? undefined : await endOf('--src', ends.src, all, source);
  const dst = ends.dst === undefined ? undefined : await endOf('--dst', ends.dst, all, source);
  const named = devices.flatMap((name) => devicesNamed('--dev', name, all));
  const concerned = [...devicesOf(src), ...devicesOf(dst), ...named];
  const first = firstEnd(src);
  const threads = await threadsOf(concerned.length > 0 ? concerned : all, source);
  return {
    filter: filterOf(scenario, src, dst, named, all),
    watchTids: threads.slice(0, MAX_WATCHED),
    threadsNotWatched: Math.max(0, threads.length - MAX_WATCHED),
    devices: all,
    ...(first && { first }),
  };
}

/** The devices of some namespaces, with who holds their taps. What cannot be read is left out: it is only not known. */
export async function hostDevices(source: EvidenceSource, namespaces: readonly number[]): Promise<HostDevice[]> {
  const holders = (await readHolders(source, 'before')).holders?.holders ?? [];
  const lists = await Promise.all(
    namespaces.map(async (netns) => {
      const answer = await source.run(LINKS, { netns, phase: 'before' });
      const links = answer.status === 'ok' ? (parseLinks(answer.text) ?? []) : [];
      return links.map((link) => deviceOf(link, links, netns, holders));
    }),
  );
  return lists.flat();
}

function deviceOf(link: Link, links: Link[], netns: number, holders: readonly TapHolder[]): HostDevice {
  const master = links.find((other) => other.name === link.master);
  const masterKind = link.portOf || master?.kind;
  const own = ['tap', 'tun', 'macvtap'].includes(link.kind)
    ? holders.filter((holder) => holder.devices.includes(link.name))
    : [];
  const guest = own.find((holder) => holder.guest)?.guest;
  return {
    ...{ netns, ifindex: link.index, name: printable(link.name), kind: link.kind },
    ...(link.master !== '' && { master: printable(link.master) }),
    ...(masterKind && { masterKind }),
    ...(guest !== undefined && { guest }),
    ...(own.length > 0 && {
      consumer: {
        pid: own[0].pid,
        comm: own[0].comm,
        tids: own.flatMap((holder) => holder.threads.map((thread) => thread.tid)),
      },
    }),
  };
}

async function endOf(flag: string, text: string, all: readonly HostDevice[], source: EvidenceSource): Promise<End> {
  const address = addressOf(text);
  if (address !== undefined) return { address };
  const devices = all.filter((device) => device.name === text);
  if (devices.length > 0) return { devices };
  const guest = all.filter((device) => device.guest === text);
  if (guest.length > 0) return { devices: guest };
  const domains = await readDomains(source);
  const domain = domains.find(({ name }) => name === text);
  const ports = domain ? all.filter((device) => domain.devices.includes(device.name)) : [];
  if (ports.length > 0) return { devices: ports.map((device) => ({ ...device, guest: text })) };
  throw noSuchEnd(flag, text, [...names(all), ...domains.map(({ name }) => name)]);
}

/** An address or prefix as the filter takes it; undefined when the text is neither. */
function addressOf(text: string): string | undefined {
  if (ipaddr.isValidCIDR(text)) return text;
  // ipaddr.js takes `10.1` and `4711` for addresses, too: a device may well be called so.
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text) ? text : undefined;
}

function devicesNamed(flag: string, name: string, all: readonly HostDevice[]): HostDevice[] {
  const found = all.filter((device) => device.name === name);
  if (found.length === 0) throw noSuchEnd(flag, name, names(all), 'a network device (ip link)');
  return found;
}

function noSuchEnd(
  flag: string,
  text: string,
  known: string[],
  expected = 'an address, a prefix, a device or a libvirt domain of this host',
): VdiagError {
  return new VdiagError(
    { message: `${flag} ${printable(text)}: not known here`, expected, hint: didYouMean(text, known) },
    2,
  );
}

const names = (devices: readonly HostDevice[]): string[] =>
  devices.flatMap(({ name, guest }) => (guest === undefined ? [name] : [name, guest]));

const devicesOf = (end: End | undefined): HostDevice[] => (end && 'devices' in end ? end.devices : []);

function firstEnd(src: End | undefined): FirstEnd | undefined {
  if (!src) return undefined;
  if ('devices' in src) return { addresses: [], devices: [...new Set(src.devices.map(({ name }) => name))] };
  // A prefix is no one's address: then whoever sends first is a.
  return src.address.includes('/') ? undefined : { addresses: [ipaddr.parse(src.address).toString()], devices: [] };
}

function filterOf(
  scenario: Pick<Scenario, 'endpoints' | 'id'>,
  src: End | undefined,
  dst: End | undefined,
  named: readonly HostDevice[],
  all: readonly HostDevice[],
): Endpoints['filter'] {
  const addresses = {
    ...(src && 'address' in src && { src: src.address }),
    ...(dst && 'address' in dst && { dst: dst.address }),
  };
  if (named.length > 0) return { ...addresses, ifindex: indices(named) };
  const ends = [...devicesOf(src), ...devicesOf(dst)];
  if (Object.keys(addresses).length > 0) return addresses;
  if (ends.length > 0) return within(src && dst ? ends : withNeighbours(ends, all));
  if (scenario.endpoints !== 'virtual-machines') return {};
  const taps = all.filter(({ kind }) => GUEST_KINDS.includes(kind));
  const guests = taps.length > 0 ? taps : all.filter(({ kind }) => kind === 'veth');
  if (guests.length > 0) return within(guests);
  throw new VdiagError(
    {
      message: `${scenario.id} found no virtual machine: this host has no tap, macvtap or veth device`,
      hint: 'name the two ends with --src and --dst (addresses or devices), or try it in a lab: vdiag lab list',
    },
    2,
  );
}

/** With one end named by its device, its packets come from any other port of the same bridge. */
function withNeighbours(ends: readonly HostDevice[], all: readonly HostDevice[]): HostDevice[] {
  const ports = all.filter((device) =>
    ends.some((end) => end.master !== undefined && end.master === device.master && end.netns === device.netns),
  );
  return [...ends, ...ports];
}

/** The kernel side compares with a few devices; beyond, everything is traced and told apart afterwards. */
function within(devices: readonly HostDevice[]): Endpoints['filter'] {
  const list = indices(devices);
  return list.length <= MAX_FILTER_ENTRIES ? { ifindex: list } : {};
}

const indices = (devices: readonly HostDevice[]): number[] => [...new Set(devices.map(({ ifindex }) => ifindex))];

/** The readers first: they are few, and of the threads that take packets in a large host has one for each CPU. */
async function threadsOf(devices: readonly HostDevice[], source: EvidenceSource): Promise<number[]> {
  const readers = devices.flatMap(({ consumer }) => consumer?.tids ?? []);
  const softirqs = (await readHolders(source, 'before')).holders?.softirqs ?? [];
  return [...new Set([...readers, ...softirqs.map(({ pid }) => pid)])];
}
