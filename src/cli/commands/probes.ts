import { Command, Option } from 'commander';
import { MAX_PROBES } from '../../bpf/types.js';
import type { Language } from '../../knowledge/types.js';
import { availabilityOf } from '../../probes/availability.js';
import { loadCatalogue, PROBE_GROUPS, PROBE_SETS, selectPoints } from '../../probes/catalogue.js';
import { planProbes } from '../../probes/plan.js';
import type { ProbeGroup, ProbeSet } from '../../probes/types.js';
import { wrap } from '../../report/text/layout.js';
import { examineKernel } from '../../scenarios/kernel.js';
import { discoverFunctions } from '../../scenarios/discovery.js';
import { ALL_POINTS, availabilitySummary, groupTable, pointTable } from '../availability-text.js';
import { parseModules, terminalWidth } from '../options.js';
import { table } from '../table.js';

/** `vdiag probes`: the catalogue, and how each point would attach here. */
export function probesCommand(): Command {
  const probes = new Command('probes').description('probe points of the kernel').addHelpText(
    'after',
    `
Examples:
  vdiag probes list --set standard
  vdiag probes list --available
  vdiag probes list --available --group netfilter --all
  vdiag probes discover '^ovs_' --modules openvswitch`,
  );
  probes
    .command('list')
    .description(
      'every probe point; with --available how each attaches on this kernel, or why not, and what that hides',
    )
    .addOption(new Option('--set <set>', 'basic, standard or full').choices([...PROBE_SETS]).default('full'))
    .addOption(new Option('--group <groups...>', 'only these groups').choices([...PROBE_GROUPS]))
    .option('--available', 'ask this kernel', false)
    .option('--btf <file>', 'types of a kernel without BTF: BTF, vmlinux, offsets table or the name of a shipped one')
    .option('--all', 'with --available: each point, with its reasons, not the sum alone', false)
    .addOption(new Option('--format <format>', 'text or json').choices(['text', 'json']).default('text'))
    .addOption(new Option('--lang <language>', 'language of the text').choices(['en', 'zh']).default('en'))
    .action((flags: ListFlags) => {
      process.stdout.write(flags.available ? available(flags) : inCatalogue(flags));
    });
  probes
    .command('discover')
    .description('kernel functions that take a packet (struct sk_buff *), beside those that the catalogue has')
    .argument('[regex]', 'only functions of such a name')
    .option(
      '--modules <names>',
      'only these modules: names with commas, vmlinux for the kernel itself, or all',
      parseModules,
    )
    .option('--btf <file>', 'types of a kernel without BTF')
    .action((pattern: string | undefined, { modules, btf }: { modules?: string[] | 'all'; btf?: string }) => {
      const wish = { pattern, modules, most: MAX_PROBES };
      const { points, found, inCatalogue, notTraceable } = discoverFunctions(
        examineKernel(btf),
        loadCatalogue(),
        wish,
        0,
      );
      const rows = points.map(({ name, group, module }) => [name, group, module ?? '']);
      process.stdout.write(table(['function', 'group', 'module'], rows));
      const others = [`${inCatalogue} in the catalogue`, `${notTraceable} that may not be traced`];
      process.stdout.write(`${found} functions, beside ${others.join(' and ')}\n`);
    });
  return probes;
}

interface ListFlags {
  set: ProbeSet;
  group?: ProbeGroup[];
  available: boolean;
  all: boolean;
  btf?: string;
  format: 'text' | 'json';
  lang: Language;
}

/** What the catalogue says, whatever the kernel. */
function inCatalogue({ set, group, format }: ListFlags): string {
  const points = selectPoints(loadCatalogue(), { set, groups: group });
  if (format === 'json') return `${JSON.stringify(points, null, 2)}\n`;
  const rows = points.map(({ name, group: of, set: from, role, tracepoint, function: fn }) => [
    ...[name, of, from, role, tracepoint ?? '', fn ?? ''],
  ]);
  return table(['probe', 'group', 'set', 'role', 'tracepoint', 'function'], rows);
}

/** Lines longer than this are hard to follow from a name to its reason. */
const width = (): number => Math.min(100, terminalWidth());

/** How each point would be attached on this kernel. */
function available({ set, group, all, btf, format, lang }: ListFlags): string {
  const { capabilities, types } = examineKernel(btf);
  const { plan } = planProbes(loadCatalogue(), { set, groups: group }, capabilities, types);
  const found = availabilityOf(plan);
  if (format === 'json') {
    return `${JSON.stringify({ kernel: { release: capabilities.release, arch: capabilities.arch }, ...found }, null, 2)}\n`;
  }
  const lines = all ? [...pointTable(found, lang, width()), ''] : [...groupTable(found, lang), ''];
  lines.push(...availabilitySummary(found, lang, width()));
  if (!all) lines.push('', ...wrap(ALL_POINTS[lang], width()));
  return `${lines.join('\n')}\n`;
}
