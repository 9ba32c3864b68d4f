import { Command } from 'commander';
import { VdiagError } from '../../base/errors.js';
import { faultIds, labDown, labDownAll, listLabs, loadFault, loadTopology, topologyIds } from '../../lab/index.js';
import { bringUp } from '../lab-run.js';
import { collect } from '../options.js';
import { table } from '../table.js';

/** `vdiag lab`: network namespaces with a fault in them, to try, to test and to learn. */
export function labCommand(): Command {
  const lab = new Command('lab')
    .description('network namespaces with a fault in them, to try and to learn')
    .addHelpText(
      'after',
      `
Examples:
  vdiag lab list
  vdiag lab up slow-bridge-port --set rate=300kbit
  vdiag run --lab slow-bridge-port
  vdiag lab down --all`,
    );
  lab
    .command('list')
    .description('topologies and faults there are, and labs that are up')
    .action(async () => {
      process.stdout.write(
        table(
          ['lab', 'topology', 'what'],
          [
            ...topologyIds().map((id) => [id, '(healthy)', loadTopology(id).title]),
            ...faultIds().map((id) => [id, loadFault(id).topology, loadFault(id).title]),
          ],
        ),
      );
      const up = await listLabs();
      for (const { id, namespaces, processes } of up) {
        process.stdout.write(`up: ${id} (${namespaces.join(', ')}; ${processes} processes)\n`);
      }
    });
  lab
    .command('up')
    .description('bring a topology up, with its fault if it is a fault’s id')
    .argument('<name>', 'a topology or a fault (vdiag lab list), or a YAML file')
    .option('--set <name=value>', 'choose a value of the fault (repeatable)', collect, [])
    .action(async (name: string, { set }: { set: string[] }) => {
      const { lab: made, instance } = await bringUp(name, set);
      process.stdout.write(
        `${made.id} is up: ${Object.values(made.namespaces)
          .map((ns) => ns.name)
          .join(', ')}\n`,
      );
      for (const { namespace, argv } of instance?.inject ?? [])
        process.stdout.write(`  in ${namespace}: ${argv.join(' ')}\n`);
      const [first] = Object.values(made.endpoints);
      process.stdout.write(
        `try: ip netns exec ${made.namespaces[first.namespace].name} ping ${Object.values(made.endpoints)[1]?.address ?? ''}\n`,
      );
      process.stdout.write(`end: vdiag lab down ${made.id}\n`);
    });
  lab
    .command('down')
    .description('remove a lab and every process in it')
    .argument('[name]', 'the lab')
    .option('--all', 'every lab of this machine, also what a crash left behind', false)
    .action(async (name: string | undefined, { all }: { all: boolean }) => {
      if (all === (name !== undefined)) {
        throw new VdiagError(
          {
            message: 'lab down takes a name or --all',
            expected: 'one of them',
            hint: 'vdiag lab list shows what is up',
          },
          2,
        );
      }
      const removed = name === undefined ? await labDownAll() : await labDown(topologyOf(name));
      process.stdout.write(removed.length > 0 ? `removed ${removed.join(', ')}\n` : 'nothing to remove\n');
    });
  return lab;
}

/** A lab's id: the name that it was brought up by. */
function topologyOf(name: string): string {
  return name.replace(/^.*\//, '').replace(/\.ya?ml$/, '');
}
