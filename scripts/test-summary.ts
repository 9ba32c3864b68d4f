/** The end of `npm test`: what failed, what passed only when it was run again, what was skipped; then the counts. */
import { existsSync, readFileSync } from 'node:fs';

const [counts, notes] = process.argv.slice(2);
const linesOf = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];

const noted = linesOf(notes).map((line) => JSON.parse(line) as { kind: string; title: string; message?: string });
for (const [kind, words] of [
  ['skipped', 'skipped'],
  ['again', 'failed at first, passed when run again'],
  ['failed', 'FAILED'],
]) {
  for (const { title, message } of noted.filter((note) => note.kind === kind))
    process.stdout.write(`${words}: ${title}\n${message === undefined ? '' : `${message}\n`}`);
}
const [passed, failed, skipped] = linesOf(counts)
  .map((line) => line.split(' ').map(Number))
  .reduce((x, y) => x.map((sum, i) => sum + y[i]), [0, 0, 0]);
process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
