/**
 * The program that is the wire between two taps of a lab: `agent PLAN`, PLAN being a {@link WirePlan} as JSON. It prints
 * `{"listening":true}` once both ends are attached, and ends when its standard input does, or after its time.
 */
import { read, writeSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { Impairer, type Impairment } from './impairment.js';
import { OFFLOAD_HEADER, openTap } from './tap.js';

/** A wire's ends (path of the namespace, device), what it does, and how long it lives at most (ms). */
export interface WirePlan {
  ends: [{ netns: string; device: string }, { netns: string; device: string }];
  impairments: Impairment[];
  /** It takes over the checksums of what it reads, and does not compute them. */
  skipsChecksums: boolean;
  maxMs: number;
}

/** The longest frame without offloads, with room. */
const FRAME = 9216;

const plan = JSON.parse(process.argv[2]!) as WirePlan;
const header = plan.skipsChecksums ? OFFLOAD_HEADER : 0;
try {
  // A network does not wait for a CPU; on a busy machine this one should not either.
  setPriority(constants.priority.PRIORITY_HIGHEST);
  const taps = plan.ends.map(({ netns, device }) => openTap(netns, device, plan.skipsChecksums));
  const impairers = plan.impairments.map((impairment) => new Impairer(impairment));
  for (const direction of [0, 1] as const) carry(taps[direction]!, taps[1 - direction]!, direction, impairers);
  process.stdout.write('{"listening":true}\n');
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: (error as Error).message })}\n`, end);
}
setTimeout(end, plan.maxMs);
process.stdin.resume().on('end', end);

/** A read is always under way, and leaving in order would wait for it: until a frame comes, which may be never. */
function end(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Frame by frame, in order, for ever. */
function carry(from: number, to: number, direction: 0 | 1, impairers: readonly Impairer[]): void {
  const buffer = Buffer.alloc(FRAME);
  const next = (): void =>
    read(from, buffer, 0, FRAME, null, (error, length) => {
      // The device is gone: the lab is being taken down.
      if (error) return end();
      const frame = buffer.subarray(header, length);
      for (const delay of leavesAfter(frame, direction, impairers)) {
        if (delay === 0) send(to, frame);
        else setTimeout(send, delay, to, Buffer.from(frame));
      }
      next();
    });
  next();
}

function leavesAfter(frame: Buffer, direction: 0 | 1, impairers: readonly Impairer[]): number[] {
  for (const impairer of impairers) {
    const after = impairer.apply(frame, direction);
    if (after) return after;
  }
  return [0];
}

function send(tap: number, frame: Buffer): void {
  try {
    // A header of zeros: nothing is asked of the device.
    writeSync(tap, header === 0 ? frame : Buffer.concat([Buffer.alloc(header), frame]));
  } catch {
    // A device that is down takes nothing, as a cable without a card.
  }
}
