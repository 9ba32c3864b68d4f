import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readDocument, schemaProblems, type SourceDocument } from '../../base/documents.js';
import { type Problem, VdiagError } from '../../base/errors.js';
import { packagePath } from '../../base/package-root.js';
import { didYouMean } from '../../base/suggest.js';
import { parseMemberType, parsePrototype } from './declarations.js';

/** Where one member of a kernel structure is. */
export interface OffsetsMember {
  /** Bytes from the start of the outermost structure. */
  offset: number;
  /** `u8` … `u64`, `s8` … `s64`, `struct x *`, `void *`, `struct x` (then with `size`), each perhaps with `[n]`. */
  type: string;
  /** Bytes: of embedded structures, whose own members are not told. */
  size?: number;
  /** Of bitfields: the first bit counted from `offset`, from the least significant on, and the width. */
  bit?: number;
  bits?: number;
}

/** One kernel's layout, as far as vdiag reads it: `bpf/offsets/*.yaml`, docs/schema/offsets.schema.json. */
export interface OffsetsTable {
  apiVersion: 'vdiag/v1';
  kind: 'KernelOffsets';
  /** Release that it was made for, as `uname -r` says it; a prefix of it will do. */
  kernel: string;
  arch: 'x86_64' | 'aarch64';
  /** What it was made from, for people. */
  source?: string;
  /** Structure → size in bytes and members by name; dots lead into embedded structures: `__sk_common.skc_daddr`. */
  structs: Record<string, { size?: number; members: Record<string, OffsetsMember> }>;
  /** C declarations: `int ip_rcv(struct sk_buff *skb, struct net_device *dev)`. */
  functions?: string[];
  /** Tracepoints by name, with what their programs get: `kfree_skb(struct sk_buff *skb, void *location)`. */
  tracepoints?: string[];
  /** Enums by name, their values by name: drop reasons, whose numbers differ from kernel to kernel. */
  enums?: Record<string, Record<string, number>>;
}

const FOLDER = packagePath('bpf', 'offsets');

/**
 * Reads an offsets table and checks all of it.
 * @throws VdiagError (status 2) with every problem: file, line, column
 */
export function readOffsetsTable(file: string): OffsetsTable {
  const document = readDocument(file);
  const problems = [...schemaProblems(document, 'offsets')];
  if (problems.length === 0) problems.push(...contentProblems(document as SourceDocument<OffsetsTable>));
  if (problems.length > 0) throw new VdiagError(problems, 2);
  return document.value as OffsetsTable;
}

/** Kernels whose tables ship with vdiag, by the name under which `--btf` takes them. */
export function shippedTables(): string[] {
  if (!existsSync(FOLDER)) return [];
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => basename(name, '.yaml'))
    .sort();
}

/** File of a shipped table. */
export function shippedTable(kernel: string): string {
  return join(FOLDER, `${kernel}.yaml`);
}

function contentProblems(document: SourceDocument<OffsetsTable>): Problem[] {
  const table = document.value;
  const problems: Problem[] = [];
  const wrong = (path: (string | number)[], message: string, expected?: string, hint?: string): void => {
    problems.push({ message, at: document.positionOf(path), expected, hint });
  };
  for (const [name, { size, members }] of Object.entries(table.structs)) {
    for (const [member, entry] of Object.entries(members)) {
      const path = ['structs', name, 'members', member];
      const type = parseMemberType(entry.type, entry.size);
      if ('expected' in type) {
        wrong([...path, 'type'], `${name}.${member} is of the type "${entry.type}"`, type.expected, type.hint);
        continue;
      }
      if ((entry.bits === undefined) !== (entry.bit === undefined)) {
        wrong(path, `${name}.${member} has only one of "bit" and "bits"`, 'both for a bitfield, none otherwise');
      }
      const end = entry.bits === undefined ? entry.offset + type.bytes : entry.offset;
      if (size !== undefined && end > size) {
        wrong([...path, 'offset'], `${name}.${member} ends at ${end}, behind the end of ${name}`, `at most ${size}`);
      }
      const above = Object.keys(members).find((other) => member.startsWith(`${other}.`));
      if (above !== undefined && !members[above]!.type.startsWith('struct ')) {
        wrong(path, `${name}.${member} lies in ${above}, which is no structure`, 'a member of an embedded structure');
      }
    }
  }
  for (const part of ['functions', 'tracepoints'] as const) {
    const seen = new Set<string>();
    table[part]?.forEach((declaration, i) => {
      const parsed = parsePrototype(declaration);
      if (!parsed) {
        const example = part === 'functions' ? 'int ip_rcv(struct sk_buff *skb)' : 'kfree_skb(struct sk_buff *skb)';
        wrong([part, i], `"${declaration}" is no C declaration`, `one such as ${example}`);
      } else if (seen.has(parsed.name)) {
        wrong([part, i], `${parsed.name} is declared twice`, undefined, didYouMean(parsed.name, []));
      } else seen.add(parsed.name);
    });
  }
  return problems;
}
