import type { KernelBtf } from '../../src/bpf/btf.js';
import type { BtfArgument } from '../../src/bpf/types.js';
import { type Catalogue, PROBE_GROUPS, PROBE_SETS } from '../../src/probes/catalogue.js';
import type { KernelFunctions } from '../../src/probes/kernel-functions.js';
import { functionNames, planProbes, qualifiedNames } from '../../src/probes/plan.js';
import { positionsOf } from '../../src/probes/positions.js';
import { meaningOnKernel } from '../../src/probes/returns.js';
import type { KernelCapabilities, PlannedProbe, ProbePoint } from '../../src/probes/types.js';
import { kernelFacts } from './kernel-btf.js';
import { EVERYTHING } from './plan.js';
import type { Kernel } from './vm-kernel.js';

/** Every module that a catalogue names, and what some of them live in besides. */
export function modulesOf(catalogue: Catalogue): string[] {
  const named = catalogue.points.flatMap(({ module }) => (module === undefined ? [] : [module]));
  return [...new Set([...named, 'kvm_intel', 'kvm_amd', 'gre', 'ip6_gre', 'udp_tunnel', 'ip_tunnel'])];
}

/** A kernel that can attach whatever it has: what it lacks then lies in the point alone. */
export function ableKernel(release: string): KernelCapabilities {
  return { ...EVERYTHING, release, tracepoint: false };
}

/** The catalogue on a kernel, with all its modules loaded, without booting it. */
export interface CatalogueOnKernel {
  release: string;
  types: KernelBtf;
  functions: KernelFunctions;
  symbolNames: () => string[];
  probes: PlannedProbe[];
  /** Points whose tracepoint or function is there and can be attached with its arguments known. */
  attachable: ReadonlySet<string>;
}

/**
 * Plans the full set for a kernel image. @throws Error when the image or a module cannot be read.
 */
export function catalogueOnKernel(catalogue: Catalogue, kernel: Kernel): CatalogueOnKernel {
  const facts = kernelFacts(kernel, modulesOf(catalogue));
  const functions = facts.functionsAmong(qualifiedNames(catalogue.points));
  const { plan } = planProbes(catalogue, { set: 'full' }, ableKernel(facts.release), facts.types, functions, {
    fields: () => undefined,
  });
  const attachable = plan.probes.filter(({ backend }) => backend !== undefined);
  return {
    release: facts.release,
    types: facts.types,
    symbolNames: () => facts.symbolNames(),
    functions,
    probes: plan.probes,
    attachable: new Set(attachable.map(({ point }) => point.name)),
  };
}

/**
 * What of the catalogue does not agree with a kernel's types, one line each: kernel, point, expected, found.
 */
export function disagreements(catalogue: Catalogue, kernel: CatalogueOnKernel, name: string): string[] {
  return kernel.probes.flatMap(({ point, causes }) => {
    const lines: string[] = [];
    const original = catalogue.get(point.name) ?? point;
    for (const cause of causes ?? []) {
      if (cause.code === 'prototype-changed' && kernel.attachable.has(point.name)) {
        lines.push(`${name}: ${point.name}: expected the arguments of program ${point.program}, found ${cause.detail}`);
      }
    }
    lines.push(...positionsThatDiffer(original, kernel, name), ...returnsThatDiffer(original, kernel, name));
    return lines;
  });
}

/** The catalogue's own positions are used where BTF is silent: they must be those that BTF tells where it is not. */
function positionsThatDiffer(point: ProbePoint, kernel: CatalogueOnKernel, name: string): string[] {
  return functionNames([point]).flatMap((target) => {
    const prototype = kernel.types.functionArgs(target);
    const positions = positionsOf(point, target, kernel.release);
    if (!prototype || !positions || kernel.functions.status(target, false) !== 'attachable') return [];
    return Object.entries(positions).flatMap(([argument, position]) => {
      const found = prototype[position];
      if (found && isOf(argument, found)) return [];
      return [
        `${name}: ${point.name}: expected argument ${position} of ${target} to be ${argument}, found (${prototype.map(words).join(', ')})`,
      ];
    });
  });
}

