import { open, readdir, readlink, stat, type FileHandle } from 'node:fs/promises';

/** A way into a network namespace, as the host names it. */
export interface NetnsDoor {
  /** `/run/netns/web` or `/proc/4711/ns/net`. */
  path: string;
  /** Name of a named namespace (`ip netns`). */
  name?: string;
  /** A process that lives in it, when it has no name. */
  pid?: number;
}

/** Folders in which named namespaces are bind-mounted: iproute2's and docker's. */
const NAMED = ['/run/netns', '/run/docker/netns'];

/** Inode number of vdiag's own network namespace. */
export async function ownNetnsInode(): Promise<number> {
  return (await stat('/proc/self/ns/net')).ino;
}

/**
 * Finds a named namespace or, failing that, a process with that network namespace.
 * A name is preferred: it stays when a process ends, and it is what a user types.
 */
export async function findNetns(inode: number): Promise<NetnsDoor | undefined> {
  for (const folder of NAMED) {
    for (const name of await namesIn(folder)) {
      const path = `${folder}/${name}`;
      if ((await inodeOf(path)) === inode) return folder === '/run/netns' ? { path, name } : { path };
    }
  }
  const wanted = `net:[${inode}]`;
  for (const pid of await namesIn('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const path = `/proc/${pid}/ns/net`;
    if ((await linkOf(path)) === wanted) return { path, pid: Number(pid) };
  }
  return undefined;
}

/**
 * Opens a door and makes sure that it still leads to that namespace (a pid may have been used again).
 * The caller closes the handle as soon as it is inside: an open handle keeps a dead namespace alive.
 */
export async function openNetns(door: NetnsDoor, inode: number): Promise<FileHandle | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(door.path, 'r');
    if ((await handle.stat()).ino === inode) return handle;
  } catch {
    // Gone between finding and opening: the caller looks again or reports it as gone.
  }
  await handle?.close();
  return undefined;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    return [];
  }
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch {
    return undefined;
  }
}

async function linkOf(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch {
    return undefined;
  }
}

/** A network namespace of the host, with a way to name it. */
export interface ListedNetns {
  inode: number;
  name?: string;
  pid?: number;
  /** It is vdiag's own. */
  own?: true;
}

/** The network namespaces of the host, named ones first, at most `most` of them; `left` counts the others. */
export async function listNetns(most: number): Promise<{ namespaces: ListedNetns[]; left: number }> {
  const own = await ownNetnsInode();
  const found = new Map<number, ListedNetns>([[own, { inode: own, own: true }]]);
  for (const name of await namesIn('/run/netns')) {
    const inode = await inodeOf(`/run/netns/${name}`);
    if (inode !== undefined && !found.has(inode)) found.set(inode, { inode, name });
  }
  for (const pid of await namesIn('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const inode = Number(/^net:\[(\d+)\]$/.exec((await linkOf(`/proc/${pid}/ns/net`)) ?? '')?.[1]);
    if (inode > 0 && !found.has(inode)) found.set(inode, { inode, pid: Number(pid) });
  }
  const all = [...found.values()];
  return { namespaces: all.slice(0, most), left: Math.max(0, all.length - most) };
}
