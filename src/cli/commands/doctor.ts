import { Command, Option } from 'commander';
import { EXIT } from '../../base/errors.js';
import { printable } from '../../base/sanitize.js';
import type { Language } from '../../knowledge/types.js';
import { type Availability, availabilityOf } from '../../probes/availability.js';
import { loadCatalogue, PROBE_GROUPS, PROBE_SETS } from '../../probes/catalogue.js';
import { type Check, type DoctorReport, examineHost } from '../../probes/doctor.js';
import { planProbes } from '../../probes/plan.js';
import type { ProbeGroup, ProbeSet } from '../../probes/types.js';
import { colours } from '../../report/text/colours.js';
import { wrap } from '../../report/text/layout.js';
import { hostForDoctor } from '../../scenarios/kernel.js';
import { availabilitySummary, groupTable, pointTable } from '../availability-text.js';
import { checkTexts, doctorWords } from '../doctor-words.js';
import { terminalWidth, wantsColour } from '../options.js';

interface DoctorFlags {
  format: 'text' | 'json';
  lang: Language;
  btf?: string;
  set: ProbeSet;
  group?: ProbeGroup[];
  all: boolean;
}

/** `vdiag doctor`: what this host allows, what can be attached, and what each lack hides. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('what this host allows, what each lack hides, and the command that cures it')
    .addOption(
      new Option('--set <set>', 'probe points looked at: basic, standard or full')
        .choices([...PROBE_SETS])
        .default('standard'),
    )
    .addOption(new Option('--group <groups...>', 'only points of these groups').choices([...PROBE_GROUPS]))
    .option('--all', 'every tool and every probe point, with its backend and why not a better one', false)
    .addOption(new Option('--format <format>', 'text or json').choices(['text', 'json']).default('text'))
    .addOption(new Option('--lang <language>', 'language of the text').choices(['en', 'zh']).default('en'))
    .option('--btf <file>', 'types of a kernel without BTF: BTF, vmlinux, offsets table or the name of a shipped one')
    .addHelpText(
      'after',
      '\nExit status: 0 live tracing works, 3 it does not.\n\nExamples:\n  vdiag doctor\n  vdiag doctor --set full --group netfilter --all\n  vdiag doctor --format json',
    )
    .action((flags: DoctorFlags) => {
      const input = hostForDoctor(flags.btf);
      const report = examineHost(input);
      const selection = { set: flags.set, groups: flags.group };
      const { plan } = planProbes(loadCatalogue(), selection, input.capabilities, input.types);
      const points = availabilityOf(plan);
      if (flags.format === 'json') process.stdout.write(`${JSON.stringify({ ...report, points }, null, 2)}\n`);
      else process.stdout.write(text(report, points, flags));
      process.exitCode = report.canTrace ? EXIT.clean : EXIT.cannotRun;
    });
}

function text({ kernel, checks, canTrace }: DoctorReport, points: Availability, { lang, all }: DoctorFlags): string {
  const words = doctorWords(lang);
  const width = Math.min(100, terminalWidth());
  const tools = checks.filter(({ id }) => id.startsWith('tool:'));
  // What is there needs no line each: the lacks must not drown in it.
  const shown = all ? checks : checks.filter((check) => !tools.includes(check) || check.state !== 'ok');
  const lines = [
    `${words.kernel} ${printable(kernel.release)} (${kernel.arch})`,
    '',
    ...shown.flatMap((check) => checkLines(check, lang, width)),
  ];
  if (!all && tools.some(({ state }) => state === 'ok')) {
    const found = tools.filter(({ state }) => state === 'ok').length;
    lines.push(...badged('ok', words.tools(found, tools.length), lang, width));
  }
  lines.push('', ...(all ? pointTable(points, lang, width) : groupTable(points, lang)));
  lines.push('', ...availabilitySummary(points, lang, width), '');
  if (!all) lines.push(...wrap(words.more, width));
  lines.push(canTrace ? words.canTrace : words.cannotTrace);
  return `${lines.join('\n')}\n`;
}

function checkLines(check: Check, language: Language, width: number): string[] {
  const { state, cure } = check;
  const words = doctorWords(language);
  const { found, hides } = checkTexts(check, language);
  const lines = badged(state === 'ok' && check.hides ? 'spare' : state, found, language, width);
  const indented = (label: string, what: string): string[] =>
    wrap(`${label}${printable(what)}`, width - 6).map((line) => `      ${line}`);
  if (hides) lines.push(...indented(words.hides, hides));
  // A command stays on one line, to be copied.
  if (cure) lines.push(`      ${words.cure}${printable(cure)}`);
  return lines;
}

function badged(
  state: keyof ReturnType<typeof doctorWords>['badges'],
  what: string,
  language: Language,
  width: number,
): string[] {
  const paint = colours(wantsColour());
  const badge = doctorWords(language).badges[state];
  const painted = {
    ok: paint.level.clean,
    /** Missing, but nothing that a report shows is hidden by it. */
    spare: paint.dim,
    warn: paint.level.warn,
    fail: paint.level.error,
  }[state](badge);
  const [first, ...rest] = wrap(printable(what), width - 6);
  return [`${painted}  ${first ?? ''}`, ...rest.map((line) => `      ${line}`)];
}
