import type { PlannedProbe, ProbePlan, ProbePoint, ProbeRole, ReturnMeaning } from '../probes/types.js';

/** The generic numbers of a record that a catalogue entry may name. */
export type Slot = 'a' | 'b' | 'c' | 'd' | 'aux' | 'ret';

/** Every role, in a fixed order: its index is the role's number on the hot path. */
export const ROLES = [
  ...(['receive', 'queue', 'enqueue', 'dequeue', 'transmit', 'transmitted', 'deliver', 'forward', 'local-in'] as const),
  ...(['local-out', 'verdict', 'free', 'drop', 'clone', 'retransmit', 'icmp-error', 'socket-state'] as const),
  ...(['neighbour', 'sched', 'other'] as const),
] as const satisfies readonly ProbeRole[];

/** Number of a role, see {@link ROLES}. */
export function roleNumber(role: ProbeRole): number {
  return ROLES.indexOf(role);
}

const UNKNOWN: ProbePoint = {
  name: 'unknown',
  group: 'l2',
  set: 'full',
  role: 'other',
  program: 'skb',
  hides: '',
  hidesZh: '',
};

/** The plan of a run by probe index, in arrays, so that an event looks nothing up by name. */
export class ProbeTable {
  readonly points: readonly ProbePoint[];
  /** Role numbers by probe index. */
  readonly roles: Uint8Array;
  readonly returns: readonly ReturnMeaning[];
  /** Which slot holds a named field, by probe index. */
  private readonly slots: readonly ReadonlyMap<string, Slot>[];

  constructor(plan: ProbePlan) {
    const highest = plan.probes.reduce((most, probe) => Math.max(most, probe.index), -1);
    const points = Array.from({ length: Math.min(highest, 0xffff) + 1 }, () => UNKNOWN);
    for (const probe of plan.probes) if (isIndex(probe, points.length)) points[probe.index] = probe.point;
    this.points = points;
    this.roles = Uint8Array.from(points, (point) => Math.max(0, roleNumber(point.role)));
    this.returns = points.map((point) => point.returns ?? 'none');
    this.slots = points.map(
      (point) => new Map(Object.entries(point.fields ?? {}).map(([slot, name]) => [name, slot as Slot])),
    );
  }

  /** How many probe indices there are: a record with a higher one is not of this plan. */
  get size(): number {
    return this.points.length;
  }

  /** The slot that a probe's catalogue entry calls by this name, if it does. */
  slot(probe: number, name: string): Slot | undefined {
    return this.slots[probe].get(name);
  }
}

function isIndex(probe: PlannedProbe, size: number): boolean {
  return Number.isInteger(probe.index) && probe.index >= 0 && probe.index < size;
}
