import { readlinkSync } from 'node:fs';
import { isSoftirqThread } from '../base/kernel-threads.js';
import { printable } from '../base/sanitize.js';
import { eachProcess, namesIn, parseThread, readProcess, textOf, type ProcessState } from './processes.js';

/** A process that holds tap or tun devices open: the consumer of what the host sends into them. */
export interface TapHolder extends ProcessState {
  devices: string[];
}

export interface TapHolders {
  holders: TapHolder[];
  /** Kernel threads that take in packets in place of an interrupt: `ksoftirqd/CPU`, and `napi/DEVICE-ID` of a threaded NAPI. */
  softirqs: ProcessState[];
  /** The host has more open files than could be looked at in the time allowed. */
  incomplete: boolean;
}

/**
 * Looks through /proc/PID/fd for /dev/net/tun and reads the device's name from fdinfo (`iff:`, drivers/net/tun.c).
 * vhost kernel threads (`vhost-<pid>`, before 6.4 processes of their own) are added to the process they serve.
 * Device names are those of the namespace the device was made in. Threads that take packets in are found on the way
 * (kernel/softirq.c; net/core/dev.c, napi_kthread_create).
 */
export async function findTapHolders(limitMs: number): Promise<TapHolders> {
  const devices = new Map<number, Set<string>>();
  const vhost: { owner: number; pid: number }[] = [];
  const softirqs: ProcessState[] = [];
  const complete = await eachProcess(limitMs, (pid) => {
    const files = namesIn(`/proc/${pid}/fd`);
    if (files.length === 0) {
      const comm = textOf(`/proc/${pid}/comm`) ?? '';
      const owner = /^vhost-(\d+)/.exec(comm)?.[1];
      if (owner) vhost.push({ owner: Number(owner), pid });
      const process = isSoftirqThread(comm) ? readProcess(pid) : undefined;
      if (process) softirqs.push(process);
    }
    for (const fd of files) {
      if (linkOf(`/proc/${pid}/fd/${fd}`) !== '/dev/net/tun') continue;
      const device = /^iff:\s*(\S+)$/m.exec(textOf(`/proc/${pid}/fdinfo/${fd}`) ?? '')?.[1];
      if (device) devices.set(pid, (devices.get(pid) ?? new Set()).add(printable(device)));
    }
  });
  const holders: TapHolder[] = [];
  for (const [pid, names] of devices) {
    const process = readProcess(pid);
    if (!process) continue;
    const workers = vhost.filter((worker) => worker.owner === pid).flatMap((worker) => kernelThread(worker.pid));
    holders.push({ ...process, threads: [...process.threads, ...workers], devices: [...names].sort() });
  }
  return { holders: holders.sort((a, b) => a.pid - b.pid), softirqs, incomplete: !complete };
}

function kernelThread(pid: number): ProcessState['threads'] {
  const stat = textOf(`/proc/${pid}/stat`);
  return stat === undefined ? [] : [parseThread(stat, textOf(`/proc/${pid}/schedstat`))];
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
