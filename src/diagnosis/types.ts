import type { Json } from '../base/json.js';
import type { Remedy } from '../knowledge/types.js';
import type { PathView } from '../paths/types.js';
import type { Condition, FindingGroup, Level } from '../rules/types.js';

/** `established`: every proof holds; `likely`: none is refuted but some could not be read; else nothing is claimed. */
export type Confidence = 'established' | 'likely' | 'not established';

/**
 * What a diagnosis is asked about, one engine run each: a group of findings, a segment over its budget, a watched
 * thread, a pair, or the host as a whole. Its members are the fact `subject` and `{{subject.…}}` in templates.
 */
export interface SuspectSpec {
  /** Findings of any of these rules (ids). */
  findings?: string[];
  /** Segments of any of these kinds. */
  segments?: string[];
  /** `pair`, `sched` or `host`. */
  each?: 'pair' | 'sched' | 'host';
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
  /** Extra template values: `suggested: { rate: … }` computed by named functions on facts. */
  derive?: Record<string, { function: string; args: Record<string, Json> }>;
  source: string;
}

/** One line of proof: what was read, and where the user can read it again. */
export interface EvidenceLine {
  text: string;
  /** Command that shows it. */
  source: string;
  /** `supports`, `refutes`, or `unknown` with the reason in `text`. */
  says: 'supports' | 'refutes' | 'unknown';
}

export interface Diagnosis {
  id: string;
  severity: Level;
  confidence: Confidence;
  summary: string;
  /** What share of the trouble it accounts for, in words; empty when it cannot be said. */
  explains: string;
  why: EvidenceLine[];
  /** Suspects that were looked at and are fine: `bridge 0.05 ms`. */
  notCauses: string[];
  remedies: Remedy[];
  article: string;
  /** Facts it names, for tests and machines: device, rate, chain, pid … */
  names: Record<string, string | number>;
  /** Findings it explains. */
  findings: FindingGroup[];
  /** Paths that show it. */
  paths: PathView[];
}
