import type { CaptureLoss } from '../capture/types.js';
import type { Diagnosis } from '../diagnosis/types.js';
import type { LatencyStats, PairStats, PathView, SchedStats } from '../paths/types.js';
import type { Coverage } from '../probes/coverage.js';
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
  coverage: Coverage & {
    loss: CaptureLoss;
    /** Events lost by probe, as far as it is known whose they were. */
    lostBy: Record<string, number>;
    leftOut: ReportLeftOut;
    /** Events by probe, as the kernel side counted them. */
    hits: Record<string, number>;
    /** What tracing took from the host; absent for recordings of older versions. */
    cost?: {
      eventsPerSecond: number;
      /** Percent of one CPU: of vdiag's own threads, and of its programs in the kernel where the kernel counts that. */
      ownCpuPercent: number;
      kernelCpuPercent?: number;
    };
    recording?: string;
    /** Evidence that could not be read, and why. */
    evidenceUnknown: string[];
  };
}

/** What was seen and is not in the report, because memory is bounded. All zero on all but absurd runs. */
export interface ReportLeftOut {
  /** Events that a rule classified, of groups of findings that there was no room for. */
  findings: number;
  /** Pairs of addresses that were only counted. */
  pairs: number;
  /** Events of packets that had too many of them to keep. */
  pathEvents: number;
  /** Conversations whose addresses were forgotten: what came of them later counts as another. */
  flows: number;
  /** Waits in queues, and for a CPU, of more devices and threads than are measured. */
  queueWaits: number;
  cpuWaits: number;
  /** Threads whose waits for a CPU were not measured, of those that read taps or take packets in. */
  threads: number;
}
