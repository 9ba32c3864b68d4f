import { type ChildProcess, spawn } from 'node:child_process';

/** Closing links from several processes at once takes half the time: some of the waiting for grace periods goes on in parallel. */
const KEEPERS = 4;
/** Fewer links than this are not worth another process. */
const LINKS_PER_KEEPER = 16;

/**
 * Takes links away without making anyone wait. A kprobe takes the kernel up to 0.1 s to remove, and the process that has
 * the last descriptor of its link waits for it, even when it is killed. So a small process holds a second descriptor of
 * each link, waits for this process to end or to let go, and then is the one that the kernel keeps waiting.
 */
export class LinkKeeper {
  readonly #keepers: ChildProcess[] = [];

  /** Has these links kept, beside this process itself. Without a shell on this host nothing is kept, and nothing lost. */
  keep(links: readonly number[]): void {
    if (links.length === 0) return;
    const count = Math.min(KEEPERS, Math.ceil(links.length / LINKS_PER_KEEPER));
    const share = Math.ceil(links.length / count);
    for (let from = 0; from < links.length; from += share) this.#start(links.slice(from, from + share));
  }

  /** Lets go of the links, which are then removed by and by. Does not wait. */
  release(): void {
    for (const keeper of this.#keepers.splice(0)) keeper.stdin?.destroy();
  }

  #start(links: readonly number[]): void {
    // `read` ends with the pipe, that is with this process; a session of its own keeps Ctrl-C away from it.
    const keeper = spawn('/bin/sh', ['-c', 'read -r end', 'vdiag-links'], {
      stdio: ['pipe', 'ignore', 'ignore', ...links],
      detached: true,
      cwd: '/',
      env: {},
    });
    // Not started: this process then closes its links itself.
    keeper.on('error', () => undefined);
    if (keeper.pid === undefined) return;
    keeper.unref();
    (keeper.stdin as { unref?: () => void } | null)?.unref?.();
    this.#keepers.push(keeper);
  }
}
