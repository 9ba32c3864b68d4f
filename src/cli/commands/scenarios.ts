import { Command, Option } from 'commander';
import { printable } from '../../base/sanitize.js';
import { loadScenario, loadScenarios } from '../../scenarios/load.js';
import type { Scenario } from '../../scenarios/types.js';
import { wrap } from '../../report/text/layout.js';
import { terminalWidth } from '../options.js';
import { table } from '../table.js';

/** `vdiag scenarios`: the questions vdiag knows. */
export function scenariosCommand(): Command {
  const scenarios = new Command('scenarios')
    .description('the questions vdiag knows')
    .addHelpText('after', '\nExamples:\n  vdiag scenarios list\n  vdiag scenarios show vm-to-vm-latency');
  scenarios
    .command('list')
    .description('every scenario, yours among them')
    .action(() => {
      process.stdout.write(
        table(
          ['scenario', 'question'],
          loadScenarios().map(({ id, title }) => [id, title]),
        ),
      );
    });
  scenarios
    .command('show')
    .description('what a scenario traces, measures and reads')
    .argument('<id>')
    .addOption(new Option('--format <format>', 'text or json').choices(['text', 'json']).default('text'))
    .action((id: string, { format }: { format: 'text' | 'json' }) => {
      const scenario = loadScenario(id);
      const shown = format === 'json' ? `${JSON.stringify(scenario, null, 2)}\n` : text(scenario);
      process.stdout.write(printable(shown, { multiline: true }));
    });
  return scenarios;
}

function text(scenario: Scenario): string {
  const { id, title, description, probes, defaults, segments, before, examples } = scenario;
  const budget = (ms: number | undefined): string => (ms === undefined ? '' : `budget ${ms} ms`);
  return `${[
    `${id}: ${title}`,
    '',
    ...wrap(description.trim(), terminalWidth()),
    '',
    `traces ${defaults.durationSeconds} s with the probe set ${probes.set}${probes.groups ? ` (${probes.groups.join(', ')})` : ''}`,
    ...(segments.length > 0 ? ['measures'] : []),
    ...segments.map((segment) => `  ${segment.label}  ${budget(segment.budgetMs)}`.trimEnd()),
    `reads beforehand: ${before.join(', ')}`,
    '',
    'examples',
    ...examples.map((example) => `  ${example}`),
  ].join('\n')}\n`;
}
