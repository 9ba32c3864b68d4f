import { Command, Option } from 'commander';
import { loadCatalogue, PROBE_GROUPS, PROBE_SETS, selectPoints } from '../../probes/catalogue.js';
import { planProbes } from '../../probes/plan.js';
import type { ProbeGroup, ProbeSet } from '../../probes/types.js';
import { examineKernel } from '../../scenarios/kernel.js';
import { table } from '../table.js';

/** `vdiag probes`: the catalogue, and how each point would attach here. */
export function probesCommand(): Command {
  const probes = new Command('probes').description('probe points of the kernel').addHelpText(
    'after',
    `
Examples:
  vdiag probes list --set standard
  vdiag probes list --group netfilter --available`,
  );
  probes
    .command('list')
    .description('every probe point; with --available how, or why not, it attaches on this kernel')
    .addOption(new Option('--set <set>', 'basic, standard or full').choices([...PROBE_SETS]).default('full'))
    .addOption(new Option('--group <groups...>', 'only these groups').choices([...PROBE_GROUPS]))
    .option('--available', 'ask this kernel', false)
    .option('--btf <file>', 'types of a kernel without BTF: BTF, vmlinux, offsets table or the name of a shipped one')
    .action((flags: { set: ProbeSet; group?: ProbeGroup[]; available: boolean; btf?: string }) => {
      const catalogue = loadCatalogue();
      const selection = { set: flags.set, groups: flags.group };
      if (!flags.available) {
        const rows = selectPoints(catalogue, selection).map(({ name, group, set, role, tracepoint, function: fn }) => [
          ...[name, group, set, role, tracepoint ?? '', fn ?? ''],
        ]);
        process.stdout.write(table(['probe', 'group', 'set', 'role', 'tracepoint', 'function'], rows));
        return;
      }
      const { capabilities, types } = examineKernel(flags.btf);
      const { plan } = planProbes(catalogue, selection, capabilities, types);
      const rows = plan.probes.map(({ point, backend, target, reasons }) => [
        ...[point.name, point.group, backend ?? '-', target ?? '', reasons.join('; ')],
      ]);
      process.stdout.write(table(['probe', 'group', 'backend', 'target', 'why not a better one'], rows));
      const attached = plan.probes.filter(({ backend }) => backend).length;
      process.stdout.write(`${attached} of ${plan.probes.length} can be attached here\n`);
    });
  return probes;
}
