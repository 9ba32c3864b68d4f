import { readCpuUsers } from './cpu-users.js';
import { findNetns, ownNetnsInode } from './net-namespaces.js';
import { readProcess } from './processes.js';
import { findTapHolders } from './tap-holders.js';
import type { RawEvidence } from './types.js';

/**
 * Questions that no tool of the host answers well. They are asked as if they were tools (`run(['vdiag:process', '4711'])`),
 * so that they are kept and recorded like any other.
 */
export const BUILT_IN_QUESTIONS: ReadonlyMap<string, (args: readonly string[]) => Promise<RawEvidence>> = new Map([
  ['vdiag:netns', describeNetns],
  ['vdiag:process', describeProcess],
  ['vdiag:tap-holders', describeTapHolders],
  ['vdiag:cpu-users', describeCpuUsers],
]);

/** JSON: `{ "own": true }`, `{ "name": "web" }`, `{ "pid": 4711 }` or `{ "path": … }`: how a user gets into a namespace. */
async function describeNetns([inode]: readonly string[]): Promise<RawEvidence> {
  if (Number(inode) === (await ownNetnsInode())) return ok({ own: true });
  const door = await findNetns(Number(inode));
  return door ? ok({ ...door }) : { status: 'failed', why: `network namespace ${inode} is gone` };
}

/** JSON of {@link ProcessState}. */
async function describeProcess([pid]: readonly string[]): Promise<RawEvidence> {
  const process = /^\d+$/.test(pid ?? '') ? readProcess(Number(pid)) : undefined;
  return process ? ok({ ...process }) : { status: 'failed', why: `process ${pid} is gone` };
}

/** JSON of {@link TapHolders}. */
async function describeTapHolders(): Promise<RawEvidence> {
  return ok({ ...(await findTapHolders(2000)) });
}

/** JSON of {@link CpuUsers}. */
async function describeCpuUsers(): Promise<RawEvidence> {
  return ok({ ...(await readCpuUsers(1000)) });
}

function ok(value: object): RawEvidence {
  return { status: 'ok', text: JSON.stringify(value) };
}
