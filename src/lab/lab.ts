import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { VdiagError } from '../base/errors.js';
import { freeCards } from './cards.js';
import { run, runOrThrow } from './commands.js';
import { checkLabId, namespaceName, parseNamespaceName } from './names.js';
import { startHelper } from './helpers/start.js';
import { runBatched } from './ip-batch.js';
import { missingNeeds } from './needs.js';
import { commandsToMake } from './network-commands.js';
import { carriersUp } from './settle.js';
import { endpointsOf, guestWords } from './topology.js';
import type { Lab, Topology } from './types.js';

/** Where `ip netns` keeps its namespaces. */
const NAMESPACES = '/run/netns';

/**
 * Makes a topology, as namespaces `vdiag-<id>-…`. A lab of that name that is already there is removed first, so that
 * the result is always fresh. What was made is removed again if something fails halfway.
 * @param options.id default: the topology's id
 * @throws VdiagError status 2 for a bad id, 3 without root, `ip` or a kernel feature that the topology needs.
 */
export async function labUp(topology: Topology, options: { id?: string } = {}): Promise<Lab> {
  const id = options.id ?? topology.id;
  checkLabId(id);
  requireRoot();
  const missing = await missingNeeds(topology.needs ?? []);
  if (missing.length > 0) {
    throw new VdiagError(
      { message: `the topology ${topology.id} needs what this kernel or machine lacks: ${missing.join(', ')}` },
      3,
    );
  }
  await labDown(id);
  try {
    const cards = topology.links.some((link) => link.cards) ? await freeCards() : [];
    await runBatched(commandsToMake(topology, id, cards));
    for (const tap of topology.taps ?? []) {
      await startHelper(namespaceName(id, tap.in), ['lab-guest', tap.name], guestWords(tap));
    }
    await carriersUp(topology, id);
    return labOf(topology, id);
  } catch (error) {
    await labDown(id);
    throw error;
  }
}

/** Removes a lab: ends the processes in its namespaces, then removes those. Nothing to remove is no error. @returns the names removed. */
export async function labDown(id: string): Promise<string[]> {
  checkLabId(id);
  return removeNamespaces(
    labNamespaces()
      .filter((entry) => entry.labId === id)
      .map((entry) => entry.name),
  );
}

/**
 * Removes every lab of this machine, also what a crash left behind.
 * @param options.startingWith only those whose id begins so
 * @returns the names of the namespaces removed.
 */
export async function labDownAll(options: { startingWith?: string } = {}): Promise<string[]> {
  const ids = labNamespaces().filter((entry) => entry.labId.startsWith(options.startingWith ?? ''));
  return removeNamespaces(ids.map((entry) => entry.name));
}

/** The labs that are there, by id, with the names of their namespaces and how many processes are in them. */
export async function listLabs(): Promise<{ id: string; namespaces: string[]; processes: number }[]> {
  const labs = new Map<string, string[]>();
  for (const { labId, name } of labNamespaces()) labs.set(labId, [...(labs.get(labId) ?? []), name]);
  return Promise.all(
    [...labs].map(async ([id, namespaces]) => {
      const processes = await Promise.all(namespaces.map(processesIn));
      return { id, namespaces, processes: processes.flat().length };
    }),
  );
}

function labOf(topology: Topology, id: string): Lab {
  const namespaces = Object.fromEntries(
    topology.namespaces.map((short) => {
      const name = namespaceName(id, short);
      return [short, { name, inode: statSync(join(NAMESPACES, name)).ino }];
    }),
  );
  return {
    id,
    topology,
    namespaces,
    endpoints: endpointsOf(topology),
    exec(short, argv, options) {
      if (!Object.hasOwn(namespaces, short))
        throw new VdiagError({ message: `the lab ${id} has no namespace "${short}"` }, 2);
      return run(['ip', 'netns', 'exec', namespaces[short].name, ...argv], options);
    },
  };
}

function labNamespaces(): { name: string; labId: string }[] {
  let names: string[];
  try {
    names = readdirSync(NAMESPACES).sort();
  } catch (error) {
    // `ip netns add` makes the folder: without it there has never been a namespace.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names.flatMap((name) => {
    const parsed = parseNamespaceName(name);
    return parsed ? [{ name, labId: parsed.labId }] : [];
  });
}

async function removeNamespaces(names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  requireRoot();
  await endProcesses(names);
  for (const name of names) {
    try {
      await runOrThrow(['ip', 'netns', 'delete', name]);
    } catch (error) {
      // Somebody else removed it in the meantime: it is gone, which is what was asked for.
      if (existsSync(join(NAMESPACES, name))) throw error;
    }
  }
  return [...names];
}

/** Asks the processes in the namespaces to end, then makes them. A process in a namespace would keep it alive. */
async function endProcesses(names: readonly string[]): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (let wait = 0; wait < 10; wait++) {
      const pids = (await Promise.all(names.map(processesIn))).flat();
      if (pids.length === 0) return;
      for (const pid of pids) {
        sendSignal(pid, signal);
        // A stopped process takes SIGTERM only once it goes on.
        sendSignal(pid, 'SIGCONT');
      }
      await sleep(50);
    }
  }
  throw new VdiagError({ message: `processes in ${names.join(', ')} do not end`, hint: 'see "ip netns pids NAME"' }, 3);
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended by itself in the meantime.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function processesIn(name: string): Promise<number[]> {
  const { stdout } = await run(['ip', 'netns', 'pids', name]);
  return stdout
    .split(/\s+/)
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid && livesIn(pid, name));
}

/** Whether all threads of a process are in the namespace: one that looks into it, as another vdiag does, has a thread there for a moment. */
function livesIn(pid: number, name: string): boolean {
  try {
    const { ino } = statSync(join(NAMESPACES, name));
    return readdirSync(`/proc/${pid}/task`).every((tid) => statSync(`/proc/${pid}/task/${tid}/ns/net`).ino === ino);
  } catch {
    // It has ended, or is about to.
    return false;
  }
}

/** @throws VdiagError (status 3) without root. */
export function requireRoot(): void {
  if (process.geteuid?.() !== 0) {
    throw new VdiagError({ message: 'the lab needs root: it makes network namespaces', hint: 'run it with sudo' }, 3);
  }
}
