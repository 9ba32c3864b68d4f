import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';

/** Network namespaces of a test, removed afterwards with all that is in them. */
export class TestNetwork {
  readonly #names: string[] = [];

  constructor(private readonly prefix: string) {}

  /** Makes a namespace; its full name is returned. */
  add(name: string): string {
    const full = this.prefix + name;
    ip('netns', 'add', full);
    this.#names.push(full);
    ip('-n', full, 'link', 'set', 'lo', 'up');
    // Duplicate address detection and router solicitations are noise here.
    execFileSync('ip', ['netns', 'exec', full, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6']);
    return full;
  }

  /** A veth pair between two namespaces, both ends up; addresses are given to the ends that have one. */
  veth(a: [ns: string, dev: string, address?: string], b: [ns: string, dev: string, address?: string]): void {
    ip('link', 'add', a[1], 'netns', a[0], 'type', 'veth', 'peer', 'name', b[1], 'netns', b[0]);
    for (const [ns, dev, address] of [a, b]) {
      if (address) ip('-n', ns, 'addr', 'add', address, 'dev', dev);
      ip('-n', ns, 'link', 'set', dev, 'up');
    }
  }

  /** Inode number of a namespace, as records carry it. */
  inode(ns: string): number {
    return Number(statSync(`/run/netns/${ns}`).ino);
  }

  remove(): void {
    for (const name of this.#names.splice(0)) ip('netns', 'del', name);
  }
}

export function ip(...argv: string[]): void {
  execFileSync('ip', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Runs a command in a namespace; its status does not matter (a ping that must fail). Returns its output. */
export function inNamespace(ns: string, ...argv: string[]): string {
  try {
    return execFileSync('ip', ['netns', 'exec', ns, ...argv], { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const { stdout, status } = error as { stdout: string; status: number | null };
    if (status === null) throw error;
    return stdout;
  }
}
