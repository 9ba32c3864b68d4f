/**
 * `npm run record:faults -- DIR`: takes the recordings that `npm run faults -- --record DIR` kept, replays each, and makes those
 * that are precise and small the fixtures of their variants, with their golden diagnoses. Without DIR: the golden diagnoses anew.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { loadLibrary } from '../src/scenarios/library.js';
import type { RecordedCase } from '../test/faults/bench-run.js';
import {
  type FaultRecording,
  faultRecordings,
  goldenDiagnoses,
  instanceOf,
  MAX_BYTES,
  MAX_TOTAL_BYTES,
  recordingsFolder,
  replayedReport,
} from '../test/faults/recordings.js';
import { repacked } from '../test/faults/repack.js';
import { scoreReport } from '../test/faults/score.js';

const library = loadLibrary();
const [folder] = process.argv.slice(2);
const known = new Map(faultRecordings().map((recording) => [recording.file, recording]));

/** The golden diagnoses of a recording, or why it is not taken. */
async function examine(path: string, made: RecordedCase, size: number): Promise<FaultRecording['diagnoses'] | string> {
  if (size > MAX_BYTES) return `${size} bytes, more than ${MAX_BYTES}`;
  const report = await replayedReport(library, path);
  const { score, why } = scoreReport(report, instanceOf(made));
  return score === 'precise' ? goldenDiagnoses(report) : `${score}: ${why}`;
}

let failed = 0;
if (folder === undefined) {
  for (const recording of known.values()) {
    const path = join(recordingsFolder, recording.file);
    const golden = await examine(path, recording, statSync(path).size);
    if (typeof golden !== 'string') recording.diagnoses = golden;
    else {
      failed++;
      process.stdout.write(`${recording.file}: ${golden}\n`);
    }
  }
} else {
  mkdirSync(recordingsFolder, { recursive: true });
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.vdiag'));
  for (const name of files.sort()) {
    const path = join(folder, name);
    const file = basename(name);
    const made = JSON.parse(readFileSync(path.replace(/\.vdiag$/, '.case.json'), 'utf8')) as RecordedCase;
    const small = repacked(path);
    const golden = await examine(path, made, small.byteLength);
    process.stdout.write(`${name}: ${typeof golden === 'string' ? `not taken: ${golden}` : 'taken'}\n`);
    if (typeof golden === 'string') continue;
    writeFileSync(join(recordingsFolder, file), small);
    known.set(file, { file, ...made, diagnoses: golden });
  }
}
const all = [...known.values()].sort((x, y) => (x.file < y.file ? -1 : 1));
writeFileSync(join(recordingsFolder, 'index.json'), `[\n${all.map((one) => JSON.stringify(one)).join(',\n')}\n]\n`);
const total = all.reduce((sum, { file }) => sum + statSync(join(recordingsFolder, file)).size, 0);
process.stdout.write(`${all.length} recordings, ${(total / 1e6).toFixed(1)} of ${MAX_TOTAL_BYTES / 1e6} MB\n`);
process.exitCode = failed > 0 || total > MAX_TOTAL_BYTES ? 1 : 0;
