/**
 * Records the bundled recordings anew, live, on this machine: `npm run record:fixtures [LAB ...]` (as root). A recording
 * replaces the one that is there only if the run's first diagnosis is the expected one. Then `npm run golden`.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packagePath } from '../src/base/package-root.js';
import type { Report } from '../src/report/types.js';
import { FIXTURES, type Fixture, MAX_FIXTURE_BYTES, recordingFile } from './recordings.js';

/** Why a run cannot be a fixture; undefined when it can. */
function objection({ diagnosis }: Fixture, report: Report, bytes: number): string | undefined {
  const found = report.diagnoses.find(({ severity }) => severity !== 'info')?.id;
  if (found !== diagnosis) return `diagnosed as ${found ?? 'healthy'} instead of ${diagnosis ?? 'healthy'}`;
  if (report.verdict.caveat !== undefined) return report.verdict.caveat;
  return bytes > MAX_FIXTURE_BYTES ? `${bytes} bytes, more than ${MAX_FIXTURE_BYTES}` : undefined;
}

/** A recording is its owner's alone; one that is published is everybody's. */
function publish(from: string, to: string): void {
  copyFileSync(from, to);
  chmodSync(to, 0o644);
}

function record(fixture: Fixture, folder: string): boolean {
  const { lab, scenario } = fixture;
  const file = join(folder, `${lab}.vdiag`);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      ...[packagePath('dist', 'cli', 'main.js'), 'run', '--lab', lab, '--scenario', scenario],
      ...['--record', file, '--format', 'json', '--fail-on', 'never'],
    ],
    { encoding: 'utf8', maxBuffer: 64 << 20 },
  );
  if (status !== 0) {
    process.stderr.write(`${lab}: status ${status}: ${stderr}`);
    return false;
  }
  const bytes = statSync(file).size;
  const why = objection(fixture, JSON.parse(stdout) as Report, bytes);
  if (why === undefined) publish(file, recordingFile(fixture));
  process.stdout.write(`${lab}: ${why === undefined ? `${bytes} bytes` : `not taken: ${why}`}\n`);
  return why === undefined;
}

const wanted = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'vdiag-fixtures-'));
mkdirSync(dirname(recordingFile(FIXTURES[0])), { recursive: true });
try {
  const results = FIXTURES.filter(({ lab }) => wanted.length === 0 || wanted.includes(lab)).map((fixture) =>
    record(fixture, folder),
  );
  process.exitCode = results.length > 0 && results.every(Boolean) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
