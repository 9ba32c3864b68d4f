import type { Analysis } from '../analysis/types.js';
import type { Json } from '../base/json.js';
import { forgeable, lossOf } from '../capture/loss.js';
import type { RunEnd, RunMeta } from '../capture/types.js';
import { diagnose } from '../diagnosis/diagnose.js';
import { commandPrefix } from '../evidence/facts.js';
import { COLLECTORS } from '../evidence/index.js';
import type { EvidenceSource } from '../evidence/types.js';
import { remediesFor } from '../knowledge/remedies.js';
import { buildReport } from '../report/build.js';
import type { Report } from '../report/types.js';
import type { Library } from './library.js';
import type { Scenario } from './types.js';

/** What a live run and a replay both end with. */
export interface Conclusion {
  meta: RunMeta;
  end: RunEnd;
  scenario: Scenario;
  analysis: Analysis;
  source: EvidenceSource;
  library: Library;
  baseline?: { file: string; report: Report };
}

/** From what was seen to the report: asks the diagnoses, reads their evidence, puts the report together. */
export async function conclude(conclusion: Conclusion): Promise<Report> {
  const { meta, end, scenario, analysis, source, library, baseline } = conclusion;
  const asked = scenario.diagnoses;
  const outcome = await diagnose({
    analysis,
    rules: library.diagnoses.filter(({ id }) => !asked || asked.includes(id)),
    source,
    collectors: COLLECTORS,
    article: (id, language) => library.knowledge.article(id, language),
    remedies: (article, data) => remediesFor(article, data),
    run: runFacts(meta, end),
    ordinary: scenario.ordinary,
    endsNamed: meta.parameters.src !== undefined && meta.parameters.dst !== undefined,
    lost: forgeable(lossOf(end.loss, analysis.loss)),
    netnsPrefix: (netns) => commandPrefix(source, netns || undefined),
  });
  const { id, title, titleZh } = scenario;
  return buildReport({ meta, end, scenario: { id, title, titleZh }, analysis, outcome, baseline });
}

/** The fact `run` of diagnosis rules. */
function runFacts(meta: RunMeta, end: RunEnd): Record<string, Json> {
  return {
    seconds: (end.endedMono - meta.startedMono) / 1e9,
    kernel: meta.kernel.release,
    tracepointsOnly: !meta.kernel.kprobe && !meta.kernel.fentry,
  };
}
