import { existsSync, readFileSync } from 'node:fs';
import { packagePath } from '../../src/base/package-root.js';
import type { Diagnosis } from '../../src/diagnosis/types.js';
import { type FaultInstance, instantiate, loadFault, loadTopology, topologyOf } from '../../src/lab/index.js';
import type { Report } from '../../src/report/types.js';
import type { Library } from '../../src/scenarios/library.js';
import { answerReplay } from '../../src/scenarios/replay.js';
import type { RecordedCase } from './bench-run.js';

/** Bytes of one recording, and of all of them: they are in the repository. */
export const MAX_BYTES = 200_000;
export const MAX_TOTAL_BYTES = 15_000_000;

/** A diagnosis as a replay must give it. */
export type GoldenDiagnosis = Pick<Diagnosis, 'id' | 'severity' | 'confidence' | 'names'>;

/** A recording of a variant of a fault. */
export interface FaultRecording extends RecordedCase {
  /** Name of the file in {@link recordingsFolder}. */
  file: string;
  diagnoses: GoldenDiagnosis[];
}

export const recordingsFolder = packagePath('fixtures', 'fault-recordings');
const indexFile = packagePath('fixtures', 'fault-recordings', 'index.json');

/** The recordings that there are. */
export function faultRecordings(): FaultRecording[] {
  return existsSync(indexFile) ? (JSON.parse(readFileSync(indexFile, 'utf8')) as FaultRecording[]) : [];
}

/** The fault of a recording, as it was when it was made. */
export function instanceOf({ fault: id, variant }: RecordedCase): FaultInstance {
  const fault = loadFault(id);
  return instantiate(fault, loadTopology(topologyOf(fault, variant)), variant);
}

export async function replayedReport(library: Library, file: string): Promise<Report> {
  return answerReplay({ library, file, inThisThread: true });
}

export function goldenDiagnoses({ diagnoses }: Report): GoldenDiagnosis[] {
  return diagnoses.map(({ id, severity, confidence, names }) => ({ id, severity, confidence, names }));
}
