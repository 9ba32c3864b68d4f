import { Command, Option } from 'commander';
import { EXIT, VdiagError } from '../../base/errors.js';
import { printable } from '../../base/sanitize.js';
import { runRuleTests } from '../../rules/rule-tests.js';
import { loadLibrary } from '../../scenarios/library.js';
import { didYouMean } from '../../base/suggest.js';
import { collect } from '../options.js';
import { table } from '../table.js';

const folders = () =>
  new Option('--rules <dir>', 'a folder (or file) of your own rules (repeatable)').argParser(collect).default([]);

/** `vdiag rules`: the rules in force. */
export function rulesCommand(): Command {
  const rules = new Command('rules').description('the rules in force, yours among them').addHelpText(
    'after',
    `
Examples:
  vdiag rules list --layer netfilter
  vdiag rules show firewall-rule-drops-flow
  vdiag rules lint --rules ./my-rules`,
  );
  rules
    .command('list')
    .description('every event rule and diagnosis')
    .option('--layer <layer>', 'only this layer (or "diagnosis")')
    .addOption(folders())
    .action((flags: { layer?: string; rules: string[] }) => {
      const library = loadLibrary(flags);
      const rows = [
        ...library.rules.map(({ id, level, layer, article }) => [id, level, layer as string, article]),
        ...library.diagnoses.map(({ id, severity, article }) => [id, severity, 'diagnosis', article]),
      ];
      const layers = [...new Set(rows.map((row) => row[2]))];
      if (flags.layer !== undefined && !layers.includes(flags.layer)) {
        throw new VdiagError(
          {
            message: `there is no layer "${flags.layer}"`,
            expected: `one of ${layers.join(', ')}`,
            hint: didYouMean(flags.layer, layers),
          },
          2,
        );
      }
      process.stdout.write(
        table(
          ['rule', 'level', 'layer', 'article'],
          rows.filter((row) => flags.layer === undefined || row[2] === flags.layer),
        ),
      );
    });
  rules
    .command('show')
    .description('one rule or diagnosis, as it stands after macros, overrides and level changes')
    .argument('<id>')
    .addOption(folders())
    .action((id: string, flags: { rules: string[] }) => {
      const library = loadLibrary(flags);
      const all = [...library.rules, ...library.diagnoses];
      const rule = all.find((one) => one.id === id);
      if (!rule) {
        throw new VdiagError(
          {
            message: `there is no rule "${id}"`,
            hint:
              didYouMean(
                id,
                all.map((one) => one.id),
              ) ?? 'vdiag rules list shows all',
          },
          2,
        );
      }
      process.stdout.write(`${printable(JSON.stringify(rule, null, 2), { multiline: true })}\n`);
    });
  rules
    .command('lint')
    .description('check every rule file; each mistake with its line')
    .addOption(folders())
    .action((flags: { rules: string[] }) => {
      const { rules: loaded, diagnoses, files, disabled } = loadLibrary(flags);
      const off = disabled.length > 0 ? `, ${disabled.length} disabled` : '';
      process.stdout.write(
        `${files.length} files, ${loaded.length} rules, ${diagnoses.length} diagnoses${off}: no mistakes\n`,
      );
    });
  rules
    .command('test')
    .description('run the tests that rules carry')
    .addOption(folders())
    .action((flags: { rules: string[] }) => {
      const { run, failed } = runRuleTests(loadLibrary(flags).rules);
      for (const { rule, index, expected, got, source } of failed) {
        process.stdout.write(`${source}: test ${index + 1} of ${rule} expects ${expected}, got ${got}\n`);
      }
      process.stdout.write(`${run - failed.length} of ${run} tests of rules passed\n`);
      process.exitCode = failed.length > 0 ? EXIT.found : EXIT.clean;
    });
  return rules;
}
