import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the host's tools are looked for; the caller's PATH is not trusted by a program that runs as root. */
export const TOOL_PATH = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin'];

/** Packages that carry each tool: Debian's name, and Fedora's where it differs. */
const PACKAGES: Record<string, string> = {
  ip: 'iproute2 (Fedora: iproute)',
  tc: 'iproute2 (Fedora: iproute-tc)',
  ss: 'iproute2 (Fedora: iproute)',
  bridge: 'iproute2 (Fedora: iproute)',
  nft: 'nftables',
  'iptables-save': 'iptables',
  'ip6tables-save': 'iptables',
  'iptables-legacy-save': 'iptables (Fedora: iptables-legacy)',
  'ip6tables-legacy-save': 'iptables (Fedora: iptables-legacy)',
  'iptables-nft-save': 'iptables (Fedora: iptables-nft)',
  'ip6tables-nft-save': 'iptables (Fedora: iptables-nft)',
  ebtables: 'ebtables',
  'ebtables-nft': 'iptables (Fedora: iptables-nft)',
  'ebtables-legacy': 'ebtables',
  conntrack: 'conntrack (Fedora: conntrack-tools)',
  ethtool: 'ethtool',
  'ovs-dpctl': 'openvswitch-switch (Fedora: openvswitch)',
};

/** The tools that evidence may run; anything else is refused, whatever a parameter says. */
export const KNOWN_TOOLS: ReadonlySet<string> = new Set(Object.keys(PACKAGES));

const found = new Map<string, string>();

/** Absolute path of a tool below {@link TOOL_PATH}, or undefined if it is not installed. */
export async function findTool(name: string): Promise<string | undefined> {
  const known = found.get(name);
  if (known) return known;
  for (const folder of TOOL_PATH) {
    const path = join(folder, name);
    try {
      await access(path, constants.X_OK);
      found.set(name, path);
      return path;
    } catch {
      // Not in this folder: the next one is tried.
    }
  }
  return undefined;
}

/** `tc is not installed (package iproute2 (Fedora: iproute-tc))`. */
export function missingTool(name: string): string {
  const carrier = PACKAGES[name];
  return `${name} is not installed${carrier ? `; install the package ${carrier}` : ''}`;
}
