import type { Remedy } from '../knowledge/types.js';
import type { PathView } from '../paths/types.js';
import type { FindingGroup, Level } from '../rules/types.js';

/** `established`: every proof holds; `likely`: none is refuted but some could not be read; else nothing is claimed. */
export type Confidence = 'established' | 'likely' | 'not established';

export type { DiagnosisRule, SuspectSpec } from '../rules/types.js';

/** One line of proof: what was read, and where the user can read it again. */
export interface EvidenceLine {
  text: string;
  textZh: string;
  /** Command that shows it; empty when it was observed in the packets. */
  source: string;
  /** `supports`, `refutes`, or `unknown` with the reason in `text`. */
  says: 'supports' | 'refutes' | 'unknown';
}

/** A cause (or the honest lack of one), with its texts in both languages. */
export interface Diagnosis {
  id: string;
  severity: Level;
  confidence: Confidence;
  summary: string;
  summaryZh: string;
  /** Share (0 to 1) of the round trip that the slow place takes; absent when it is about something else. */
  share?: number;
  /** What share of the trouble it accounts for, in words; empty when it cannot be said. */
  explains: string;
  explainsZh: string;
  why: EvidenceLine[];
  /** Suspects that were looked at and are fine: `bridge 0.05 ms`. */
  notCauses: string[];
  notCausesZh: string[];
  remedies: Remedy[];
  remediesZh: Remedy[];
  article: string;
  /** Facts it names, for tests and machines: device, rate, chain, pid … */
  names: Record<string, string | number>;
  /** Findings it explains. */
  findings: FindingGroup[];
  /** Paths that show it. */
  paths: PathView[];
}
