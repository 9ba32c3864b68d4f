// Mocha's spec or dot reporter, which also notes in the files that VDIAG_TEST_COUNTS and VDIAG_TEST_NOTES name how many tests
// passed, failed and were skipped, and which: scripts/mocha-again.ts and scripts/test read them.
const { appendFileSync } = require('node:fs');
const Mocha = require('mocha');

const Base = process.env.VDIAG_TEST_REPORTER === 'dot' ? Mocha.reporters.Dot : Mocha.reporters.Spec;
/** Characters of a failure's message that are kept. */
const MESSAGE_LENGTH = 1500;

/** What is told of an error: its message, and where in a test it came up. */
function told(error) {
  const lines = String(error?.stack ?? error)
    .slice(0, MESSAGE_LENGTH)
    .split('\n');
  return lines.filter((line) => !/^\s+at .*node:internal/.test(line)).join('\n');
}

module.exports = class CountReporter extends Base {
  constructor(runner, options) {
    super(runner, options);
    const { EVENT_RUN_END, EVENT_TEST_FAIL, EVENT_TEST_PENDING } = Mocha.Runner.constants;
    const { VDIAG_TEST_COUNTS: counts, VDIAG_TEST_NOTES: notes } = process.env;
    const note = (kind, test, message) =>
      appendFileSync(notes, `${JSON.stringify({ kind, title: test.fullTitle(), file: test.file, message })}\n`);
    if (counts)
      runner.once(EVENT_RUN_END, () => {
        const { passes, failures, pending } = runner.stats;
        appendFileSync(counts, `${passes} ${failures} ${pending}\n`);
      });
    if (notes) {
      runner.on(EVENT_TEST_PENDING, (test) => note('skipped', test));
      runner.on(EVENT_TEST_FAIL, (test, error) => note('failed', test, told(error)));
    }
  }
};
