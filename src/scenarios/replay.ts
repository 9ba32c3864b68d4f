import { runReplay } from '../analysis/run-replay.js';
import { VdiagError } from '../base/errors.js';
import { Recording } from '../capture/recording/reader.js';
import { createRecordedSource, type EvidenceEntry } from '../evidence/index.js';
import type { Report } from '../report/types.js';
import { conclude } from './conclude.js';
import type { Library } from './library.js';
import type { RunProgress } from './live.js';
import { loadScenario, withBudgets } from './load.js';
import { EVIDENCE, HOST_VIEW, type HostView, pipelineOptions } from './pipeline-options.js';

/** What a replay is asked. */
export interface ReplayRequest {
  library: Library;
  file: string;
  /** Another scenario than the recorded one. */
  scenario?: string;
  baseline?: { file: string; report: Report };
  signal?: AbortSignal;
  onProgress?: (progress: RunProgress) => void;
  /** Without a thread of its own; see ReplayRunOptions. */
  inThisThread?: boolean;
}

/**
 * Diagnoses a recording as the run itself was diagnosed: the same report, byte for byte.
 * @throws VdiagError (2) for a file that is not a recording, or a scenario that is not known
 */
export async function answerReplay(request: ReplayRequest): Promise<Report> {
  const { library, signal, onProgress, baseline } = request;
  const recording = Recording.open(request.file);
  try {
    const { meta } = recording;
    const { budgetFactor } = meta.parameters;
    const scenario = withBudgets(
      loadScenario(request.scenario ?? meta.scenario),
      typeof budgetFactor === 'number' ? budgetFactor : 1,
    );
    const { analysis, end } = await runReplay({
      recording,
      pipeline: { ...pipelineOptions(meta, hostView(recording), scenario, library), origin: request.file },
      signal,
      inThisThread: request.inThisThread,
      onProgress: ({ events, findings }) => onProgress?.({ phase: 'replaying', events, findings }),
    });
    const source = createRecordedSource(entriesOf(recording), meta.ownNetns);
    onProgress?.({ phase: 'diagnosing' });
    return await conclude({ meta, end, scenario, analysis, source, library, baseline });
  } finally {
    recording.close();
  }
}

function hostView(recording: Recording): HostView {
  const [view] = recording.json(HOST_VIEW) as [Partial<HostView> | undefined];
  if (view !== undefined && !Array.isArray(view?.devices)) throw damaged(recording, 'its list of devices is none');
  return { devices: view?.devices ?? [], first: view?.first };
}

function entriesOf(recording: Recording): EvidenceEntry[] {
  // A chunk holds several entries; those of the first recordings one each.
  return recording
    .json(EVIDENCE)
    .flat()
    .map((value) => {
      const entry = value as Partial<EvidenceEntry> | null;
      const whole =
        Array.isArray(entry?.what) && typeof entry.kind === 'string' && typeof entry.answer?.status === 'string';
      if (!whole) throw damaged(recording, 'it holds evidence that is none');
      return entry as EvidenceEntry;
    });
}

function damaged({ path }: Recording, what: string): VdiagError {
  return new VdiagError(
    { message: `${path} cannot be replayed: ${what}`, expected: 'a file written by vdiag run --record' },
    2,
  );
}
