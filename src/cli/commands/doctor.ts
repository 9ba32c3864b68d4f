import { Command, Option } from 'commander';
import { EXIT } from '../../base/errors.js';
import { printable } from '../../base/sanitize.js';
import { examineHost } from '../../probes/doctor.js';
import { hostForDoctor } from '../../scenarios/kernel.js';
import { colours } from '../../report/text/colours.js';
import { wrap } from '../../report/text/layout.js';
import { terminalWidth } from '../options.js';

/** `vdiag doctor`: what this host allows, and what each lack hides. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('what this host allows, what each lack hides, and the command that cures it')
    .addOption(new Option('--format <format>', 'text or json').choices(['text', 'json']).default('text'))
    .option('--btf <file>', 'types of a kernel without BTF: BTF, vmlinux, offsets table or the name of a shipped one')
    .addHelpText(
      'after',
      '\nExit status: 0 live tracing works, 3 it does not.\n\nExamples:\n  vdiag doctor\n  vdiag doctor --format json',
    )
    .action(({ format, btf }: { format: 'text' | 'json'; btf?: string }) => {
      const report = examineHost(hostForDoctor(btf));
      if (format === 'json') process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
      else process.stdout.write(text(report));
      process.exitCode = report.canTrace ? EXIT.clean : EXIT.cannotRun;
    });
}

function text({ kernel, checks, canTrace }: ReturnType<typeof examineHost>): string {
  const paint = colours(Boolean(process.stdout.isTTY) && !process.env.NO_COLOR);
  const badge = {
    ok: paint.level.clean('ok  '),
    /** Missing, but nothing that a report shows is hidden by it. */
    spare: paint.dim('-   '),
    warn: paint.level.warn('lack'),
    fail: paint.level.error('FAIL'),
  };
  const lines = [`kernel ${printable(kernel.release)} (${kernel.arch})`, ''];
  for (const { state, found, hides, cure } of checks) {
    const [first, ...rest] = wrap(printable(found), terminalWidth() - 6);
    lines.push(
      `${badge[state === 'ok' && hides ? 'spare' : state]}  ${first ?? ''}`,
      ...rest.map((line) => `      ${line}`),
    );
    if (hides) lines.push(...wrap(`hides: ${printable(hides)}`, terminalWidth() - 6).map((line) => `      ${line}`));
    if (cure) lines.push(`      cure:  ${printable(cure)}`);
  }
  lines.push(
    '',
    canTrace
      ? 'Live tracing works here.'
      : 'Live tracing does not work here; recordings can be replayed (vdiag run --replay).',
  );
  return `${lines.join('\n')}\n`;
}
