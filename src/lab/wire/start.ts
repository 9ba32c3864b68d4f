import { execa } from 'execa';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { VdiagError } from '../../base/errors.js';
import { printable } from '../../base/sanitize.js';
import { endsUp } from '../settle.js';
import type { Lab, Traffic } from '../types.js';
import { parseDuration } from '../units.js';
import type { WirePlan } from './agent.js';
import type { Impairment } from './impairment.js';

/** How long a wire may outlive its traffic, ms. */
const ALLOWANCE_MS = 60_000;
const MOST_MS = 120_000;

/**
 * Puts the wire of a lab's topology in, with the impairments that the traffic of kind `wire` asks for.
 * @returns what takes it out again; undefined when the topology has no wire.
 * @throws VdiagError status 2 when traffic asks for a wire that is not there, 3 when it cannot be put in.
 */
export async function startWire(lab: Lab, traffic: readonly Traffic[]): Promise<(() => Promise<void>) | undefined> {
  const asked = traffic.filter(({ kind }) => kind === 'wire');
  const { wire } = lab.topology;
  if (!wire) {
    if (asked.length > 0)
      throw new VdiagError({ message: `the topology ${lab.topology.id} has no wire`, hint: 'over-a-wire has one' }, 2);
    return undefined;
  }
  const [first] = Object.keys(lab.endpoints);
  const [one, two] = wire.ends.map((end) => ({
    netns: `/run/netns/${lab.namespaces[end.in]!.name}`,
    device: end.name,
  }));
  const plan: WirePlan = {
    ends: [one!, two!],
    impairments: asked.filter(({ does }) => does !== 'skip-checksums').map((item) => impairmentOf(item, first!)),
    skipsChecksums: asked.some(({ does }) => does === 'skip-checksums'),
    maxMs: MOST_MS + ALLOWANCE_MS,
  };
  const child = execa('ip', ['netns', 'exec', lab.namespaces[wire.ends[0].in]!.name, ...agentCommand(plan)], {
    reject: false,
    stdin: 'pipe',
    timeout: plan.maxMs + ALLOWANCE_MS,
    killSignal: 'SIGKILL',
    buffer: { stdout: false },
  });
  const line = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const said = line.done ? {} : (JSON.parse(line.value) as { listening?: boolean; error?: string });
  if (said.listening !== true) {
    child.kill('SIGKILL');
    const why = said.error ?? (await child).stderr;
    throw new VdiagError({ message: `the lab's wire cannot be put in: ${printable(String(why))}` }, 3);
  }
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await child;
  };
  try {
    await endsUp(wire.ends, lab.id);
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}

function impairmentOf(item: Traffic, first: string): Impairment {
  return {
    direction: item.from === first ? 0 : 1,
    of: item.of ?? 'tcp',
    does: (item.does ?? 'lose') as Impairment['does'],
    every: Number(item.every ?? 1),
    after: Number(item.after ?? 0),
    most: Number(item.most ?? 1e9),
    holdMs: parseDuration(item.hold ?? '5ms'),
  };
}

function agentCommand(plan: WirePlan): string[] {
  const source = import.meta.url.endsWith('.ts');
  const agent = fileURLToPath(new URL(source ? './agent.ts' : './agent.js', import.meta.url));
  return [process.execPath, ...(source ? ['--import', import.meta.resolve('tsx')] : []), agent, JSON.stringify(plan)];
}
