import { known, numberParam, unknown, unnamed, whyNot } from '../facts.js';
import { STATES, readHolders, readProcessAt } from '../holders.js';
import type { ProcessState } from '../processes.js';
import type { EvidenceCollector } from '../types.js';

/** A process: whether it runs, where it may run, and what holds it back. */
export const processState: EvidenceCollector = {
  name: 'process',
  describe: 'What a process does: running, sleeping or stopped, its CPUs, and whether its CPU quota held it back.',
  params: { pid: 'process' },
  members: {
    pid: 'process',
    comm: 'its name',
    state: 'R, S, D, T (stopped), t (traced), Z',
    stateText: 'the same in words',
    stopped: 'it is stopped or traced',
    cpus: 'CPUs it may use: `0-3,8`',
    cgroup: 'its control group for CPU time',
    unit: 'systemd unit, scope or container it belongs to; empty when none is recognised',
    quota: 'CPU quota and period, µs; empty without a limit',
    throttled: 'times the quota held it back since it was set; 0 without one',
    throttledDelta: 'the same during the run; null when not read before',
    throttledMsDelta: 'ms it was held back during the run; null when not read before',
    guest: 'name of the guest, if it is QEMU; empty otherwise',
    threads: 'number of its threads',
    vhostThreads: 'vhost threads among them',
    continueCommand: 'lets it go on when it is stopped; empty otherwise',
  },

  async before(source) {
    await readHolders(source, 'before');
  },

  async collect(source, params) {
    const pid = numberParam(params, 'pid');
    const command = `cat /proc/${pid ?? '?'}/status`;
    if (pid === undefined || pid <= 0) return unnamed('no process was named', command);
    const [after, before] = await Promise.all([
      readProcessAt(source, pid, 'after'),
      readProcessAt(source, pid, 'before'),
    ]);
    if (!after.process) return unknown(whyNot(after.answer), command);
    const { comm, state, cpus, cgroup, guest = '', threads, throttled } = after.process;
    const was = before.process?.throttled;
    const throttledDelta = throttled && was ? throttled.times - was.times : null;
    const value = {
      pid,
      comm,
      state,
      stateText: STATES[state] ?? 'in an unknown state',
      stopped: state === 'T' || state === 't',
      cpus,
      cgroup,
      unit: unitOf(after.process),
      quota: throttled?.quota ?? '',
      throttled: throttled?.times ?? 0,
      throttledDelta,
      throttledMsDelta: throttled && was ? +((throttled.ns - was.ns) / 1e6).toFixed(3) : null,
      guest,
      threads: threads.length,
      vhostThreads: threads.filter((thread) => thread.comm.startsWith('vhost-')).length,
      continueCommand: state === 'T' ? `kill -CONT ${pid}` : '',
    };
    const held = throttledDelta ? `, held back ${throttledDelta} times by its CPU quota` : '';
    return known(value, command, `${comm} (${pid})${guest ? `, guest ${guest}` : ''}: ${value.stateText}${held}`);
  },
};

/** `ssh.service`, `machine-qemu\x2d1\x2dweb.scope`, `docker 0123456789ab`. */
export function unitOf(process: Pick<ProcessState, 'cgroup'>): string {
  const container = /(docker|libpod|cri-containerd|crio|containerd)[-/]([0-9a-f]{12})[0-9a-f]{0,52}/.exec(
    process.cgroup,
  );
  if (container) return `${container[1]} ${container[2]}`;
  const parts = process.cgroup.split('/').reverse();
  return parts.find((part) => /\.(service|scope)$/.test(part)) ?? parts.find((part) => /\.slice$/.test(part)) ?? '';
}
