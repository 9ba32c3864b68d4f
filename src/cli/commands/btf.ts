import { release } from 'node:os';
import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { EXIT, VdiagError } from '../../base/errors.js';
import { printable } from '../../base/sanitize.js';
import { openGivenTypes } from '../../bpf/synthesis/given-types.js';
import { checkTypes, type TypesReport } from '../../scenarios/given-kernel.js';
import { makeTypes, type MakeTypes } from '../../scenarios/make-types.js';
import { table } from '../table.js';

/** `vdiag btf`: the types of kernels that do not tell them. */
export function btfCommand(): Command {
  return new Command('btf')
    .description('types (BTF) for kernels that have none: make them, check them')
    .addHelpText(
      'after',
      `
Examples:
  vdiag btf make --headers /lib/modules/$(uname -r)/build -o kernel.yaml
  vdiag btf make --vmlinux /usr/lib/debug/boot/vmlinux-$(uname -r) -o kernel.btf
  vdiag btf check kernel.yaml
  vdiag run --btf kernel.yaml`,
    )
    .addCommand(makeCommand())
    .addCommand(checkCommand());
}

function makeCommand(): Command {
  return new Command('make')
    .description('make BTF, or an offsets table (FILE.yaml), out of what there is of a kernel')
    .addOption(
      new Option('--vmlinux <file>', 'an uncompressed kernel with BTF, or with debug information (takes pahole)'),
    )
    .addOption(
      new Option('--headers <dir>', 'the headers that modules are built with (takes make and gcc)').conflicts(
        'vmlinux',
      ),
    )
    .addOption(new Option('--offsets <file>', 'an offsets table').conflicts(['vmlinux', 'headers']))
    .requiredOption('-o, --out <file>', 'what to write: NAME.yaml is an offsets table, anything else BTF')
    .option('--kernel <release>', 'release that a vmlinux is of, for the table (default: the running one)', release())
    .option('--force', 'replace the output if it exists', false)
    .addHelpText(
      'after',
      `
Headers tell where structures have their members, not what arguments functions take: of those the probe catalogue's own
positions are used, and points for which it has none are left out. A vmlinux tells both.

Examples:
  vdiag btf make --headers /lib/modules/$(uname -r)/build -o kernel.yaml
  vdiag btf make --vmlinux vmlinux -o kernel.yaml
  vdiag btf make --offsets kernel.yaml -o kernel.btf`,
    )
    .action(async (flags: MakeTypes) => {
      if ((flags.vmlinux ?? flags.headers ?? flags.offsets) === undefined) {
        throw new VdiagError(
          { message: 'nothing to make types of', expected: 'one of --vmlinux, --headers, --offsets' },
          2,
        );
      }
      const { file, bytes, members, missing } = await makeTypes(flags);
      const what = members === undefined ? 'all types of that kernel' : `${members} members`;
      process.stdout.write(`${printable(file)}: ${what}, ${bytes} bytes\n`);
      if (missing.length > 0) {
        process.stdout.write(`not found, so that some probes are left out: ${missing.join(', ')}\n`);
      }
    });
}

function checkCommand(): Command {
  return new Command('check')
    .description('whether types fit the running kernel: complete, equal to its own, right when used')
    .argument('[file]', 'BTF, vmlinux, offsets table or the name of a shipped one (default: the kernel’s own)')
    .addOption(new Option('--format <format>', 'text or json').choices(['text', 'json']).default('text'))
    .addHelpText(
      'after',
      '\nSends a few packets to itself in a network namespace made for it, and compares what is read in the kernel.' +
        '\n\nExit status: 0 they fit, 1 they do not, 3 it could not be tried.\n\nExamples:\n  vdiag btf check 4.19.90',
    )
    .action((file: string | undefined, { format }: { format: 'text' | 'json' }) => {
      const given = file === undefined ? undefined : openGivenTypes(file);
      try {
        const report = checkTypes(given, existsSync('/sys/kernel/btf/vmlinux'));
        process.stdout.write(format === 'json' ? `${JSON.stringify(report, null, 2)}\n` : text(report));
        process.exitCode = report.fits ? EXIT.clean : EXIT.found;
      } finally {
        given?.close();
      }
    });
}

function text(report: TypesReport): string {
  const { given, kernel, madeFor, members, lacking, differences, live, fits } = report;
  const lines = [
    `types: ${printable(given ?? 'the kernel’s own')}${madeFor ? ` (made for ${printable(madeFor)})` : ''}`,
  ];
  lines.push(`kernel: ${printable(kernel)}`, '');
  const missing = [...new Set(lacking.flatMap((one) => one.missing))];
  lines.push(
    missing.length === 0
      ? `complete: all ${members} members that programs read`
      : `incomplete: ${missing.join(', ')}; left out: ${[...new Set(lacking.map(({ program }) => family(program)))].join(', ')}`,
  );
  if (differences) {
    lines.push(differences.length === 0 ? 'equal to the kernel’s own' : 'different from the kernel’s own:');
    if (differences.length > 0) {
      const rows = differences.map((one) => [one.member, one.given, one.kernel]);
      lines.push(table(['member', 'these types', 'the kernel'], rows).trimEnd());
    }
  }
  const wrong = live.filter(({ ok }) => !ok);
  lines.push(
    wrong.length === 0
      ? `right: ${live.length} things read of packets and sockets of vdiag’s own`
      : `wrong: ${wrong.length} of ${live.length} things read of packets and sockets of vdiag’s own:`,
  );
  if (wrong.length > 0) {
    const rows = wrong.map(({ what, members: through, seen, expected }) => [what, through, seen, expected]);
    lines.push(table(['what', 'read through', 'seen', 'expected'], rows).trimEnd());
  }
  lines.push('', fits ? 'They fit.' : 'They do not fit this kernel: vdiag refuses them.');
  return `${lines.join('\n')}\n`;
}

/** `packet_raw_3` → `packet`: the programs differ only in how they get at arguments. */
function family(program: string): string {
  return program.replace(/_.*/, '');
}
