import { existsSync, writeFileSync } from 'node:fs';
import koffi from 'koffi';
import { getSystemErrorName } from 'node:util';

/** The calls of the C library that Node.js does not have; each result is checked by {@link need}. */
interface Libc {
  open(path: string, flags: number): number;
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  read(fd: number, to: Uint8Array, length: number): number;
  write(fd: number, from: Uint8Array, length: number): number;
  poll(fds: Uint8Array, count: number, timeoutMs: number): number;
  setns(fd: number, kind: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  setpriority(which: number, who: number, nice: number): number;
  sched_setaffinity(pid: number, size: number, mask: Uint8Array): number;
  sched_setscheduler(pid: number, policy: number, parameters: Uint8Array): number;
}

const SCHED_FIFO = 1;
const FIFO_PRIORITY = 10;
const AFFINITY_BYTES = 128;
const AUTOGROUP = '/proc/self/autogroup';

let bound: Libc | undefined;

export function libc(): Libc {
  if (bound) return bound;
  const library = koffi.load(null);
  const bind = <F>(signature: string): F => library.func(signature) as F;
  return (bound = {
    open: bind('int open(const char *path, int flags)'),
    ioctl: bind('int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)'),
    read: bind('long read(int fd, _Out_ uint8_t *to, size_t length)'),
    write: bind('long write(int fd, const uint8_t *from, size_t length)'),
    poll: bind('int poll(_Inout_ uint8_t *fds, unsigned long count, int timeout)'),
    setns: bind('int setns(int fd, int kind)'),
    setsockopt: bind('int setsockopt(int fd, int level, int name, const uint8_t *value, unsigned int length)'),
    setpriority: bind('int setpriority(int which, unsigned int who, int nice)'),
    sched_setaffinity: bind('int sched_setaffinity(int pid, size_t size, const uint8_t *mask)'),
    sched_setscheduler: bind('int sched_setscheduler(int pid, int policy, const uint8_t *parameters)'),
  });
}

/** The result of a call that must succeed. @throws Error naming what failed and the error number. */
export function need(what: string, result: number): number {
  if (result < 0) throw new Error(`${what}: ${getSystemErrorName(-koffi.errno())}`);
  return result;
}

/** Where and how this process, and the threads that it starts from now on, may run. */
export function runAs(told: Record<string, string | undefined>): void {
  runThreadAs(0, told);
  // Where sessions are groups of the scheduler's (CONFIG_SCHED_AUTOGROUP), nice counts within this one alone.
  if (told.nice !== undefined && existsSync(AUTOGROUP)) writeFileSync(AUTOGROUP, told.nice);
}

/** Where and how another thread may run; 0 is this one. */
export function runThreadAs(tid: number, { cpu, nice, policy }: Record<string, string | undefined>): void {
  const { setpriority, sched_setaffinity, sched_setscheduler } = libc();
  if (cpu !== undefined) {
    const mask = new Uint8Array(AFFINITY_BYTES);
    mask[Number(cpu) >> 3] = 1 << (Number(cpu) & 7);
    need(`running on CPU ${cpu}`, sched_setaffinity(tid, AFFINITY_BYTES, mask));
  }
  if (nice !== undefined) need(`nice ${nice}`, setpriority(0, tid, Number(nice)));
  if (policy === 'fifo') {
    need('real-time priority', sched_setscheduler(tid, SCHED_FIFO, Uint8Array.from([FIFO_PRIORITY, 0, 0, 0])));
  }
}
