import type { EvidencePhase, EvidenceWhere, RawEvidence } from './types.js';

/** How the host is asked: a tool is run, a file read, a directory listed. */
export type QuestionKind = 'run' | 'read' | 'list';

/** One question to the host and its answer: plain JSON, as the recording keeps it. */
export interface EvidenceEntry {
  kind: QuestionKind;
  /** The argument list, or a path as its only element. */
  what: string[];
  /** Inode number of the network namespace; absent: vdiag's own. */
  netns?: number;
  phase: EvidencePhase;
  answer: RawEvidence;
}

/** One string per question; the same question in the same phase and namespace has the same key. */
export function questionKey(kind: QuestionKind, what: readonly string[], where: EvidenceWhere): string {
  return JSON.stringify([kind, where.netns ?? 0, where.phase, ...what]);
}
