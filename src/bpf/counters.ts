import { MAP_LAYOUT, MAP_SIZE, VD_LOSS } from './kernel-side.gen.js';
import { Libbpf } from './libbpf.js';
import type { LoadedObject } from './object.js';
import { MAX_PROBES, type TraceCounters } from './types.js';

const KEY_BYTES = 4;
/** struct vd_entry_key: stack pointer and probe. */
const ENTRY_KEY_BYTES = 16;
/** An entry without a return for so long is counted as missed, though a function may sleep longer. */
const STALE_ENTRY_NS = 2_000_000_000n;

/** Losses by cause, summed over the CPUs. `withReturns`: also look for entries whose return never came. */
export function readCounters(object: LoadedObject, withReturns: boolean): TraceCounters {
  const losses = (cause: number): number => sumPerCpu(object.mapFd('losses'), cause);
  const ringFull = losses(VD_LOSS.RING_FULL);
  const noWorkSpace = losses(VD_LOSS.NO_WORK_SPACE);
  const noEntry = losses(VD_LOSS.MISSED_RETURNS);
  const perfFull = losses(VD_LOSS.PERF_FULL);
  // More than a thousand look-ups, needed on bad runs only.
  const evicted = tracksEvicted(object, withReturns);
  const lost = ringFull + noWorkSpace + noEntry + perfFull > 0 ? lostByProbe(object) : undefined;
  return {
    ringFull,
    // The same losses, told by the program (from 5.1 on) and by the buffer (what a reader has come to).
    perfLost: Math.max(perfFull, object.perfLost()),
    noWorkSpace,
    pathsForgotten: losses(VD_LOSS.PATHS_FORGOTTEN),
    copiesForgotten: losses(VD_LOSS.COPIES_FORGOTTEN),
    parseFailures: losses(VD_LOSS.PARSE_FAILURES),
    missedReturns: noEntry + (withReturns ? staleEntries(object.mapFd('entries')) : 0),
    ...(evicted > 0 && { tracksEvicted: evicted }),
    ...(lost && { lost }),
  };
}

/** Slots of the map `tallies` (bpf/same.h, enum vd_tally), and the size of `paths` (VD_MAX_PATHS). */
const TRACKS_BEGUN = 0;
const TRACKS_ENDED = 1;
const MAX_TRACKS = 32768;
const PATHS_KEY_BYTES = 8;

/**
 * An LRU map does not tell what it pushes out: it is what began, did not end and is not there. `exactly`: the entries are
 * counted where it may come to that (some 50 ms); else those beyond the map's size.
 */
function tracksEvicted(object: LoadedObject, exactly: boolean): number {
  const map = object.mapFd('tallies');
  const balance = sumPerCpu(map, TRACKS_BEGUN) - sumPerCpu(map, TRACKS_ENDED);
  if (balance <= MAX_TRACKS / 2) return 0;
  if (!exactly) return Math.max(0, balance - MAX_TRACKS);
  let entries = 0;
  for (const key of Libbpf.get().keys(object.mapFd('paths'), PATHS_KEY_BYTES)) entries += key.length > 0 ? 1 : 0;
  return Math.max(0, balance - entries);
}

/** Events emitted by probe index, for those indices that can be. */
export function readHits(object: LoadedObject, indices: Iterable<number>): Map<number, number> {
  const map = object.mapFd('hits');
  const hits = new Map<number, number>();
  for (const index of indices) if (index < MAX_PROBES) hits.set(index, sumPerCpu(map, index));
  return hits;
}

function lostByProbe(object: LoadedObject): Map<number, number> {
  const map = object.mapFd('misses');
  const lost = new Map<number, number>();
  for (let index = 0; index < MAX_PROBES; index++) {
    const count = sumPerCpu(map, index);
    if (count > 0) lost.set(index, count);
  }
  return lost;
}

function sumPerCpu(map: number, slot: number): number {
  const libbpf = Libbpf.get();
  const key = Buffer.alloc(KEY_BYTES);
  key.writeUInt32LE(slot);
  const cpus = libbpf.possibleCpus();
  const values = libbpf.lookup(map, key, cpus * 8);
  let sum = 0n;
  for (let cpu = 0; values && cpu < cpus; cpu++) sum += values.readBigUInt64LE(cpu * 8);
  return Number(sum);
}

function staleEntries(map: number): number {
  const libbpf = Libbpf.get();
  const oldest = process.hrtime.bigint() - STALE_ENTRY_NS;
  let stale = 0;
  for (const key of libbpf.keys(map, ENTRY_KEY_BYTES)) {
    const entry = libbpf.lookup(map, key, MAP_SIZE.vd_entry);
    if (entry && entry.readBigUInt64LE(MAP_LAYOUT['vd_entry.ts'][0]) < oldest) stale++;
  }
  return stale;
}
