import { questionKey, type EvidenceEntry, type QuestionKind } from './entries.js';
import type { EvidenceSource, EvidenceWhere, RawEvidence } from './types.js';

/**
 * Answers from a recording, so that a replay diagnoses as the run did.
 * A question that the run did not ask is `failed`: "not recorded".
 * @param ownNetns inode number of the namespace that the recorded run was made in
 */
export function createRecordedSource(entries: Iterable<EvidenceEntry>, ownNetns?: number): EvidenceSource {
  const answers = new Map<string, RawEvidence>();
  for (const entry of entries) answers.set(keyOf(entry.kind, entry.what, entry), entry.answer);

  function keyOf(kind: QuestionKind, what: readonly string[], where: EvidenceWhere): string {
    const netns = where.netns === ownNetns ? undefined : where.netns;
    return questionKey(kind, what, { netns, phase: where.phase });
  }
  function answer(kind: QuestionKind, what: readonly string[], where: EvidenceWhere): Promise<RawEvidence> {
    return Promise.resolve(answers.get(keyOf(kind, what, where)) ?? { status: 'failed', why: 'not recorded' });
  }
  return {
    run: (argv, where) => answer('run', argv, where),
    read: (path, where) => answer('read', [path], where),
    list: (path, where) => answer('list', [path], where),
  };
}
