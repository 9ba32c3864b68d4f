import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import { packagePath } from '../../src/base/package-root.js';

describe('tests that are run again', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'vdiag-again-'))));
  after(() => rmSync(folder, { recursive: true }));

  /** Runs a file of tests as `npm test` does. */
  async function runTwice(name: string, tests: string): Promise<{ status?: number; summary: string }> {
    const [file, counts, notes] = ['.test.cjs', '.counts', '.notes'].map((ending) => join(folder, `${name}${ending}`));
    writeFileSync(file, `describe('these', () => {\n${tests}\n});\n`);
    const tsx = packagePath('node_modules', '.bin', 'tsx');
    const { exitCode } = await execa(tsx, [packagePath('scripts', 'mocha-again.ts'), '--timeout', '1000', file], {
      reject: false,
      cwd: packagePath(),
      env: { VDIAG_TEST_COUNTS: counts, VDIAG_TEST_NOTES: notes },
    });
    const { stdout } = await execa(tsx, [packagePath('scripts', 'test-summary.ts'), counts, notes]);
    expect(readFileSync(counts, 'utf8').trim().split('\n')).to.have.length(1);
    return { status: exitCode, summary: stdout };
  }

  it('pass when they pass then, and are told of; others are not run again', async () => {
    const mark = join(folder, 'been-here');
    const { status, summary } = await runTwice(
      'flaky',
      `const { existsSync, writeFileSync } = require('node:fs');
       it('once', () => { if (existsSync('${mark}')) return; writeFileSync('${mark}', ''); throw new Error('not yet'); });
       it('always', () => {});
       it.skip('never', () => {});`,
    );
    expect(status).to.equal(0);
    expect(summary.split('\n').slice(0, 3)).to.deep.equal([
      'skipped: these never',
      'failed at first, passed when run again: these once',
      'Error: not yet',
    ]);
    expect(summary).to.match(/\n2 passed, 0 failed, 1 skipped$/);
  });

  it('fail when they fail twice', async () => {
    const { status, summary } = await runTwice('broken', `it('never right', () => { throw new Error('no'); });`);
    expect(status).to.equal(1);
    expect(summary).to.match(/^FAILED: these never right\nError: no/);
    expect(summary).to.match(/\n0 passed, 1 failed$/);
  });

  it('fail when their file cannot be read at all', async () => {
    const { status, summary } = await runTwice('unreadable', 'this is no program');
    expect(status).to.equal(1);
    expect(summary).to.match(/^FAILED: the run itself\nmocha ended by status \d+\n0 passed, 1 failed$/);
  });
});
