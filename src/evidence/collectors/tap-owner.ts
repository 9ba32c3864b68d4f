import { deviceParam, known, unknown, unnamed, whyNot } from '../facts.js';
import { STATES, readHolders, type Holders } from '../holders.js';
import type { EvidenceCollector } from '../types.js';
import type { TapHolder } from '../tap-holders.js';

/** Who reads a tap: the consumer of what the host sends towards a guest (drivers/net/tun.c, drivers/vhost/net.c). */
export const tapOwner: EvidenceCollector = {
  name: 'tap-owner',
  describe: 'The process (QEMU, as a rule) that holds a tap device open and must read its packets, and what it does.',
  params: { device: 'tap or tun device' },
  members: {
    found: 'a process holds the device open',
    device: 'the device',
    pid: 'the process; 0 when none holds it',
    comm: "the process's name; empty without one",
    guest: "QEMU's name of the guest; empty when it has none",
    who: 'guest, else process, with its pid: `web-1 (qemu 4711)`',
    state: 'R running, S sleeping, D waiting for a disk, T stopped, t traced, Z ended; empty without one',
    stateText: 'the same in words',
    stopped: 'it is stopped or traced: nothing reads the device',
    threads: 'its threads, vhost kernel threads included',
    vhost: 'a vhost kernel thread reads the device, not QEMU itself',
    vhostTid: "that thread's id; 0 without",
    cpus: 'CPUs it may use: `0-3`',
    cgroup: 'its control group for CPU time',
    quota: 'CPU quota and period, µs: `20000 100000`; empty without a limit',
    throttledDelta: 'times it was throttled by the quota during the run; null without a quota, or when not read before',
    continueCommand: 'lets a stopped process go on; empty when it is not stopped',
    others: 'further processes that hold the device open',
  },

  async before(source) {
    await readHolders(source, 'before');
  },

  async collect(source, params) {
    const device = deviceParam(params);
    const command = `grep -l 'iff:.*${device ?? '?'}$' /proc/[0-9]*/fdinfo/*`;
    if (device === undefined) return unnamed('no device was named', command);
    const { answer, holders } = await readHolders(source, 'after');
    if (!holders) return unknown(whyNot(answer), command);
    const all = holders.holders.filter((one) => one.devices.includes(device));
    const holder = all[0];
    if (!holder) {
      if (holders.incomplete) return unknown('this host has too many open files to look through in 5 s', command);
      return known({ ...NOBODY, device }, command, `no process holds ${device} open`);
    }
    const before = (await readHolders(source, 'before')).holders;
    const value = { ...valueOf(holder, before), device, others: all.length - 1 };
    return known(value, `cat /proc/${holder.pid}/status`, `${device} is read by ${value.who}, ${value.stateText}`);
  },
};

const NOBODY = {
  found: false,
  pid: 0,
  comm: '',
  guest: '',
  who: '',
  state: '',
  stateText: '',
  stopped: false,
  threads: 0,
  vhost: false,
  vhostTid: 0,
  cpus: '',
  cgroup: '',
  quota: '',
  throttledDelta: null as number | null,
  continueCommand: '',
  others: 0,
};

function valueOf(holder: TapHolder, before: Holders | undefined): typeof NOBODY {
  const vhost = holder.threads.find((thread) => thread.comm.startsWith('vhost-'));
  const stopped = holder.state === 'T' || holder.state === 't';
  const was = before?.holders.find((one) => one.pid === holder.pid)?.throttled;
  return {
    ...NOBODY,
    found: true,
    pid: holder.pid,
    comm: holder.comm,
    guest: holder.guest ?? '',
    who: `${holder.guest ? `${holder.guest} (${holder.comm} ${holder.pid})` : `${holder.comm} (${holder.pid})`}`,
    state: holder.state,
    stateText: STATES[holder.state] ?? 'in an unknown state',
    stopped,
    threads: holder.threads.length,
    vhost: vhost !== undefined,
    vhostTid: vhost?.tid ?? 0,
    cpus: holder.cpus,
    cgroup: holder.cgroup,
    quota: holder.throttled?.quota ?? '',
    throttledDelta: holder.throttled && was ? holder.throttled.times - was.times : null,
    continueCommand: holder.state === 'T' ? `kill -CONT ${holder.pid}` : '',
  };
}
