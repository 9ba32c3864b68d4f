import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import ipaddr from 'ipaddr.js';
import { readValidDocument, yamlFilesBelow, type SourceDocument } from '../base/documents.js';
import { VdiagError, type Problem } from '../base/errors.js';
import { packagePath } from '../base/package-root.js';
import { didYouMean } from '../base/suggest.js';
import type { Endpoint, LinkEnd, Topology } from './types.js';

/** The ids of the topologies that ship with vdiag. */
export function topologyIds(): string[] {
  return idsBelow(packagePath('fixtures', 'topologies'));
}

/**
 * Loads a topology by its id, or from a file given by path.
 * @throws VdiagError (status 2) for an unknown id or a file with faults, each with its place.
 */
export function loadTopology(idOrFile: string): Topology {
  const document = findDocument<Omit<Topology, 'file'>>(idOrFile, 'topology');
  const topology: Topology = { ...document.value, file: document.file };
  const problems = contradictions(topology, document);
  if (problems.length > 0) throw new VdiagError(problems, 2);
  return topology;
}

/** Finds and validates a topology or fault. @throws VdiagError (status 2) with the known ids and the nearest of them. */
export function findDocument<T>(idOrFile: string, kind: 'topology' | 'fault'): SourceDocument<T> {
  if (/[/]|\.ya?ml$/.test(idOrFile)) return readValidDocument<T>(idOrFile, kind);
  const folder = packagePath('fixtures', kind === 'topology' ? 'topologies' : 'faults');
  const known = idsBelow(folder);
  if (!known.includes(idOrFile)) {
    throw new VdiagError(
      {
        message: `there is no ${kind} "${idOrFile}"`,
        expected: `one of ${known.join(', ')}`,
        hint: didYouMean(idOrFile, known),
      },
      2,
    );
  }
  return readValidDocument<T>(join(folder, `${idOrFile}.yaml`), kind);
}

/** The ids in a folder of documents: each file is named for its id. */
export function idsBelow(folder: string): string[] {
  return existsSync(folder) ? yamlFilesBelow(folder).map((file) => basename(file, '.yaml')) : [];
}

/** The endpoints of a topology with what its links say about them. */
export function endpointsOf(topology: Topology): Record<string, Endpoint> {
  return Object.fromEntries(
    Object.entries(topology.endpoints).map(([name, { in: namespace, device }]) => {
      const { addresses, port, guest } = behind(topology, namespace, device)!;
      const address = (family: 'ipv4' | 'ipv6'): string =>
        addresses.map((text) => text.split('/')[0]).find((text) => ipaddr.parse(text).kind() === family) ?? '';
      return [
        name,
        {
          name,
          namespace,
          device,
          address: address('ipv4'),
          address6: address('ipv6'),
          ...(guest && { guest }),
          port: port.name,
          portNamespace: port.in,
        },
      ];
    }),
  );
}

/** The addresses of an endpoint and the host's device in front of it: of a tap, those of the guest behind it. */
function behind(
  topology: Topology,
  namespace: string,
  device: string,
): { addresses: readonly string[]; port: { name: string; in: string }; guest?: boolean } | undefined {
  const tap = topology.taps?.find((one) => one.in === namespace && one.name === device);
  if (tap) return { addresses: tap.guest.addresses, port: tap, guest: true };
  const ends = endsOf(topology, namespace, device);
  return ends && { addresses: ends.own.addresses ?? [], port: ends.other };
}

/** What the lab's guest behind a tap must be told of itself. */
export function guestWords({ guest }: NonNullable<Topology['taps']>[number]): Record<string, string> {
  return { mac: guest.mac, addresses: guest.addresses.join(',') };
}

function endsOf(topology: Topology, namespace: string, device: string): { own: LinkEnd; other: LinkEnd } | undefined {
  for (const { ends } of topology.links) {
    for (const [own, other] of [ends, [ends[1], ends[0]]]) {
      if (own.in === namespace && own.name === device) return { own, other };
    }
  }
  return undefined;
}

