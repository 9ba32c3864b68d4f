import { closeSync, openSync, writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

let setnsShared: ((fd: number, kind: number) => number) | undefined;

function setns(fd: number): number {
  setnsShared ??= koffi.load(null).func('int setns(int fd, int kind)') as (fd: number, kind: number) => number;
  return setnsShared(fd, CLONE_NEWNET);
}

/**
 * Does something in another network namespace, on the main thread and without waiting for anybody: no other code of this
 * process runs meanwhile. /proc/net is that of the process' first thread (fs/proc/proc_net.c get_proc_task_net),
 * /proc/sys/net that of the thread that asks, so this thread sees both.
 * @param fd open handle on the namespace
 * @throws Error off the main thread, or where it may not (it takes CAP_SYS_ADMIN); whatever `work` throws
 */
export function inNetworkNamespace<T>(fd: number, work: () => T): T {
  if (!isMainThread) throw new Error('only the main thread enters network namespaces');
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    if (setns(fd) !== 0) throw new Error(`cannot enter the network namespace: ${getSystemErrorName(-koffi.errno())}`);
    try {
      return work();
    } finally {
      // Whoever cannot come back would read, and attach, in the wrong place.
      if (setns(home) !== 0) {
        writeSync(2, 'vdiag: cannot return to its own network namespace\n');
        process.exit(3);
      }
    }
  } finally {
    closeSync(home);
  }
}
