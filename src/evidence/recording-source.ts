import { questionKey, type EvidenceEntry, type QuestionKind } from './entries.js';
import type { EvidenceSource, EvidenceWhere, RawEvidence } from './types.js';

/** An {@link EvidenceSource} that asks the host once per question and lets each answer be kept. */
export interface RecordingSource extends EvidenceSource {
  /**
   * The traffic begins: from now on a `before` question that was not asked is `failed`, for its answer would be one of
   * after. Returns how many questions had been asked.
   */
  closeBefore(): number;
}

export interface RecordingSourceOptions {
  /** Inode number of vdiag's own network namespace: a question that names it is the same as one that names none. */
  ownNetns?: number;
  /** Called once per question with its answer, in the order in which answers came. */
  onEntry?: (entry: EvidenceEntry) => void;
}

const TOO_LATE: RawEvidence = { status: 'failed', why: 'not read before the traffic' };

/**
 * Wraps a source: each (question, namespace, phase) is asked once a run, so that every diagnosis sees the same host,
 * and `onEntry` gets each answer for the recording.
 */
export function createRecordingSource(inner: EvidenceSource, options: RecordingSourceOptions = {}): RecordingSource {
  const answers = new Map<string, Promise<RawEvidence>>();
  let beforeIsOver = false;

  function ask(
    kind: QuestionKind,
    what: readonly string[],
    where: EvidenceWhere,
    question: (where: EvidenceWhere) => Promise<RawEvidence>,
  ): Promise<RawEvidence> {
    const netns = where.netns === options.ownNetns ? undefined : where.netns;
    const asked: EvidenceWhere = netns === undefined ? { phase: where.phase } : { netns, phase: where.phase };
    const key = questionKey(kind, what, asked);
    let answer = answers.get(key);
    if (!answer) {
      const late = beforeIsOver && where.phase === 'before';
      answer = (late ? Promise.resolve(TOO_LATE) : question(asked)).then((raw) => {
        options.onEntry?.({ kind, what: [...what], ...asked, answer: raw });
        return raw;
      });
      answers.set(key, answer);
    }
    return answer;
  }

  return {
    run: (argv, where) => ask('run', argv, where, (asked) => inner.run(argv, asked)),
    read: (path, where) => ask('read', [path], where, (asked) => inner.read(path, asked)),
    list: (path, where) => ask('list', [path], where, (asked) => inner.list(path, asked)),
    closeBefore() {
      beforeIsOver = true;
      return answers.size;
    },
  };
}
