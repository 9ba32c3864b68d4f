import { existsSync, writeFileSync } from 'node:fs';
import { VdiagError } from '../base/errors.js';
import { BtfData } from '../bpf/btf-data.js';
import { objectFile } from '../bpf/flavour.js';
import { allMembers, type CoreMember, coreAccesses } from '../bpf/synthesis/core-accesses.js';
import { declarationsOf, enumsOf, offsetsOf } from '../bpf/synthesis/from-btf.js';
import { offsetsFromHeaders } from '../bpf/synthesis/from-headers.js';
import { btfOfVmlinux } from '../bpf/synthesis/from-vmlinux.js';
import { type OffsetsTable, readOffsetsTable } from '../bpf/synthesis/offsets-table.js';
import { synthesiseBtf } from '../bpf/synthesis/synthesise.js';
import { tableText } from '../bpf/synthesis/table-text.js';
import { DROP_REASON_ENUMS } from '../probes/drop-reasons.js';
import { loadCatalogue } from '../probes/catalogue.js';
import { functionNames } from '../probes/plan.js';

/** What `vdiag btf make` is asked: one source, one output. */
export interface MakeTypes {
  vmlinux?: string;
  headers?: string;
  offsets?: string;
  /** `.yaml`: an offsets table; anything else: raw BTF. */
  out: string;
  /** Release of a vmlinux, which does not tell it. */
  kernel: string;
  force: boolean;
}

/** What was made. */
export interface MadeTypes {
  file: string;
  bytes: number;
  /** Members of the table; undefined: the whole of a kernel's BTF. */
  members?: number;
  /** Members that programs read and the source does not have. */
  missing: string[];
}

/**
 * Makes BTF or an offsets table out of a vmlinux, kernel headers or an offsets table.
 * @throws VdiagError (status 2) for wrong files; (status 3) when a tool is missing or fails
 */
export async function makeTypes(request: MakeTypes): Promise<MadeTypes> {
  const { out, force } = request;
  if (existsSync(out) && !force) throw new VdiagError({ message: `${out} exists`, hint: 'replace it with --force' }, 2);
  const asTable = /\.ya?ml$/.test(out);
  if (request.vmlinux !== undefined && !asTable) {
    const btf = await btfOfVmlinux(request.vmlinux);
    return { ...write(out, btf), missing: [] };
  }
  const wanted = membersRead();
  const table = await tableOf(request);
  const missing = wanted
    .filter(({ struct, member, guard }) => !guard && !table.structs[struct]?.members[member])
    .map(({ struct, member }) => `${struct}.${member}`);
  const members = Object.values(table.structs).reduce((sum, one) => sum + Object.keys(one.members).length, 0);
  return { ...write(out, asTable ? tableText(table) : synthesiseBtf(table)), members, missing };
}

async function tableOf({ vmlinux, headers, offsets, kernel }: MakeTypes): Promise<OffsetsTable> {
  if (offsets !== undefined) return readOffsetsTable(offsets);
  const members = membersRead();
  if (headers !== undefined) return offsetsFromHeaders(headers, members);
  if (vmlinux === undefined) throw new VdiagError({ message: 'nothing to make types of' }, 2);
  const data = new BtfData(await btfOfVmlinux(vmlinux));
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const { points } = loadCatalogue();
  const tracepoints = points.flatMap(({ tracepoint }) => tracepoint?.slice(tracepoint.indexOf(':') + 1) ?? []);
  return {
    ...offsetsOf(data, members, { kernel, arch, source: 'BTF of its vmlinux' }),
    ...declarationsOf(data, functionNames(points), tracepoints),
    ...enumsOf(data, DROP_REASON_ENUMS),
  };
}

/** What either object reads: a table made here may be used where the other one runs. */
function membersRead(): CoreMember[] {
  const both = (['modern', 'legacy'] as const).map((flavour) => coreAccesses(objectFile(flavour)));
  return allMembers(
    new Map(both.flatMap((accesses, index) => [...accesses].map(([name, own]) => [`${index}.${name}`, own]))),
  );
}

function write(file: string, content: string | Buffer): { file: string; bytes: number } {
  try {
    writeFileSync(file, content);
  } catch (error) {
    throw new VdiagError({ message: `cannot write ${file}: ${(error as Error).message}` }, 2, { cause: error });
  }
  return { file, bytes: Buffer.byteLength(content) };
}
