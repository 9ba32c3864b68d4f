import { readCpuUsers } from './cpu-users.js';
import { findNetns, listNetns, ownNetnsInode } from './net-namespaces.js';
import { readProcess } from './processes.js';
import { findTapHolders } from './tap-holders.js';
import type { RawEvidence } from './types.js';

/**
 * Questions that no tool of the host answers well. They are asked as if they were tools (`run(['vdiag:process', '4711'])`),
 * so that they are kept and recorded like any other.
 */
export const BUILT_IN_QUESTIONS: ReadonlyMap<string, (args: readonly string[]) => Promise<RawEvidence>> = new Map([
  ['vdiag:namespaces', describeNamespaces],
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

/** More network namespaces than this are not looked into for one question. */
const MOST_NAMESPACES = 100;

/** JSON: `{ "namespaces": [{ "inode": 4026531840, "own": true }, { "inode": …, "name": "web" }], "left": 0 }`. */
async function describeNamespaces(): Promise<RawEvidence> {
  return ok(await listNetns(MOST_NAMESPACES));
}

/** JSON of {@link ProcessState}. */
async function describeProcess([pid]: readonly string[]): Promise<RawEvidence> {
  const process = /^\d+$/.test(pid ?? '') ? readProcess(Number(pid)) : undefined;
  return process ? ok({ ...process }) : { status: 'failed', why: `process ${pid} is gone` };
}

/** JSON of {@link TapHolders}. */
async function describeTapHolders(): Promise<RawEvidence> {
  return ok({ ...(await findTapHolders(5000)) });
}

/** JSON of {@link CpuUsers}. */
async function describeCpuUsers(): Promise<RawEvidence> {
  return ok({ ...(await readCpuUsers(1000)) });
}

function ok(value: object): RawEvidence {
  return { status: 'ok', text: JSON.stringify(value) };
}
