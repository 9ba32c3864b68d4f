import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { libc, need } from './libc.js';
import type { HelperWords } from './words.js';

const CLONE_NEWNET = 0x40000000;
const NET = '/proc/sys/net';
const FILES: Record<string, readonly string[]> = {
  netdev_max_backlog: [`${NET}/core/netdev_max_backlog`],
  nf_conntrack_max: [`${NET}/netfilter/nf_conntrack_max`],
  tcp_mem: [`${NET}/ipv4/tcp_mem`],
  gc_thresh3: [`${NET}/ipv4/neigh/default/gc_thresh3`, `${NET}/ipv6/neigh/default/gc_thresh3`],
};
/** A fault lasts no longer, whatever becomes of the lab. */
const MOST_MS = 120_000;

/** Faults that change the machine itself need this environment variable: a test VM's, never a host that others use. */
export const OWN_HOST = 'VDIAG_LAB_HOST';

/**
 * Sets network sysctls of the machine that no namespace has of its own, and puts them back when the lab ends this process.
 * @throws Error where the machine is not the lab's own.
 */
export function changeHost(told: HelperWords, ready: () => void): void {
  if (process.env[OWN_HOST] !== 'own') throw new Error(`this changes the whole machine: ${OWN_HOST}=own allows it`);
  const files = Object.entries(told).flatMap(([name, value]) =>
    FILES[name]!.map((file) => ({ file, value: name === 'tcp_mem' ? `${value} ${value} ${value}` : value })),
  );
  const before = files.map(({ file }) => ({ file, value: inHost(() => readFileSync(file, 'utf8').trim()) }));
  const write = (settings: readonly { file: string; value: string }[]): void =>
    inHost(() => settings.forEach(({ file, value }) => writeFileSync(file, value)));
  const restore = (): void => {
    write(before);
    process.exit(0);
  };
  process.on('SIGTERM', restore).on('SIGINT', restore);
  setTimeout(restore, MOST_MS);
  write(files);
  ready();
}

/** Does something in the machine's first network namespace, then comes back: the lab ends the processes in its own. */
function inHost<T>(act: () => T): T {
  const [own, host] = ['/proc/self/ns/net', '/proc/1/ns/net'].map((path) => openSync(path, 'r'));
  try {
    need('entering the first network namespace', libc().setns(host!, CLONE_NEWNET));
    try {
      return act();
    } finally {
      need('returning from it', libc().setns(own!, CLONE_NEWNET));
    }
  } finally {
    closeSync(own!);
    closeSync(host!);
  }
}
