import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadLibrary } from '../../src/scenarios/library.js';
import {
  faultRecordings,
  goldenDiagnoses,
  instanceOf,
  MAX_BYTES,
  MAX_TOTAL_BYTES,
  recordingsFolder,
  replayedReport,
} from './recordings.js';
import { scoreReport } from './score.js';

describe('recorded faults', function () {
  this.timeout(60_000);
  const library = loadLibrary();
  const recordings = faultRecordings();

  it('are those of the index, and small', () => {
    const files = recordings.map(({ file }) => file);
    expect(
      readdirSync(recordingsFolder)
        .filter((name) => name !== 'index.json')
        .sort(),
    ).to.deep.equal(files.sort());
    const sizes = files.map((file) => statSync(join(recordingsFolder, file)).size);
    expect(Math.max(...sizes)).to.be.at.most(MAX_BYTES);
    expect(sizes.reduce((x, y) => x + y)).to.be.at.most(MAX_TOTAL_BYTES);
  });

  for (const recording of recordings) {
    it(`${recording.file}: precise, with its golden diagnoses (npm run record:faults writes them anew)`, async () => {
      const report = await replayedReport(library, join(recordingsFolder, recording.file));
      const { score, why } = scoreReport(report, instanceOf(recording));
      expect(score, why).to.equal('precise');
      expect(goldenDiagnoses(report)).to.deep.equal(recording.diagnoses);
    });
  }
});
