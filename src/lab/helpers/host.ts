import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { libc, need } from './libc.js';
import type { HelperWords } from './words.js';

const CLONE_NEWNET = 0x40000000;
const FILES: Record<string, string> = {
  netdev_max_backlog: '/proc/sys/net/core/netdev_max_backlog',
  nf_conntrack_max: '/proc/sys/net/netfilter/nf_conntrack_max',
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
  const before = Object.fromEntries(Object.keys(told).map((name) => [name, inHost(() => read(name))]));
  const restore = (): void => {
    for (const [name, value] of Object.entries(before)) inHost(() => writeFileSync(FILES[name], value));
    process.exit(0);
  };
  process.on('SIGTERM', restore).on('SIGINT', restore);
  setTimeout(restore, MOST_MS);
  for (const [name, value] of Object.entries(told)) inHost(() => writeFileSync(FILES[name], value));
  ready();
}

function read(name: string): string {
  return readFileSync(FILES[name], 'utf8').trim();
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