/** What type an argument of that name must have. */
const TYPES: Record<string, string> = {
  skb: 'sk_buff',
  into: 'sk_buff',
  sk: 'sock',
  state: 'nf_hook_state',
  neigh: 'neighbour',
  pkt: 'nft_pktinfo',
  table: 'xt_table',
  ebtable: 'ebt_table',
  qdisc: 'Qdisc',
  dev: 'net_device',
  napi: 'napi_struct',
  socket: 'socket',
  net: 'net',
};
const POINTERS = new Set(['object', 'pskb', 'priv']);

function isOf(argument: string, found: BtfArgument): boolean {
  if (POINTERS.has(argument)) return found.pointer;
  const type = TYPES[argument];
  return type === undefined ? !found.pointer : found.pointer && found.type === type;
}

function words({ type, pointer, name }: BtfArgument): string {
  return `${type}${pointer ? ' *' : ' '}${name}`.trim();
}

/** Return values that mean another thing on a kernel than the catalogue says: only drop reasons may come and go. */
function returnsThatDiffer(point: ProbePoint, kernel: CatalogueOnKernel, name: string): string[] {
  const target = functionNames([point]).find((known) => kernel.functions.status(known, false) !== 'absent');
  const type = target === undefined ? undefined : kernel.types.returnType(target);
  if (!point.returns || point.tracepoint !== undefined || !type || !target) return [];
  const meaning = meaningOnKernel(point.returns, type);
  if (meaning === point.returns || meaning === 'drop-reason' || point.returns === 'drop-reason') return [];
  return [
    `${name}: ${point.name}: expected ${target} to return ${point.returns}, found ${type.type}${type.pointer ? ' *' : ''}`,
  ];
}

/** How many points of each group and set a kernel has: group → set → [attachable, in all]; each set holds the one before. */
export function countsOf(
  catalogue: Catalogue,
  attachable: ReadonlySet<string>,
): Record<string, Record<string, [number, number]>> {
  return Object.fromEntries(
    PROBE_GROUPS.map((group) => {
      const points = catalogue.points.filter((point) => point.group === group);
      return [
        group,
        Object.fromEntries(
          PROBE_SETS.map((set, size) => {
            const within = points.filter((point) => PROBE_SETS.indexOf(point.set) <= size);
            return [set, share(within, attachable)];
          }),
        ),
      ];
    }),
  );
}

/** The same by tier: what every kernel must have, errors, short cuts, details. */
export function countsByTier(catalogue: Catalogue, attachable: ReadonlySet<string>): Record<string, [number, number]> {
  const tiers = [...new Set(catalogue.points.map(({ tier }) => tier ?? 'detail'))].sort();
  return Object.fromEntries(
    tiers.map((tier) => [
      tier,
      share(
        catalogue.points.filter((point) => (point.tier ?? 'detail') === tier),
        attachable,
      ),
    ]),
  );
}

function share(points: readonly ProbePoint[], attachable: ReadonlySet<string>): [number, number] {
  return [points.filter(({ name }) => attachable.has(name)).length, points.length];
}

/**
 * What `kernels:` of a point must say: `6.1+`, `5.10 to 6.12`, `5.10, 6.12+`; empty when no kernel has it.
 * @param versions every kernel that was looked at, oldest first; the last is the newest there is
 * @param has whether it has the point
 */
export function kernelsText(versions: readonly string[], has: readonly boolean[]): string {
  const stretches: string[] = [];
  for (let i = 0; i < versions.length; i++) {
    if (!has[i]) continue;
    let end = i;
    while (end + 1 < versions.length && has[end + 1]) end++;
    const last = end === versions.length - 1;
    stretches.push(last ? `${versions[i]}+` : end === i ? versions[i] : `${versions[i]} to ${versions[end]}`);
    i = end;
  }
  return stretches.join(', ');
}
