import { placesIn, type RecordField } from '../bpf/tracepoint-format.js';
import { type AttachRequest, PROGRAM_ARGS, type ProgramName } from '../bpf/types.js';
import type { KernelCapabilities, ProbeCause, ProbePoint } from './types.js';

/** The records of classic tracepoints, as tracefs tells of them. */
export interface TracepointRecords {
  /** Fields of a tracepoint's record (`skb:kfree_skb`); undefined when there is no such tracepoint. */
  fields(tracepoint: string): readonly RecordField[] | undefined;
}

/** Only these handle nothing but packets and sockets: a record has no pointer to a qdisc, a neighbour or a task. */
const PROGRAMS: ReadonlySet<string> = new Set<ProgramName>([
  ...(['skb', 'upcall', 'execute', 'free', 'drop', 'xmit', 'socket', 'icmp', 'deliver', 'point', 'count'] as const),
]);

/** That it was passed is all that these need. */
export const NEEDS_NOTHING: ReadonlySet<string> = new Set<ProgramName>(['point', 'count']);

/** Of a device that sent a packet, its record has the name and the packet's length. */
const XMIT_FIELDS = ['dev', 'len'];

/**
 * How a point is attached by its classic tracepoint, or why it can not. The kernel fills in a record for each hit, so it
 * costs more than the raw tracepoint; but it works where raw ones do not, and its format tells what BTF would.
 */
export function classicTracepoint(
  point: ProbePoint & { tracepoint: string },
  index: number,
  capabilities: KernelCapabilities,
  records: TracepointRecords | undefined,
): { request: AttachRequest } | { cause: ProbeCause } {
  const { tracepoint, program } = point;
  if (!PROGRAMS.has(program)) return { cause: { code: 'no-record', detail: tracepoint } };
  if (!records || !capabilities.tracepoint) {
    const lack = capabilities.lacks.find(({ capability }) => capability === 'tracepoint');
    return { cause: { code: 'no-tracepoints', detail: lack?.why ?? 'tracefs is not mounted' } };
  }
  const fields = records.fields(tracepoint);
  if (!fields) return { cause: { code: 'no-tracepoint', detail: tracepoint } };
  const wanted: readonly string[] = PROGRAM_ARGS[program as ProgramName];
  const names = [...wanted.map((name) => name.replace('?', '')), ...(program === 'xmit' ? XMIT_FIELDS : [])];
  const places = placesIn(fields, names);
  const lacking = wanted.some((name) => !name.endsWith('?') && !places[name]);
  if (lacking || (!places.skb && !places.sk && !NEEDS_NOTHING.has(program)))
    return { cause: { code: 'no-record', detail: tracepoint } };
  return {
    request: {
      ...{ index, program, backend: 'tracepoint', target: tracepoint },
      ...{ args: {}, fields: places, nargs: fields.length, wantReturn: false },
    },
  };
}
