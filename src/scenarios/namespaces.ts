import { readdirSync, statSync } from 'node:fs';
import { VdiagError } from '../base/errors.js';
import { didYouMean } from '../base/suggest.js';

/** Namespaces whose counters are read before the traffic, at most: each costs a few short-lived tools. */
const MAX_NAMESPACES = 32;

/** Inode number of vdiag's own network namespace. */
export function ownNetns(): number {
  return statSync('/proc/self/ns/net').ino;
}

/** The network namespaces of this host, by inode: vdiag's own first, named ones, then those that only processes hold. */
export function hostNamespaces(limit = MAX_NAMESPACES): number[] {
  const found = new Set([ownNetns()]);
  for (const name of entries('/run/netns')) add(`/run/netns/${name}`);
  for (const pid of entries('/proc')) if (/^\d+$/.test(pid)) add(`/proc/${pid}/ns/net`);
  return [...found].slice(0, limit);

  function add(path: string): void {
    const inode = inodeOf(path);
    if (inode !== undefined) found.add(inode);
  }
}

/** The inode of a namespace given as a name (`ip netns`), a path or a pid. @throws VdiagError (2) if there is none. */
export function namespaceInode(text: string): number {
  const path = /^\d+$/.test(text) ? `/proc/${text}/ns/net` : text.includes('/') ? text : `/run/netns/${text}`;
  const inode = inodeOf(path);
  if (inode !== undefined) return inode;
  throw new VdiagError(
    {
      message: `there is no network namespace "${text}"`,
      expected: 'a name (ip netns list), a path or a pid',
      hint: didYouMean(text, entries('/run/netns')),
    },
    2,
  );
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    // Not there: no named namespaces on this host.
    return [];
  }
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    // A process that has ended, or a name that was never one.
    return undefined;
  }
}
