import type { Batch, KernelNames } from '../capture/types.js';
import { EventCursor } from '../events/cursor.js';
import { DropInference } from '../events/drop-inference.js';
import { FIELDS } from '../events/fields.js';
import type { WireLayout } from '../events/layout.js';
import { eventOf } from '../events/normalise.js';
import { PathTracker, type TrackerOptions } from '../paths/tracker.js';
import type { DropRule } from '../probes/drop-rules.js';
import type { ProbePlan } from '../probes/types.js';
import { Classifier } from '../rules/classify.js';
import type { EventAccess } from '../rules/finding-groups.js';
import type { EventRule } from '../rules/types.js';
import { flowText } from './flow-text.js';
import type { Analysis } from './types.js';

/** What the hot path is to do: plain data, so that it can cross to a Worker. */
export interface PipelineOptions {
  plan: ProbePlan;
  /** Layout of the records: this build's, or the recording's. */
  wire: WireLayout;
  /** What errors call the source of the layout: the recording's file; absent: this build. */
  origin?: string;
  /** Drop reason numbers of the traced kernel (RunMeta.dropReasons). */
  dropReasons: Record<string, string>;
  /** How to tell why a packet was dropped where that kernel does not say; absent: not at all. */
  dropRules?: readonly DropRule[];
  /** Segments, round trips, devices: see src/paths/tracker.ts. */
  paths: TrackerOptions;
  /** The rules that the scenario selects, loaded and validated. */
  rules: readonly EventRule[];
}

const ACCESS: EventAccess<EventCursor> = {
  probe: (cursor) => cursor.probe,
  ts: (cursor) => cursor.ts,
  flow: flowText,
  toEvent: eventOf,
};

/**
 * The hot path put together: batch → events → paths → rules. One record after the other in the order of the bytes, so
 * the same records give the same analysis, however they are cut into batches. Bounded memory; no object per event.
 */
export class Pipeline {
  readonly #cursor: EventCursor;
  readonly #inference: DropInference | undefined;
  readonly #tracker: PathTracker;
  readonly #classifier: Classifier<EventCursor>;
  #findings = 0;

  /** @throws VdiagError (status 2) for a layout that this version does not read. */
  constructor(options: PipelineOptions, names: KernelNames) {
    const { wire, plan, origin } = options;
    this.#inference = options.dropRules?.length ? new DropInference(options.dropRules, plan) : undefined;
    const context = { wire, plan, names, origin, inference: this.#inference };
    this.#cursor = new EventCursor(context);
    this.#tracker = new PathTracker(this.#cursor, context, options.paths);
    this.#classifier = new Classifier(options.rules, plan.probes, FIELDS, ACCESS);
  }

  /** Events so far. */
  get events(): number {
    return this.#cursor.counts.records;
  }

  /** Events so far that a rule classified, once for each rule. */
  get findings(): number {
    return this.#findings;
  }

  /** Takes in a batch; nothing of it is needed afterwards. */
  push(batch: Batch): void {
    const cursor = this.#cursor;
    cursor.load(batch);
    while (cursor.next()) {
      this.#inference?.note(cursor);
      this.#tracker.next(cursor);
      this.#findings += this.#classifier.classify(cursor);
    }
  }

  /** The result. Call once, after the last batch. */
  finish(): Analysis {
    let findingsLeftOut = 0;
    for (const count of this.#classifier.overflow.values()) findingsLeftOut += count;
    return { events: this.events, ...this.#tracker.finish(), findings: this.#classifier.findings(), findingsLeftOut };
  }
}
