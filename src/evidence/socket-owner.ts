import { readProcessAt, STATES } from './holders.js';
import { unitOf } from './collectors/process.js';
import type { Socket } from './parsers/sockets.js';
import type { EvidenceSource } from './types.js';

/** Who has a socket, and what that process does now. */
export interface SocketOwner {
  [member: string]: string | number | boolean;
  process: string;
  pid: number;
  /** systemd unit, scope or container; empty when none is recognised. */
  unit: string;
  /** In words; empty when unknown. */
  stateText: string;
  stopped: boolean;
  continueCommand: string;
  stopCommand: string;
}

/** The owner of a socket that is not there, or whose owner is not known. */
export const NOBODY: SocketOwner = {
  process: '',
  pid: 0,
  unit: '',
  stateText: '',
  stopped: false,
  continueCommand: '',
  stopCommand: '',
};

/** What the members of {@link SocketOwner} mean, for a collector's documentation. */
export const OWNER_MEMBERS = {
  process: 'name of the process that has it; empty when unknown',
  pid: 'its process; 0 when unknown',
  unit: 'systemd unit, scope or container of that process; empty when none is recognised',
  stateText: 'what the process does: sleeping, running, stopped …; empty when unknown',
  stopped: 'the process is stopped or traced (SIGSTOP, a debugger)',
  continueCommand: 'lets a stopped process go on; empty otherwise',
  stopCommand: 'stops it again; empty otherwise',
};

/** The process that has a socket: the first one, of several that share it. */
export async function ownerOf(source: EvidenceSource, socket: Socket | undefined): Promise<SocketOwner> {
  const user = socket?.users[0];
  if (!user) return NOBODY;
  const { process } = await readProcessAt(source, user.pid, 'after');
  if (!process) return { ...NOBODY, process: user.process, pid: user.pid };
  const stopped = process.state === 'T' || process.state === 't';
  return {
    process: user.process,
    pid: user.pid,
    unit: unitOf(process),
    stateText: STATES[process.state] ?? '',
    stopped,
    continueCommand: process.state === 'T' ? `kill -CONT ${user.pid}` : '',
    stopCommand: process.state === 'T' ? `kill -STOP ${user.pid}` : '',
  };
}

/** `nginx (4711, nginx.service)`; empty without an owner. */
export function ownerText({ process, pid, unit }: SocketOwner): string {
  return pid === 0 ? '' : `${process} (${pid}${unit === '' ? '' : `, ${unit}`})`;
}
