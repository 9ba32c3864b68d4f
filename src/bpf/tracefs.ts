import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseTracepointFormat, type RecordField } from './tracepoint-format.js';

/** Where tracefs is mounted by convention (Documentation/trace/ftrace.rst). */
const PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];

/** What tracefs tells of classic tracepoints. */
export interface Tracefs {
  /** Fields of a tracepoint's record (`skb:kfree_skb`); undefined when the kernel has no such tracepoint. */
  fields(tracepoint: string): RecordField[] | undefined;
  /** Its number for perf_event_open. */
  id(tracepoint: string): number | undefined;
}

/** tracefs as it is mounted on this host; undefined when it is not, or may not be read. */
export function openTracefs(places: readonly string[] = PLACES): Tracefs | undefined {
  const place = places.find((folder) => existsSync(join(folder, 'events', 'skb')));
  if (place === undefined) return undefined;
  const read = (tracepoint: string, file: string): string | undefined => {
    // A name that comes from a catalogue must not lead out of the folder.
    const [, subsystem, name] = /^(\w+):(\w+)$/.exec(tracepoint) ?? [];
    if (!subsystem || !name) return undefined;
    const path = join(place, 'events', subsystem, name, file);
    return existsSync(path) ? readFileSync(path, 'latin1') : undefined;
  };
  return {
    fields(tracepoint) {
      const text = read(tracepoint, 'format');
      return text === undefined ? undefined : parseTracepointFormat(text);
    },
    id(tracepoint) {
      const text = read(tracepoint, 'id');
      const id = text === undefined ? NaN : Number.parseInt(text, 10);
      return Number.isInteger(id) ? id : undefined;
    },
  };
}
