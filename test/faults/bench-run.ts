import type { FaultInstance, Variant } from '../../src/lab/index.js';

/** One variant of a fault on one kernel, as job.mjs takes it. */
export interface BenchRun {
  /** Unique among the runs of a kernel, fit for a file name. */
  id: string;
  fault: string;
  /** `name=value` pairs, the whole variant. */
  choices: string[];
  scenario: string;
  record: boolean;
  /** Of the scenario's latency budgets: an emulated processor is ten to twenty times slower than a real one. */
  budgetFactor?: number;
  /** Apply the article's remedy, look again, undo it, look again. */
  verify: boolean;
}

/** What came of the remedy: whether the fault was gone with it, and back when it was undone. */
export interface RemedyOutcome {
  do?: string;
  gone?: boolean;
  undo?: string;
  back?: boolean;
  why?: string;
}

/** What came of one run, as job.mjs prints it. */
export interface BenchOutcome {
  id: string;
  /** What `vdiag run` would have ended with. */
  status?: number;
  error?: string;
  /** The kernel or machine has not what the fault needs. */
  lacks?: boolean;
  /** From bringing the lab up to the report. */
  seconds: number;
  remedy?: RemedyOutcome;
}

/** A variant of a fault with what must be diagnosed. */
export interface BenchCase {
  instance: FaultInstance;
  /** As the table names it. */
  name: string;
}

/** What a recording is of. */
export interface RecordedCase {
  fault: string;
  variant: Variant;
  /** As `npm run faults -- --kernel` names it. */
  kernel: string;
  seed: number;
}
