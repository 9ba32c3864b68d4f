import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A program of the host that evidence is read with. */
export interface HostTool {
  name: string;
  /** Its absolute path; absent: not installed. */
  path?: string;
  /** What a diagnosis cannot establish without it. */
  hides: string;
  /** Command that installs it, for this distribution; absent when that is not known. */
  install?: string;
}

/** Packages by family of distributions. */
interface ToolPackages {
  name: string;
  hides: string;
  debian: string;
  fedora: string;
  suse: string;
  arch: string;
  alpine: string;
}

const TOOLS: readonly ToolPackages[] = [
  {
    name: 'ip',
    hides: 'links, addresses, routes, neighbours',
    debian: 'iproute2',
    fedora: 'iproute',
    suse: 'iproute2',
    arch: 'iproute2',
    alpine: 'iproute2',
  },
  {
    name: 'tc',
    hides: 'queueing disciplines, their rates, drops and backlogs',
    debian: 'iproute2',
    fedora: 'iproute-tc',
    suse: 'iproute2',
    arch: 'iproute2',
    alpine: 'iproute2-tc',
  },
  {
    name: 'ss',
    hides: 'sockets, their queues and owners',
    debian: 'iproute2',
    fedora: 'iproute',
    suse: 'iproute2',
    arch: 'iproute2',
    alpine: 'iproute2-ss',
  },
  {
    name: 'bridge',
    hides: 'states of bridge ports and their forwarding tables',
    debian: 'iproute2',
    fedora: 'iproute',
    suse: 'iproute2',
    arch: 'iproute2',
    alpine: 'iproute2',
  },
  {
    name: 'nft',
    hides: 'nftables rules and their counters',
    debian: 'nftables',
    fedora: 'nftables',
    suse: 'nftables',
    arch: 'nftables',
    alpine: 'nftables',
  },
  {
    name: 'iptables-save',
    hides: 'iptables rules and their counters',
    debian: 'iptables',
    fedora: 'iptables-nft',
    suse: 'iptables',
    arch: 'iptables',
    alpine: 'iptables',
  },
  {
    name: 'ethtool',
    hides: 'driver counters, offloads, ring sizes',
    debian: 'ethtool',
    fedora: 'ethtool',
    suse: 'ethtool',
    arch: 'ethtool',
    alpine: 'ethtool',
  },
  {
    name: 'conntrack',
    hides: 'entries and losses of connection tracking',
    debian: 'conntrack',
    fedora: 'conntrack-tools',
    suse: 'conntrack-tools',
    arch: 'conntrack-tools',
    alpine: 'conntrack-tools',
  },
];

type Family = Exclude<keyof ToolPackages, 'name' | 'hides'>;

const INSTALL: Record<Family, string> = {
  debian: 'apt-get install',
  fedora: 'dnf install',
  suse: 'zypper install',
  arch: 'pacman -S',
  alpine: 'apk add',
};

const FAMILY_OF_ID: Record<string, Family> = {
  debian: 'debian',
  ubuntu: 'debian',
  fedora: 'fedora',
  rhel: 'fedora',
  centos: 'fedora',
  openeuler: 'fedora',
  anolis: 'fedora',
  suse: 'suse',
  opensuse: 'suse',
  arch: 'arch',
  alpine: 'alpine',
};

/** Folders of tools that a service's or a sudo user's PATH often lacks. */
const USUAL_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * Which tools for evidence are installed. Looks for files only; runs nothing.
 * @param folders where to look; the PATH and the usual folders when absent
 * @param osRelease text of /etc/os-release; read when absent
 */
export function hostTools(folders: readonly string[] = searchPath(), osRelease: string = readOsRelease()): HostTool[] {
  const family = familyOf(osRelease);
  return TOOLS.map((tool) => {
    const path = folders.map((folder) => join(folder, tool.name)).find(isExecutable);
    return {
      name: tool.name,
      hides: tool.hides,
      ...(path !== undefined && { path }),
      ...(family && { install: `${INSTALL[family]} ${tool[family]}` }),
    };
  });
}

function searchPath(): string[] {
  const path = (process.env.PATH ?? '').split(':').filter((folder) => folder.startsWith('/'));
  return [...new Set([...path, ...USUAL_FOLDERS])];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for this user: the next folder may have it.
    return false;
  }
}

function readOsRelease(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    // No such file on a minimal system: packages are then not named.
    return '';
  }
}

/** Family by ID, else by the ones that ID_LIKE names (os-release(5)). */
function familyOf(osRelease: string): Family | undefined {
  const value = (key: string): string =>
    new RegExp(`^${key}=["']?([^"'\\n]*)`, 'm').exec(osRelease)?.[1].toLowerCase() ?? '';
  const ids = [value('ID'), ...value('ID_LIKE').split(/\s+/)];
  return ids.map((id) => FAMILY_OF_ID[id.replace(/-.*$/, '')]).find((family) => family !== undefined);
}
