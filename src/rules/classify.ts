import type { PlannedProbe } from '../probes/types.js';
import { compileCondition, type FieldTable, type Test } from './compile.js';
import { FindingGroups, groupedRule, type EventAccess, type GroupedRule } from './finding-groups.js';
import type { EventRule, FindingGroup } from './types.js';

interface CompiledRule<C> {
  test: Test<C>;
  grouped: GroupedRule<C>;
}

/**
 * Classifies events: every rule is compiled once and filed under the probes it is about, so an event costs the rules of
 * its own probe, however many others there are. What matches is grouped, with counts, flows and a few samples.
 */
export class Classifier<C> {
  /** Ids of rules none of whose probes is attached: they cannot find anything in this run. */
  readonly idle: readonly string[];
  private readonly byProbe: (readonly CompiledRule<C>[])[];
  private readonly groups: FindingGroups<C>;

  constructor(
    rules: readonly EventRule[],
    plan: readonly PlannedProbe[],
    fields: FieldTable<C>,
    private readonly access: EventAccess<C>,
  ) {
    this.groups = new FindingGroups(access);
    const compiled = rules.map((rule) => ({
      test: compileCondition(rule.when, fields),
      grouped: groupedRule(rule, fields),
      on: new Set(rule.on),
    }));
    const attached = plan.filter((probe) => probe.backend !== undefined);
    this.byProbe = Array.from({ length: Math.max(-1, ...attached.map(({ index }) => index)) + 1 }, () => []);
    for (const { index, point } of attached) {
      this.byProbe[index] = compiled.filter(({ on }) => on.has(point.name) || on.has(`role:${point.role}`));
    }
    const busy = new Set(this.byProbe.flatMap((list) => list.map(({ grouped }) => grouped.rule.id)));
    this.idle = rules.map((rule) => rule.id).filter((id) => !busy.has(id));
  }

  /** Classifies the event under the cursor. @returns how many rules it meets. */
  classify(cursor: C): number {
    const rules = this.byProbe[this.access.probe(cursor)];
    if (rules === undefined) return 0;
    let met = 0;
    for (let i = 0; i < rules.length; i++) {
      if (!rules[i].test(cursor)) continue;
      this.groups.add(rules[i].grouped, cursor);
      met++;
    }
    return met;
  }

  /** The findings so far, worst first. */
  findings(): FindingGroup[] {
    return this.groups.result();
  }

  /** Events that were classified but not shown for want of room, by rule id; empty on all but absurd runs. */
  get overflow(): ReadonlyMap<string, number> {
    return this.groups.overflow;
  }
}

/** The rules that a scenario asks for: those of a listed layer or with a listed tag; all when nothing is listed. */
export function selectRules(
  rules: readonly EventRule[],
  wanted: { layers?: readonly string[]; tags?: readonly string[] } | undefined,
): EventRule[] {
  const { layers = [], tags = [] } = wanted ?? {};
  if (layers.length === 0 && tags.length === 0) return [...rules];
  return rules.filter((rule) => layers.includes(rule.layer) || rule.tags.some((tag) => tags.includes(tag)));
}
