import { createHash } from 'node:crypto';
import type { Batch, RunEnd, RunMeta } from '../../src/capture/types.js';
import { lossOf } from '../../src/capture/loss.js';
import { batchOf } from '../../src/capture/frames.js';

/** A head as a run on this machine would write it. */
export function sampleMeta(changes: Partial<RunMeta> = {}): RunMeta {
  return {
    apiVersion: 'vdiag/v1',
    vdiag: '0.1.0',
    host: 'kvm-07',
    kernel: {
      release: '6.18.44',
      arch: 'x86_64',
      btf: true,
      ringBuffer: true,
      rawTracepoint: true,
      tracepoint: true,
      kprobe: false,
      kretprobe: false,
      kprobeMulti: false,
      fentry: false,
      dropReasons: true,
      lacks: [{ capability: 'kprobe', why: 'the kernel was built without it', hides: 'which chain decides' }],
    },
    startedAt: 1_790_000_000_000,
    startedMono: 5_000_000_000,
    utcOffset: 60,
    scenario: 'vm-to-vm-latency',
    parameters: { duration: 3 },
    filter: { src: '10.0.0.1' },
    plan: { set: 'basic', probes: [] },
    dropReasons: { 2: 'NOT_SPECIFIED', 3: 'NO_SOCKET' },
    wire: { version: 1, layout: { 'vd_hop.ts': [0, 8] } },
    ownNetns: 4026531840,
    ...changes,
  };
}

export function sampleEnd(changes: Partial<RunEnd> = {}): RunEnd {
  return {
    endedAt: 1_790_000_003_000,
    endedMono: 8_000_000_000,
    loss: lossOf(),
    hits: { 'net:netif_receive_skb': 12 },
    reason: 'duration',
    ...changes,
  };
}

/** Frames as the ring holds them: each with its page number in the padding. */
export function framed(records: readonly Uint8Array[], discarded: ReadonlySet<number> = new Set()): Batch {
  const length = records.reduce((sum, record) => sum + ((record.byteLength + 15) & ~7), 0);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  records.forEach((record, i) => {
    view.setUint32(at, (record.byteLength | (discarded.has(i) ? 0x40000000 : 0)) >>> 0, true);
    view.setUint32(at + 4, 0xabcd, true);
    bytes.set(record, at + 8);
    at += (record.byteLength + 15) & ~7;
  });
  return batchOf(bytes);
}

/** The records in a run of batches, copied. */
export function recordsIn(batches: Iterable<Batch>): Uint8Array[] {
  const records: Uint8Array[] = [];
  for (const { u8, u32, start, end } of batches) {
    for (let at = start; at < end;) {
      const length = u32[at >>> 2] & 0x3fffffff;
      if ((u32[at >>> 2] & 0x40000000) === 0) records.push(u8.slice(at + 8, at + 8 + length));
      at += (length + 15) & ~7;
    }
  }
  return records;
}

/** Bytes that no compressor makes smaller, the same for the same seed. */
export function incompressible(length: number, seed: number): Uint8Array {
  return Uint8Array.from(createHash('shake256', { outputLength: length }).update(String(seed)).digest());
}
