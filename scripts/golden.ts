/** Writes the golden reports in test/golden/ anew, from replays of the bundled recordings: `npm run golden`. Read the diff. */
import { writeFileSync } from 'node:fs';
import { loadLibrary } from '../src/scenarios/library.js';
import { FIXTURES, GOLDEN_ENDINGS, goldenFile, replayed } from './recordings.js';

const library = loadLibrary();
for (const fixture of FIXTURES) {
  const texts = await replayed(library, fixture);
  for (const ending of GOLDEN_ENDINGS) writeFileSync(goldenFile(fixture, ending), texts[ending]);
}
