/** One field of a classic tracepoint's record. */
export interface RecordField {
  name: string;
  /** C type as the kernel writes it: `void *`, `enum skb_drop_reason`, `__data_loc char[]`. */
  type: string;
  /** Bytes from the start of the record. */
  offset: number;
  size: number;
}

/** Where a program finds one argument in a record, bytes. */
export interface FieldPlace {
  offset: number;
  size: number;
}

/** A field of common use by the names of PROGRAM_ARGS, and what the kernel's records call it (include/trace/events). */
const FIELD_NAMES: Readonly<Record<string, readonly string[]>> = {
  skb: ['skbaddr'],
  sk: ['skaddr'],
  location: ['location'],
  reason: ['reason'],
  rc: ['rc'],
  old: ['oldstate'],
  new: ['newstate'],
  type: ['type'],
  code: ['code'],
  len: ['len'],
  dev: ['name'],
};

const POINTERS: ReadonlySet<string> = new Set(['skb', 'sk', 'location']);
const POINTER_BYTES = 8;
const INTEGER_SIZES: ReadonlySet<number> = new Set([1, 2, 4, 8]);
/** Of a string: 16 bits of offset, 16 of length (include/trace/stages/stage1_struct_define.h). */
const STRING_PLACE = { type: '__data_loc char[]', size: 4 };
/** perf keeps the registers' address there (perf_trace_run_bpf_submit): the common fields cannot be read. */
const FIRST_OFFSET = 8;
/** The largest record of any kernel: PERF_MAX_TRACE_SIZE (include/linux/trace_events.h), 2048 before 5.17. */
const MAX_RECORD_BYTES = 8192;

const LINE = /^\s*field:(.+?);\s*offset:(\d+);\s*size:(\d+);/;
/** `type name`, `type *name`, `type name[8]`. */
const DECLARATION = /^(.*?)\s*\b(\w+)((?:\[\w*\])*)$/;

/**
 * Reads a tracepoint's `format` file (tracefs, Documentation/trace/events.rst). Lines that are not fields, and fields
 * that make no sense, are left out; of fields with one name the first counts.
 */
export function parseTracepointFormat(text: string): RecordField[] {
  const fields = new Map<string, RecordField>();
  for (const line of text.split('\n')) {
    // Behind the fields stands a format for printing, of any length.
    if (line.startsWith('print fmt')) break;
    const [, declaration, offset, size] = LINE.exec(line.slice(0, 512)) ?? [];
    const [, type, name, array] = DECLARATION.exec(declaration?.trim() ?? '') ?? [];
    if (!type || !name || fields.has(name)) continue;
    const field = { name, type: `${type}${array}`, offset: Number(offset), size: Number(size) };
    if (field.offset + field.size <= MAX_RECORD_BYTES) fields.set(name, field);
  }
  return [...fields.values()];
}

/**
 * Where the arguments of a program are in a record.
 * @param wanted names as in PROGRAM_ARGS, without the `?`
 * @returns those that are there and of a type that can be that argument
 */
export function placesIn(fields: readonly RecordField[], wanted: readonly string[]): Record<string, FieldPlace> {
  const places: Record<string, FieldPlace> = {};
  for (const argument of wanted) {
    const names = Object.hasOwn(FIELD_NAMES, argument) ? FIELD_NAMES[argument]! : [];
    const field = fields.find(({ name }) => names.includes(name));
    if (field && canBe(argument, field)) places[argument] = { offset: field.offset, size: field.size };
  }
  return places;
}

function canBe(argument: string, { type, offset, size }: RecordField): boolean {
  if (offset < FIRST_OFFSET) return false;
  if (argument === 'dev') return type === STRING_PLACE.type && size === STRING_PLACE.size;
  if (type.startsWith('__data_loc') || type.startsWith('__rel_loc') || type.includes('[')) return false;
  if (POINTERS.has(argument)) return size === POINTER_BYTES && /\*|^(unsigned long|u64|__u64)$/.test(type);
  return INTEGER_SIZES.has(size) && !type.includes('*');
}

/** A place as the kernel side's templates take it (vd_field of bpf/hit.h). */
export function encodePlace({ offset, size }: FieldPlace): number {
  return (size << 16) | offset;
}