/** What the schema cannot see: names that point nowhere, names used twice, addresses that are none. */
function contradictions(topology: Topology, document: SourceDocument): Problem[] {
  const problems: Problem[] = [];
  const report = (path: (string | number)[], message: string, known?: Iterable<string>, word = ''): void => {
    problems.push({
      message,
      at: document.positionOf(path),
      ...(known && { expected: `one of ${[...known].join(', ')}`, hint: didYouMean(word, known) }),
    });
  };
  const namespaces = new Set(topology.namespaces);
  const devices = new Map<string, Set<string>>(topology.namespaces.map((name) => [name, new Set(['lo'])]));
  const checkNamespace = (path: (string | number)[], name: string): void => {
    if (!namespaces.has(name)) report(path, `there is no namespace "${name}"`, namespaces, name);
  };
  const checkAddresses = (path: (string | number)[], addresses: readonly string[] = []): void => {
    addresses.forEach((text, i) => {
      if (!ipaddr.isValidCIDR(text)) report([...path, i], `"${text}" is not an address with a prefix length`);
    });
  };
  const addDevice = (path: (string | number)[], device: { in: string; name: string; addresses?: string[] }): void => {
    checkNamespace([...path, 'in'], device.in);
    checkAddresses([...path, 'addresses'], device.addresses);
    const there = devices.get(device.in);
    if (there?.has(device.name)) report([...path, 'name'], `namespace ${device.in} has two devices "${device.name}"`);
    there?.add(device.name);
  };
  topology.bridges?.forEach((bridge, i) => addDevice(['bridges', i], bridge));
  topology.links.forEach(({ ends }, i) => ends.forEach((end, j) => addDevice(['links', i, 'ends', j], end)));
  topology.wire?.ends.forEach((end, i) => addDevice(['wire', 'ends', i], end));
  topology.vxlans?.forEach((vxlan, i) => addDevice(['vxlans', i], vxlan));
  topology.taps?.forEach((tap, i) => {
    addDevice(['taps', i], tap);
    tap.guest.addresses.forEach((text, j) => {
      if (!ipaddr.isValid(text)) report(['taps', i, 'guest', 'addresses', j], `"${text}" is not an address`);
    });
  });
  const checkDevice = (path: (string | number)[], namespace: string, device: string | undefined): void => {
    const there = devices.get(namespace);
    if (device !== undefined && there && !there.has(device))
      report(path, `namespace ${namespace} has no device "${device}"`, there, device);
  };
  const checkBridge = (path: (string | number)[], namespace: string, master: string | undefined): void => {
    const bridges = (topology.bridges ?? []).filter((bridge) => bridge.in === namespace).map((bridge) => bridge.name);
    if (master !== undefined && !bridges.includes(master))
      report(path, `namespace ${namespace} has no bridge "${master}"`, bridges, master);
  };
  topology.links.forEach(({ ends }, i) =>
    ends.forEach((end, j) => checkBridge(['links', i, 'ends', j, 'master'], end.in, end.master)),
  );
  topology.taps?.forEach((tap, i) => checkBridge(['taps', i, 'master'], tap.in, tap.master));
  topology.wire?.ends.forEach((end, i) => checkBridge(['wire', 'ends', i, 'master'], end.in, end.master));
  topology.vxlans?.forEach((vxlan, i) => {
    checkBridge(['vxlans', i, 'master'], vxlan.in, vxlan.master);
    for (const key of ['local', 'remote'] as const) {
      if (!ipaddr.isValid(vxlan[key])) report(['vxlans', i, key], `"${vxlan[key]}" is not an address`);
    }
  });
  topology.switches?.forEach((one, i) => {
    addDevice(['switches', i], one);
    one.ports.forEach((port, j) => checkDevice(['switches', i, 'ports', j], one.in, port));
  });
  topology.sysctls?.forEach((sysctl, i) => checkNamespace(['sysctls', i, 'in'], sysctl.in));
  topology.qdiscs?.forEach((qdisc, i) => {
    checkNamespace(['qdiscs', i, 'in'], qdisc.in);
    checkDevice(['qdiscs', i, 'device'], qdisc.in, qdisc.device);
  });
  topology.routes?.forEach((route, i) => {
    checkNamespace(['routes', i, 'in'], route.in);
    checkDevice(['routes', i, 'device'], route.in, route.device);
    if (route.to !== 'default' && !ipaddr.isValidCIDR(route.to))
      report(['routes', i, 'to'], `"${route.to}" is not a prefix`);
    if (route.via !== undefined && !ipaddr.isValid(route.via))
      report(['routes', i, 'via'], `"${route.via}" is not an address`);
  });
  checkNamespace(['host'], topology.host);
  for (const [name, endpoint] of Object.entries(topology.endpoints)) {
    checkNamespace(['endpoints', name, 'in'], endpoint.in);
    if (!behind(topology, endpoint.in, endpoint.device))
      report(
        ['endpoints', name, 'device'],
        `no link or tap has an end "${endpoint.device}" in namespace ${endpoint.in}`,
      );
  }
  return problems;
}
