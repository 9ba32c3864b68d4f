import { VdiagError, type Problem } from '../base/errors.js';
import { packagePath } from '../base/package-root.js';
import { fillTemplate, lookup, templateVariables, type TemplateData } from '../base/template.js';
import { runOrThrow } from './commands.js';
import { commandFrom } from './command-line.js';
import { startHelper } from './helpers/start.js';
import { isHelper } from './helpers/words.js';
import { KNOWN_NEEDS } from './needs.js';
import { endpointsOf, findDocument, guestWords, idsBelow, loadTopology } from './topology.js';
import type { Endpoint, Fault, FaultCommand, FaultInstance, Lab, Topology, Variant } from './types.js';

/** The ids of the faults that ship with vdiag. */
export function faultIds(): string[] {
  return idsBelow(packagePath('fixtures', 'faults'));
}

/**
 * Loads a fault by its id, or from a file given by path, and tries out every variant of it on paper: each command must be
 * one that a fault may run, each variable known.
 * @throws VdiagError (status 2) with every problem and its place.
 */
export function loadFault(idOrFile: string): Fault {
  const document = findDocument<Partial<Fault> & Record<string, unknown>>(idOrFile, 'fault');
  const raw = document.value;
  const fault: Fault = {
    id: raw.id!,
    title: raw.title!,
    titleZh: raw.titleZh!,
    family: raw.family!,
    scenario: raw.scenario ?? 'packet-drop',
    topology: raw.topology!,
    needs: raw.needs,
    variants: raw.variants ?? {},
    except: raw.except ?? [],
    choose: raw.choose ?? {},
    inject: commandsOf(raw.inject),
    traffic: raw.traffic!,
    expect: raw.expect!,
    never: raw.never ?? [],
    'remedy-works': raw['remedy-works'] ?? false,
    file: document.file,
  };
  const problems: Problem[] = [];
  for (const need of fault.needs ?? []) {
    // A need may be a variant's value: `{{program}}`.
    if (!need.includes('{{') && !KNOWN_NEEDS.includes(need)) {
      problems.push({
        message: `needs "${need}" is not known`,
        at: document.positionOf(['needs']),
        expected: `one of ${KNOWN_NEEDS.join(', ')}`,
      });
    }
  }
  for (const variant of allVariants(fault)) {
    try {
      instantiate(fault, loadTopology(topologyOf(fault, variant)), variant);
    } catch (error) {
      if (error instanceof VdiagError) throw error;
      const { part, message } = error instanceof PartError ? error : { part: [], message: (error as Error).message };
      problems.push({ message, at: document.positionOf(part) });
      break;
    }
  }
  if (problems.length > 0) throw new VdiagError(problems, 2);
  return fault;
}

/**
 * Every combination of a fault's variants, the first value of each first, without those it excepts; one empty variant
 * when it has none. What a seed chooses has its first value.
 */
export function allVariants(fault: Fault): Variant[] {
  const chosen = Object.fromEntries(
    Object.entries(fault.choose).map(([name, values]) => [name, Array.isArray(values) ? values[0] : values.from]),
  );
  return Object.entries(fault.variants)
    .reduce<Variant[]>(
      (variants, [name, values]) =>
        variants.flatMap((variant) => values.map((value) => ({ ...variant, [name]: value }))),
      [{}],
    )
    .filter((variant) => !fault.except.some((out) => Object.entries(out).every(([name, v]) => variant[name] === v)))
    .map((variant) => ({ ...variant, ...chosen }));
}

/** Every variant of a fault, with what makes no difference in kind chosen by a seed: the same seed, the same choice. */
export function variantsOf(fault: Fault, seed: number): Variant[] {
  return allVariants(fault).map((variant, i) => {
    const random = randomNumbers(`${seed} ${fault.id} ${i}`);
    const chosen = Object.entries(fault.choose).map(([name, values]) => {
      const at = random();
      return [
        name,
        Array.isArray(values)
          ? values[Math.floor(at * values.length)]
          : values.from + Math.floor(at * (values.to - values.from + 1)),
      ];
    });
    return { ...variant, ...(Object.fromEntries(chosen) as Variant) };
  });
}

