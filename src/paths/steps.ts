import type { ProbeTable } from '../events/probe-table.js';
import { ROLES, roleNumber } from '../events/probe-table.js';
import type { ProbeRole } from '../probes/types.js';

const marked = (...roles: ProbeRole[]): Uint8Array => Uint8Array.from(ROLES, (role) => (roles.includes(role) ? 1 : 0));

/** Numbers of the roles that the tracker asks for. */
export const ROLE = {
  receive: roleNumber('receive'),
  transmitted: roleNumber('transmitted'),
  deliver: roleNumber('deliver'),
};
/** Roles that say nothing about how far a packet has come. */
export const BESIDE = marked('free', 'drop', 'clone', 'other', 'socket-state', 'neighbour', 'sched');
/** Roles after which a packet lies in a queue. */
export const IN_QUEUE = marked('queue', 'enqueue', 'dequeue');
/** Roles in which a segment that was cut from a larger packet is first seen. */
export const AFTER_QUEUE = marked('dequeue', 'transmit', 'transmitted', 'drop', 'free');
/** Roles after which a packet is in somebody else's hands: there it may end unseen. */
export const ARRIVED = marked('receive', 'local-in', 'deliver');

/** Points between a driver and the stack, where GRO may merge a packet into the one before it. */
const GRO: ReadonlySet<string> = new Set([
  ...['napi_gro_receive_entry', 'napi_gro_frags_entry', 'dev_gro_receive', 'skb_gro_receive', 'skb_gro_receive_list'],
]);

/** By probe index: 1 for points before GRO is done with a packet. */
export function beforeGro({ points }: ProbeTable): Uint8Array {
  return Uint8Array.from(points, ({ name }) => (GRO.has(name) ? 1 : 0));
}
