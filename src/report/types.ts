import type { CaptureLoss } from '../capture/types.js';
import type { Diagnosis } from '../diagnosis/types.js';
import type { LatencyStats, PairStats, PathView, SchedStats } from '../paths/types.js';
import type { Backend, ProbeGroup } from '../probes/types.js';
import type { FindingGroup, Level } from '../rules/types.js';

/** The one result of a run: plain, versioned data; every renderer is a pure function of it. */
export interface Report {
  apiVersion: 'vdiag/v1';
  kind: 'Report';
  vdiag: string;
  scenario: { id: string; title: string; titleZh: string };
  host: {
    name: string;
    kernel: string;
    arch: string;
    /** How it can be traced, e.g. `tracepoints only`. */ tracing: string;
    /** Which compiled object traced; absent in reports of old recordings. */ flavour?: 'modern' | 'legacy';
  };
  /** ISO 8601 with offset, and s. */
  startedAt: string;
  endedAt: string;
  seconds: number;
  /** Why it ended early, if it did. */
  ended: 'duration' | 'interrupted' | 'cut';
  parameters: Record<string, unknown>;
  verdict: {
    level: Level | 'clean';
    /** One line in each language. */
    text: string;
    textZh: string;
    /** Set when what could not be seen or was lost may have changed it. */
    caveat?: string;
    caveatZh?: string;
  };
  traffic: { packets: number; roundTrips: number; events: number };
  diagnoses: Diagnosis[];
  /** Findings that no diagnosis explains, worst first. */
  findings: FindingGroup[];
  pairs: PairStats[];
  pairsNotShown: number;
  sched: SchedStats[];
  qdiscWait: { device: string; netns: number; latency: LatencyStats }[];
  paths: PathView[];
  /** With `--baseline`: how each segment's p99 changed. */
  baseline?: { file: string; changes: { label: string; before: number; now: number; ratio: number }[] };
  coverage: {
    planned: number;
    attached: number;
    byBackend: Partial<Record<Backend, number>>;
    /** What could not be attached, and what that hides. */
    missing: { probe: string; group: ProbeGroup; why: string; hides: string }[];
    /** The same in sentences, joined by cause. */
    notSeen: string[];
    notSeenZh: string[];
    loss: CaptureLoss;
    recording?: string;
    /** Evidence that could not be read, and why. */
    evidenceUnknown: string[];
  };
}