/** One variant, chosen by a seed. */
export function chooseVariant(fault: Fault, seed: number): Variant {
  const variants = variantsOf(fault, seed);
  return variants[Math.floor(randomNumbers(`${seed} ${fault.id}`)() * variants.length)];
}

/** What tells a variant from the fault's others, to show and to sort by: `family=6 program=nft`. */
export function variantName(fault: Fault, variant: Variant): string {
  return Object.keys(fault.variants)
    .map((name) => `${name}=${variant[name]}`)
    .join(' ');
}

/** The topology of a variant. */
export function topologyOf(fault: Fault, variant: Variant): string {
  return fillTemplate(fault.topology, variant);
}

/** The features that this variant of a fault needs, beyond its topology's. */
export function needsOf(fault: Fault, variant: Variant): string[] {
  return (fault.needs ?? []).map((need) => fillTemplate(need, variant));
}

/**
 * Fills a fault's commands, traffic and expectations. A template may name the variant's values, `port` (the host's device
 * in front of the endpoint that `direction` chose, or of the last one), `target.*` (that endpoint: name, address, address6,
 * device, namespace, port, `ip`: its address of the variant's `family`, and `gateway`: its way out of that family), `peer.*`
 * (the other), every endpoint by its name, `ipv` (`-4`, `-6`), `six` (empty or `6`: `ip{{six}}tables-legacy`), `ethertype` (`ip`, `ipv6`: as tc calls it)
 * and `flow` (as ovs-dpctl does: what goes before `(proto=6)`).
 * @throws Error with a plain message for an unknown variable, endpoint or namespace, or a command that is not allowed.
 */
export function instantiate(fault: Fault, topology: Topology, variant: Variant): FaultInstance {
  const endpoints = endpointsOf(topology);
  const { target, peer } = sides(endpoints, variant);
  const six = variant.family === 6;
  const data: TemplateData = {
    ...Object.fromEntries(Object.values(endpoints).map((one) => [one.name, ofFamily(one, topology, six)])),
    target: ofFamily(target, topology, six),
    peer: ofFamily(peer, topology, six),
    port: target.port,
    ipv: six ? '-6' : '-4',
    six: six ? '6' : '',
    ethertype: six ? 'ipv6' : 'ip',
    flow: six ? 'eth_type(0x86dd),ipv6' : 'eth_type(0x0800),ipv4',
    ...variant,
  };
  const roles: Record<string, string> = { 'port-owner': target.name, 'peer-of-port': peer.name };
  const endpoint = (word: string): string => {
    const name = fill(word, data);
    const known = roles[name] ?? name;
    if (!Object.hasOwn(endpoints, known))
      throw new Error(
        `there is no endpoint "${known}" (${Object.keys(endpoints).join(', ')}, port-owner, peer-of-port)`,
      );
    return known;
  };
  return {
    fault,
    variant,
    scenario: inPart(['scenario'], () => fill(fault.scenario, data)),
    inject: fault.inject.map((command, i) =>
      inPart(['inject', i], () => {
        const namespace = fill(command.in ?? topology.host, data);
        if (!topology.namespaces.includes(namespace))
          throw new Error(`there is no namespace "${namespace}" (${topology.namespaces.join(', ')})`);
        check(command.run, data);
        return { namespace, argv: commandFrom(command.run, data) };
      }),
    ),
    traffic: fault.traffic.map((traffic, i) =>
      inPart(['traffic', i], () => ({
        ...(six && { family: 6 as const }),
        ...filled(traffic, data),
        from: endpoint(traffic.from),
        to: endpoint(traffic.to),
      })),
    ),
    expect: inPart(['expect'], () => filled(fault.expect, data)),
  };
}

