import type { SkbEvent } from '../events/types.js';
import type { ProbeGroup } from '../probes/types.js';

export type Level = 'info' | 'warn' | 'error';

/** A condition in json-rules-engine's language. */
export type Condition =
  | { all: Condition[] }
  | { any: Condition[] }
  | { not: Condition }
  | { macro: string }
  | { fact: string; operator: string; value: unknown; path?: string; params?: Record<string, unknown>; priority?: number };

/** A rule after loading: macros and lists resolved, overrides applied, validated. */
export interface EventRule {
  id: string;
  layer: ProbeGroup | 'path';
  level: Level;
  /** Names of probes (or `role:<role>`); the rule is evaluated for these only. */
  on: string[];
  when: Condition;
  message: string;
  messageZh?: string;
  article: string;
  tags: string[];
  /** Facts that tell one group of findings from another; default: rule, device, netns, reason, location, table, chain. */
  groupBy?: string[];
  /** `file:line:column` it was loaded from. */
  source: string;
}

/** The events (or paths) that one rule classified and that belong together: same rule, device, chain, location … */
export interface FindingGroup {
  rule: string;
  level: Level;
  layer: string;
  article: string;
  tags: string[];
  count: number;
  /** ns, monotonic. */
  firstTs: number;
  lastTs: number;
  message: string;
  messageZh: string;
  /** What the group shares: `device`, `netns`, `reason`, `location`, `table`, `chain`, `hook`, `verdict`, `probe` … */
  subject: Record<string, string | number>;
  /** The flows it hit, most first, at most 5: `TCP 10.0.0.1:4711 → 10.0.0.2:80`. */
  flows: { flow: string; count: number }[];
  /** At most 3 of its events, first ones first. */
  samples: SkbEvent[];
}
