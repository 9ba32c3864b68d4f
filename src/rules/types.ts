import type { SkbEvent } from '../events/types.js';
import type { ProbeGroup } from '../probes/types.js';

export type Level = 'info' | 'warn' | 'error';

/** A condition in json-rules-engine's language. A loaded rule has no `macro` left. */
export type Condition =
  { all: Condition[] } | { any: Condition[] } | { not: Condition } | { macro: string } | Comparison;

/** One comparison: the fact's value (at `path`, `$.a.b`) against a constant, or against another fact: `value: { fact }`. */
export interface Comparison {
  fact: string;
  operator: string;
  value: unknown;
  path?: string;
  params?: Record<string, unknown>;
  /** Cold path: higher ones are read first. */
  priority?: number;
}

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
  /** Events written out, with the level that the rule must give them; `vdiag rules test` runs them. */
  tests?: RuleTest[];
  /** `file:line:column` it was loaded from. */
  source: string;
}

/** An event as its fields (`event.verdict: NF_DROP`), and the level expected of it; `none`: the rule must not match. */
export interface RuleTest {
  event: Record<string, string | number | boolean>;
  level: Level | 'none';
}

/**
 * What a diagnosis is asked about, one engine run each: a group of findings, a segment over its budget, a watched
 * thread, a pair, or the host as a whole. Its members are the fact `subject` and `{{subject.…}}` in templates.
 */
export interface SuspectSpec {
  /** Findings of any of these rules (ids). */
  findings?: string[];
  /** Segments of any of these kinds. */
  segments?: string[];
  /**
   * `unanswered`: pairs of which one end alone was heard, where its packets were last received; `end`: both ends of every
   * pair, in the namespace that each is in; `hop`: every network namespace on the way of packets that seem not to arrive; `flow`, beside `findings`: every flow of a group, most hit first. `stream`: each direction of TCP between a pair that had any trouble.
   */
  each?: 'pair' | 'end' | 'flow' | 'unanswered' | 'hop' | 'stream' | 'sched' | 'host';
}

/** A diagnosis rule after loading. */
export interface DiagnosisRule {
  id: string;
  severity: Level;
  suspect: SuspectSpec;
  /** The suspicion: cheap facts first (subject, findings, segments, pairs). */
  when: Condition;
  /** What must hold on the host for it to be established: evidence. Unknown evidence makes it `likely`. */
  proof?: Condition;
  summary: string;
  summaryZh: string;
  /** Sentence templates for the `why` lines, beside the evidence itself. */
  why?: { text: string; textZh: string }[];
  /** Rule ids and diagnosis ids that this cause accounts for. */
  explains: string[];
  /** Segment kinds this cause accounts for (of the same device). */
  explainsSegments?: string[];
  article: string;
  /** Facts that this diagnosis names (device, rate, chain, pid …): templates; they also fill the article's remedies. */
  names?: Record<string, string>;
  /** Confidence when every proof holds; default `established`. */
  confidence?: 'established' | 'likely';
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