/**
 * Puts a fault into a lab that is up.
 * @throws VdiagError status 2 when the lab has another topology, 3 when a command fails.
 */
export async function injectFault(lab: Lab, fault: Fault, variant: Variant): Promise<FaultInstance> {
  const topology = topologyOf(fault, variant);
  if (lab.topology.id !== topology) {
    throw new VdiagError(
      { message: `the fault ${fault.id} belongs in the topology ${topology}, not ${lab.topology.id}` },
      2,
    );
  }
  const instance = instantiate(fault, lab.topology, variant);
  for (const { namespace, argv } of instance.inject) {
    const { name } = lab.namespaces[namespace];
    const tap = lab.topology.taps?.find((one) => one.in === namespace && one.name === argv[1]);
    if (isHelper(argv[0])) await startHelper(name, argv, tap && guestWords(tap));
    else await runOrThrow(['ip', 'netns', 'exec', name, ...argv]);
  }
  return instance;
}

/** An endpoint with `ip`, its address of that family, and `gateway`, that of its way out; empty without one. */
function ofFamily(endpoint: Endpoint, topology: Topology, six: boolean): Endpoint & { ip: string; gateway: string } {
  const out = (topology.routes ?? []).find(
    ({ in: namespace, to, via }) =>
      namespace === endpoint.namespace && ['default', '0.0.0.0/0', '::/0'].includes(to) && via?.includes(':') === six,
  );
  return { ...endpoint, ip: six ? endpoint.address6 : endpoint.address, gateway: out?.via ?? '' };
}

class PartError extends Error {
  constructor(
    readonly part: (string | number)[],
    message: string,
  ) {
    super(message);
  }
}

function inPart<T>(part: (string | number)[], make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new PartError(part, (error as Error).message);
  }
}

function commandsOf(inject: unknown): FaultCommand[] {
  const list = Array.isArray(inject) ? inject : inject === undefined ? [] : [inject];
  return list.map((entry: string | FaultCommand) => (typeof entry === 'string' ? { run: entry } : entry));
}

function sides(endpoints: Record<string, Endpoint>, variant: Variant): { target: Endpoint; peer: Endpoint } {
  const all = Object.values(endpoints);
  const wanted = variant.direction === undefined ? undefined : String(variant.direction).replace(/^to-/, '');
  const target = wanted === undefined ? all.at(-1) : all.find((endpoint) => endpoint.name === wanted);
  if (!target)
    throw new Error(
      `direction "${variant.direction}" names no endpoint (${all.map((endpoint) => `to-${endpoint.name}`).join(', ')})`,
    );
  return { target, peer: all.find((endpoint) => endpoint !== target)! };
}

/** Fills every string of a plain value. */
function filled<T>(value: T, data: TemplateData): T {
  if (typeof value === 'string') return numberIfWhole(value, fill(value, data)) as T;
  if (Array.isArray(value)) return value.map((item: unknown) => filled(item, data)) as T;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item as unknown, data)])) as T;
}

/** A number that came through a template (`port: "{{port}}"`) is a number again. */
function numberIfWhole(template: string, text: string): string | number {
  return template.includes('{{') && /^\d{1,9}$/.test(text) ? Number(text) : text;
}

function fill(template: string, data: TemplateData): string {
  check(template, data);
  return fillTemplate(template, data);
}

function check(template: string, data: TemplateData): void {
  for (const name of templateVariables(template)) {
    if (lookup(data, name) === undefined)
      throw new Error(`"{{${name}}}" is not known (${Object.keys(data).join(', ')})`);
  }
}

/** Numbers in [0, 1) of the mulberry32 generator, its state the hash (FNV-1a) of a text. */
function randomNumbers(seed: string): () => number {
  let state = 0x811c9dc5;
  for (const byte of Buffer.from(seed)) state = Math.imul(state ^ byte, 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
