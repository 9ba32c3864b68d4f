import { rmSync } from 'node:fs';
import { expect } from 'chai';
import { type PacketPath, packetPaths } from '../support/packet-paths.js';
import { decodeRecord, type RingRecord } from '../support/ring-records.js';
import { IDENTITY_JOB, type IdentityCase, NETWORK, POINTS } from '../support/vm-identity.js';
import { type Kernel, type KernelName, runInVm, type VmJob } from './harness.js';

/** What a case of packet identity came to. */
export interface IdentityOutcome {
  name: string;
  probes: [name: string, backend: string | null][];
  failed: { index: number; why: string }[];
  counters?: Record<string, unknown>;
  error?: string;
  paths: PacketPath[];
  /** The probe and the device of a record, as `net_dev_queue eth0`. */
  step: (record: RingRecord) => string;
}

/**
 * Runs cases in one boot. @param modules what the kernel is to load first.
 * @returns their outcomes by name.
 */
export async function runIdentityCases(
  kernel: KernelName | Kernel,
  cases: readonly IdentityCase[],
  options: { modules: string; network?: string; folders?: VmJob['folders'] },
): Promise<Map<string, IdentityOutcome>> {
  const result = await runInVm({
    kernel,
    timeoutSeconds: 500,
    files: {
      'identity.mjs': IDENTITY_JOB,
      'network.sh': NETWORK + (options.network ?? ''),
      'cases.json': JSON.stringify({ cases, points: POINTS }),
    },
    ...(options.folders && { folders: options.folders }),
    job: `modprobe -a ${options.modules}; node identity.mjs`,
  });
  expect(result.status, result.stderr).to.equal(0);
  const outcomes = result.stdout
    .trim()
    .split('\n')
    .map((line) => {
      const { records, ...outcome } = JSON.parse(line) as IdentityOutcome & { records: string[] };
      const step = ({ probe, dev }: RingRecord): string => `${outcome.probes[probe][0]} ${dev}`.trim();
      const read = records.map((record) => decodeRecord(Buffer.from(record, 'base64')));
      return { ...outcome, paths: packetPaths(read), step };
    });
  rmSync(result.artefacts, { recursive: true });
  return new Map(outcomes.map((outcome) => [outcome.name, outcome]));
}

/** The outcome of a case that ran, with all its probes attached. */
export function ran(outcomes: ReadonlyMap<string, IdentityOutcome>, name: string): IdentityOutcome {
  const outcome = outcomes.get(name)!;
  // The whole of it: chai shortens what it compares.
  if (outcome.error !== undefined) expect.fail(`${name}: ${outcome.error}`);
  expect(outcome.failed, name).to.deep.equal([]);
  return outcome;
}
