// Writes docs/probes.md, the reference of probe points, from the catalogue, so that it cannot drift from it.
import { writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { packagePath } from '../src/base/package-root.js';
import { type Catalogue, PROBE_GROUPS, PROBE_SETS, loadCatalogue, selectPoints } from '../src/probes/catalogue.js';
import type { ProbeGroup, ProbePoint } from '../src/probes/types.js';

const GROUPS: Record<ProbeGroup, string> = {
  l2: 'Devices, queues, bridges, tunnels, neighbours',
  l3: 'IP: input, forwarding, output, routing, fragments, errors, IPsec',
  l4: 'TCP, UDP, ICMP',
  netfilter: 'Firewalls, address translation, connection tracking, IPVS',
  lifecycle: 'How a packet is copied and ends',
  socket: 'Sockets and their queues, TCP timers',
  sched: "The wait of a consumer's thread for a CPU",
  virt: 'Where guests and virtual switches meet the host',
};

const INTRODUCTION = `# Probe points

<!-- Generated from bpf/probes/*.yaml by scripts/generate-probe-docs.ts: change those, not this page. -->

A probe is one place in the kernel that vdiag watches. Rules name probes in \`on:\`, reports print them. Which of them a
run attaches is chosen by its scenario (\`probes.set\`, and \`probes.also\` beside it), \`--set\` and \`--group\`; \`--require\` adds single ones. For each, vdiag takes
the best way of attaching that this kernel allows (raw tracepoint, then kprobe-multi, kprobe, fentry; fexit, a kprobe session
or a kretprobe where the return value is wanted). One that cannot be had is left out, and the report's coverage section says what is not
seen for want of it.

- **set**: the smallest set that holds the probe. Each set holds the one before.
- **role**: what passing the point means for a packet; segments and diagnoses speak of roles.
- **where**: the tracepoint, else the function, with other names that it has on other kernels; in brackets the module, where
  it is not always built in.
- **returns**: what its return value or result means; with \`*\` it is always asked for.
- **kernels**: on which it was seen, of 4.19.90, 5.10, 6.1, 6.12 and the newest (7.2); a test compares this with their types
  and symbols. Empty: on none of these under this name, mostly because compilers inline it.

Points that have no packet among their arguments (a tap's reader, vhost's workers, KVM's exits, interrupts, system
calls) are of the programs \`count\`, \`point\` and \`failure\`. Hot ones are only counted: the number of hits of each
stands in the report's coverage (\`--format json\`, \`hits\`), and nothing is sent. \`point\` records each hit, \`failure\`
those that return an error. Of the run's filter they heed namespace, device and process, as far as these are known there.

- **tier**: \`core\` points are there on every kernel that vdiag is tested on; \`error\` where something goes wrong;
  \`optimisation\` short cuts, which compilers often inline; \`detail\` the steps in between, and devices that not every
  host has.
`;

/** The reference as Markdown. */
export function probeReference(catalogue: Catalogue): string {
  const counts = PROBE_SETS.map((set) => `\`${set}\` ${selectPoints(catalogue, { set }).length}`).join(', ');
  const sections = PROBE_GROUPS.map((group) =>
    section(
      group,
      catalogue.points.filter((point) => point.group === group),
    ),
  );
  return `${INTRODUCTION}\nProbes by set: ${counts}.\n${sections.join('')}`;
}

function section(group: ProbeGroup, points: ProbePoint[]): string {
  const rows = points.map((point) => {
    const returns = point.returns ? `${point.returns}${point.wantReturn ? ' \\*' : ''}` : '';
    const cells = [
      `\`${point.name}\``,
      point.set,
      point.role,
      point.tier ?? '',
      where(point),
      point.program,
      returns,
      capital(point.hides),
      point.kernels ?? '',
    ];
    return `| ${cells.join(' | ')} |\n`;
  });
  return `\n## ${group}: ${GROUPS[group]}\n\n| probe | set | role | tier | where | program | returns | shows | kernels |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n${rows.join('')}`;
}

function where(point: ProbePoint): string {
  const functions = [...(point.function ? [point.function] : []), ...(point.aliases ?? [])].map(
    (name) => `\`${name}\``,
  );
  const places = [...(point.tracepoint ? [`tracepoint \`${point.tracepoint}\``] : []), ...functions];
  return `${places.join(', else ')}${point.module ? ` (${point.module})` : ''}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(packagePath('docs', 'probes.md'), probeReference(loadCatalogue()));
}
