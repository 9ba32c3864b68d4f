import { VdiagError } from '../base/errors.js';
import {
  allVariants,
  faultIds,
  injectFault,
  labDown,
  labUp,
  listLabs,
  loadFault,
  loadTopology,
  missingNeeds,
  needsOf,
  prepareTraffic,
  requireRoot,
  topologyIds,
  topologyOf,
} from '../lab/index.js';
import type { Fault, FaultInstance, Lab, Topology, Traffic, Variant } from '../lab/types.js';
import { didYouMean } from '../base/suggest.js';
import type { Report } from '../report/types.js';
import { answerLive, type LiveRequest } from '../scenarios/live.js';

/** Traffic of a lab without a fault: what a healthy topology is watched with. */
function healthyTraffic(topology: Topology): Traffic[] {
  const [from, to] = Object.keys(topology.endpoints);
  return [
    { from, to, kind: 'ping', count: 25, interval: '200ms' },
    { from, to, kind: 'tcp-request-response', count: 50, interval: '100ms', max: '10s' },
  ];
}

/** s that a lab is traced at most, without `--duration`. */
const MAX_SECONDS = 20;

/** `vdiag run --lab`: brings the lab up, traces while its bounded traffic flows, tears it down whatever happens. */
export async function labRun(
  { name, choices }: { name: string; choices: readonly string[] },
  request: LiveRequest,
  seconds: number | undefined,
): Promise<Report> {
  // What `lab up` made, or a run beside this one uses, is left alone.
  const up = new Set((await listLabs()).map(({ id }) => id));
  const { lab, instance } = await bringUp(name, choices, (id) => (up.has(id) ? `${id}-${process.pid}` : id));
  try {
    return await traceLab(lab, instance?.traffic ?? healthyTraffic(lab.topology), request, seconds);
  } finally {
    await labDown(lab.id);
  }
}

/** Traces a lab that is up while its bounded traffic flows; its servers are there until the diagnosis is made. */
export async function traceLab(
  lab: Lab,
  traffic: readonly Traffic[],
  request: LiveRequest,
  seconds = MAX_SECONDS,
): Promise<Report> {
  const during = new AbortController();
  request.signal?.addEventListener('abort', () => during.abort());
  const prepared = await prepareTraffic(lab, traffic, true);
  try {
    return await answerLive({
      ...request,
      durationSeconds: seconds,
      netnsList: Object.values(lab.namespaces).map(({ inode }) => inode),
      during: async () => void (await prepared.run(during.signal)),
      afterwards: () => during.abort(),
    });
  } finally {
    await prepared.stop();
  }
}

/**
 * Makes the lab of a topology or a fault, the fault's variant chosen by `name=value` pairs (default: its first values).
 * @param labId the lab's id from that of the topology or fault; a lab of this id that is up is made anew
 */
export async function bringUp(
  name: string,
  choices: readonly string[],
  labId: (id: string) => string = (id) => id,
): Promise<{ lab: Lab; instance?: FaultInstance }> {
  if (!/[/]|\.ya?ml$/.test(name) && topologyIds().includes(name)) {
    if (choices.length > 0) throw new VdiagError({ message: `${name} is a topology without values to set` }, 2);
    return { lab: await labUp(loadTopology(name), { id: labId(name) }) };
  }
  const known = [...faultIds(), ...topologyIds()];
  if (!/[/]|\.ya?ml$/.test(name) && !known.includes(name)) {
    throw new VdiagError(
      { message: `there is no lab "${name}"`, expected: `one of ${known.join(', ')}`, hint: didYouMean(name, known) },
      2,
    );
  }
  const fault = loadFault(name);
  const variant = variantOf(fault, choices);
  const topology = loadTopology(topologyOf(fault, variant));
  requireRoot();
  const missing = await missingNeeds(needsOf(fault, variant));
  if (missing.length > 0) {
    throw new VdiagError(
      { message: `the fault ${fault.id} needs what this kernel or machine lacks: ${missing.join(', ')}` },
      3,
    );
  }
  const lab = await labUp(topology, { id: labId(fault.id) });
  try {
    return { lab, instance: await injectFault(lab, fault, variant) };
  } catch (error) {
    await labDown(lab.id);
    throw error;
  }
}

/** The first value of each of a fault's variables, but for those chosen. */
function variantOf(fault: Fault, choices: readonly string[]): Variant {
  const variant: Variant = { ...allVariants(fault)[0] };
  for (const choice of choices) {
    const [key, value] = splitOnce(choice);
    const range = fault.choose[key] ?? [];
    const values = fault.variants[key] ?? (Array.isArray(range) ? range : [range.from, range.to]);
    const names = Object.keys(variant);
    if (value === undefined || !names.includes(key)) {
      const message = names.includes(key)
        ? `--set ${key} gives no value`
        : `${fault.id} has nothing named "${key}" to set`;
      const expected = names.includes(key)
        ? `${key}=value, such as ${key}=${String(values[0])}`
        : `name=value with a name of ${names.join(', ') || 'nothing: it has one form'}`;
      throw new VdiagError({ message, expected, hint: names.includes(key) ? undefined : didYouMean(key, names) }, 2);
    }
    variant[key] = values.find((known) => String(known) === value) ?? (/^\d{1,9}$/.test(value) ? Number(value) : value);
  }
  return variant;
}

function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf('=');
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
