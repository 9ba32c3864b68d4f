import { closeSync, readFileSync } from 'node:fs';
import { Libbpf } from './libbpf.js';
import { MappedMemory, pageSize } from './mapped-memory.js';
import type { PerfSource } from './types.js';

/** struct perf_event_attr (include/uapi/linux/perf_event.h), PERF_ATTR_SIZE_VER5. */
const ATTRIBUTE_BYTES = 112;
const PERF_TYPE_SOFTWARE = 1;
const PERF_COUNT_SW_BPF_OUTPUT = 10n;
const PERF_SAMPLE_RAW = 1n << 10n;
/** Nobody waits for these events, so nobody is to be woken: each wakeup slows the traffic that is watched. */
const NEVER = 0x7fffffff;

/** Smallest buffer of a CPU: below, bursts are lost. */
const LEAST_BYTES = 256 << 10;
/** All of them together take no more, however many CPUs there are. */
const MOST_BYTES = 1 << 30;

const ONLINE_CPUS = '/sys/devices/system/cpu/online';

/**
 * The perf events, one for each CPU that is online, that programs of the legacy flavour write their records to. Events of
 * a CPU that comes later are lost, and counted.
 */
export class PerfEvents {
  readonly source: PerfSource;
  /** A buffer is there only as long as it is mapped: these keep it until a reader comes. */
  readonly #kept: MappedMemory[] = [];
  #open = true;

  /**
   * @param map the perf event array
   * @param bytes size of all buffers together, as far as they do not get too small by it
   * @throws Error, BpfCallError when the kernel refuses it
   */
  constructor(map: number, bytes: number, online = readFileSync(ONLINE_CPUS, 'latin1')) {
    const cpus = cpuNumbers(online);
    this.source = { perf: [], size: bufferBytes(bytes, cpus.length), lost: new SharedArrayBuffer(8) };
    try {
      for (const cpu of cpus) {
        const fd = Libbpf.get().perfEventOpen(outputAttributes(), cpu);
        this.source.perf.push({ cpu, fd });
        this.#kept.push(new MappedMemory('the perf buffer', fd, 0, pageSize() + this.source.size, true));
        const key = Buffer.alloc(4);
        key.writeUInt32LE(cpu);
        const value = Buffer.alloc(4);
        value.writeUInt32LE(fd);
        Libbpf.get().update(map, key, value);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Events that the kernel could not write, as far as a reader has come upon it. */
  get lost(): number {
    return Number(Atomics.load(new BigUint64Array(this.source.lost), 0));
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const kept of this.#kept) kept.release();
    for (const { fd } of this.source.perf) closeSync(fd);
  }
}

function outputAttributes(): Buffer {
  const attributes = Buffer.alloc(ATTRIBUTE_BYTES);
  attributes.writeUInt32LE(PERF_TYPE_SOFTWARE, 0);
  attributes.writeUInt32LE(ATTRIBUTE_BYTES, 4);
  attributes.writeBigUInt64LE(PERF_COUNT_SW_BPF_OUTPUT, 8);
  attributes.writeBigUInt64LE(1n, 16); // sample_period: each
  attributes.writeBigUInt64LE(PERF_SAMPLE_RAW, 24);
  attributes.writeUInt32LE(NEVER, 48); // wakeup_events
  return attributes;
}

/** The kernel takes powers of two, in whole pages. */
function bufferBytes(bytes: number, cpus: number): number {
  const most = 2 ** Math.floor(Math.log2(MOST_BYTES / cpus));
  const share = 2 ** Math.ceil(Math.log2(Math.max(bytes / cpus, LEAST_BYTES)));
  return Math.max(Math.min(share, most), pageSize());
}

/** Numbers of a list as the kernel writes it: `0-3,8`. */
export function cpuNumbers(list: string): number[] {
  return list
    .trim()
    .split(',')
    .flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number);
      return Array.from({ length: last! - first! + 1 }, (_, index) => first! + index);
    });
}
