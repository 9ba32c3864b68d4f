import { PerfReader } from './perf-buffer.js';
import { RingReader } from './ring.js';
import type { RecordReader, RecordSource } from './types.js';

/** Opens what a trace session's records come out of; in any thread of the process. @throws Error when it cannot be mapped */
export function openReader(source: RecordSource): RecordReader {
  return 'perf' in source ? new PerfReader(source) : new RingReader(source);
}
