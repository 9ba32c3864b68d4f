// Mocha's spec or dot reporter, which also adds its counts to the file that scripts/test sums up.
const { appendFileSync } = require('node:fs');
const Mocha = require('mocha');

const Base = process.env.VDIAG_TEST_REPORTER === 'dot' ? Mocha.reporters.Dot : Mocha.reporters.Spec;

module.exports = class CountReporter extends Base {
  constructor(runner, options) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = runner.stats;
      const file = process.env.VDIAG_TEST_COUNTS;
      if (file) appendFileSync(file, `${passes} ${failures} ${pending}\n`);
    });
  }
};
