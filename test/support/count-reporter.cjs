// Mocha's spec or dot reporter, which also adds its counts and what failed or was skipped to the files that
// scripts/test prints at the end: whoever sees only the last page of a long run sees the failures.
const { appendFileSync } = require('node:fs');
const Mocha = require('mocha');

const Base = process.env.VDIAG_TEST_REPORTER === 'dot' ? Mocha.reporters.Dot : Mocha.reporters.Spec;
/** Characters of a failure's message that the closing list keeps. */
const MESSAGE_LENGTH = 1500;

const titleOf = (test) =>
  `${process.env.VDIAG_TEST_KERNELS ? `kernel ${process.env.VDIAG_TEST_KERNELS}: ` : ''}${test.fullTitle()}`;

module.exports = class CountReporter extends Base {
  constructor(runner, options) {
    super(runner, options);
    const { EVENT_RUN_END, EVENT_TEST_FAIL, EVENT_TEST_PENDING } = Mocha.Runner.constants;
    const { VDIAG_TEST_COUNTS: counts, VDIAG_TEST_NOTES: notes } = process.env;
    if (counts)
      runner.once(EVENT_RUN_END, () => {
        const { passes, failures, pending } = runner.stats;
        appendFileSync(counts, `${passes} ${failures} ${pending}\n`);
      });
    if (notes) {
      runner.on(EVENT_TEST_PENDING, (test) => appendFileSync(notes, `skipped: ${titleOf(test)}\n`));
      runner.on(EVENT_TEST_FAIL, (test, error) =>
        appendFileSync(notes, `FAILED: ${titleOf(test)}\n${String(error?.stack ?? error).slice(0, MESSAGE_LENGTH)}\n`),
      );
    }
  }
};
