import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { VdiagError } from '../../base/errors.js';
import { didYouMean } from '../../base/suggest.js';
import { KernelBtf } from '../btf.js';
import { Libbpf } from '../libbpf.js';
import { type OffsetsTable, readOffsetsTable, shippedTable, shippedTables } from './offsets-table.js';
import { synthesiseBtf } from './synthesise.js';

/** Types of the running kernel that do not come from it. */
export interface GivenTypes {
  /** What the user gave: a file, or the name of a shipped table. */
  given: string;
  /** Raw BTF or ELF, for libbpf (`TraceOptions.btfFile`). Of a table: in memory, until `close`. */
  file: string;
  types: KernelBtf;
  /** When it was an offsets table. */
  table?: OffsetsTable;
  /** Gives the memory back. Safe to call twice. */
  close(): void;
}

/**
 * Opens what `--btf` names: raw BTF, an ELF file with a .BTF section (vmlinux), an offsets table, or the kernel of a
 * table that ships with vdiag (`4.19.90`).
 * @throws VdiagError (status 2) for a table with mistakes or no such file; (status 3) for BTF that cannot be read
 */
export function openGivenTypes(given: string): GivenTypes {
  const file = existsSync(given) ? given : shippedFile(given);
  if (isBtf(file)) return { given, file, types: KernelBtf.load(file), close: () => undefined };
  const table = readOffsetsTable(file);
  const fd = Libbpf.get().memoryFile('vdiag-btf', synthesiseBtf(table));
  const path = `/proc/self/fd/${fd}`;
  let open = true;
  const close = (): void => {
    if (open) closeSync(fd);
    open = false;
  };
  return { given, file: path, types: KernelBtf.load(path), table, close };
}

function shippedFile(name: string): string {
  const known = shippedTables();
  if (known.includes(name)) return shippedTable(name);
  throw new VdiagError(
    {
      message: `there is no file ${name}`,
      expected: `a BTF file, a vmlinux, an offsets table, or the kernel of a shipped table (${known.join(', ')})`,
      hint: didYouMean(name, known),
    },
    2,
  );
}

/** Raw BTF or ELF by its first bytes; all else is taken for a table. */
function isBtf(file: string): boolean {
  const start = Buffer.alloc(4);
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    throw new VdiagError({ message: `cannot read ${file}: ${(error as Error).message}` }, 2, { cause: error });
  }
  try {
    const length = readSync(fd, start, 0, 4, 0);
    return length === 4 && (start.readUInt16LE(0) === 0xeb9f || start.readUInt32BE(0) === 0x7f454c46);
  } catch (error) {
    throw new VdiagError({ message: `cannot read ${file}: ${(error as Error).message}` }, 2, { cause: error });
  } finally {
    closeSync(fd);
  }
}
