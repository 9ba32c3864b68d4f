import { expect } from 'chai';
import { execa } from 'execa';
import { packagePath } from '../../src/base/package-root.js';

describe('npm run test:kernels', () => {
  for (const [args, words] of [
    [['7.1'], /no kernel "7\.1"; expected 5\.10, 6\.1, 6\.12, newest/],
    [['--kernel', '/no/such/bzImage'], /--kernel: there is no \/no\/such\/bzImage/],
    [['--kernel', packagePath('package.json')], /package\.json is not a bzImage/],
    [['--btf', packagePath('package.json')], /--btf belongs to an image given with --kernel/],
    [['6.1', '--jobs', '0'], /--jobs 0: expected a number/],
    [['6.1', '--write-table'], /--write-table takes every kernel/],
    [['6.1', '--no-such-option'], /--no-such-option/],
  ] as const) {
    it(`${args.join(' ').replace(packagePath(), '')}: one message, status 2`, async function () {
      this.timeout(60_000);
      const result = await execa('npx', ['tsx', packagePath('scripts', 'test-kernels.ts'), ...args], {
        cwd: packagePath(),
        reject: false,
        env: { npm_config_loglevel: 'silent' },
      });
      expect(result.exitCode).to.equal(2);
      expect(result.stdout).to.equal('');
      const said = result.stderr.split('\n').filter((line) => !line.startsWith('npm '));
      expect(said).to.have.length(1);
      expect(said[0]).to.match(words);
    });
  }
});
