import type { PipelineOptions } from '../analysis/pipeline.js';
import type { RunMeta } from '../capture/types.js';
import { WIRE_LAYOUT, WIRE_VERSION } from '../events/wire.gen.js';
import { dropRulesFor, loadDropRules } from '../probes/drop-rules.js';
import type { HostDevice } from '../paths/host-devices.js';
import type { FirstEnd } from '../paths/pair.js';
import { selectRules } from '../rules/classify.js';
import type { Library } from './library.js';
import type { Scenario } from './types.js';

/** Names of the JSON that a recording keeps beside events. */
export const EVIDENCE = 'evidence';
export const HOST_VIEW = 'host-view';

/** What was known of the host's devices when the run began; recorded, because paths are read by it. */
export interface HostView {
  devices: HostDevice[];
  first?: FirstEnd;
}

/** The wire layout of this build. */
export const WIRE: RunMeta['wire'] = {
  version: WIRE_VERSION,
  layout: Object.fromEntries(Object.entries(WIRE_LAYOUT).map(([member, [offset, size]]) => [member, [offset, size]])),
};

/** What the hot path is to do for a run, live or replayed. */
export function pipelineOptions(meta: RunMeta, view: HostView, scenario: Scenario, library: Library): PipelineOptions {
  return {
    plan: meta.plan,
    wire: meta.wire,
    dropReasons: meta.dropReasons,
    dropRules: dropRulesFor(loadDropRules(), meta.kernel.release),
    paths: { segments: scenario.segments, roundTrips: scenario.roundTrips, first: view.first, devices: view.devices },
    rules: selectRules(library.rules, scenario.rules).map((rule) =>
      scenario.ordinary.includes(rule.id) ? { ...rule, level: 'info' } : rule,
    ),
  };
}
