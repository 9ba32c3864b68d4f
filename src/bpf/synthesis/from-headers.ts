import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VdiagError } from '../../base/errors.js';
import { BTF_KIND } from '../btf-data.js';
import { elfSection } from '../elf.js';
import type { CoreMember } from './core-accesses.js';
import type { OffsetsMember, OffsetsTable } from './offsets-table.js';
import { endOf, runTool } from './tools.js';

/** Headers that declare the structures; some are not there in every release or configuration. */
const HEADERS = [
  ...['linux/sched.h', 'linux/skbuff.h', 'linux/netdevice.h', 'linux/netfilter.h', 'linux/netfilter/x_tables.h'],
  ...['linux/netfilter_bridge/ebtables.h', 'net/sock.h', 'net/inet_sock.h', 'net/net_namespace.h'],
  ...['net/sch_generic.h', 'net/neighbour.h', 'net/netfilter/nf_tables.h'],
];

/** Each try leaves out what the compiler did not find. */
const MAX_TRIES = 4;
const COMPILE_SECONDS = 300;
const NOT_THERE = /probe\.c:(\d+):\d+: error: .*(?:no member named|incomplete type|undefined type|undefined or incomplete|storage size)/g;

/**
 * An offsets table by compiling a file that says where the members are, with the kernel's own headers and flags (kbuild).
 * The headers must be those of the running kernel, and its configuration: a build folder, or what distributions call
 * linux-headers, kernel-devel.
 * @throws VdiagError (status 2) when the folder is none; (status 3) when make or the compiler is missing or fails
 */
export async function offsetsFromHeaders(headers: string, members: readonly CoreMember[]): Promise<OffsetsTable> {
  const releaseFile = join(headers, 'include/config/kernel.release');
  if (!existsSync(join(headers, 'Makefile')) || !existsSync(releaseFile)) {
    throw new VdiagError(
      {
        message: `${headers} is no folder to build kernel modules with: it lacks Makefile or include/config/kernel.release`,
        expected: '/lib/modules/<release>/build, or a configured and prepared kernel source',
        hint: 'Debian: apt-get install linux-headers-<release>; Fedora, openEuler: dnf install kernel-devel-<release>',
      },
      2,
    );
  }
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-headers-'));
  try {
    writeFileSync(join(folder, 'Makefile'), 'obj-m := probe.o\nccflags-y := -w\n');
    let wanted = [...members];
    for (let round = 1; ; round++) {
      const { text, lines } = probeSource(wanted);
      writeFileSync(join(folder, 'probe.c'), text);
      const built = await runTool(
        'make',
        ['-C', headers, `M=${folder}`, 'probe.o'],
        COMPILE_SECONDS,
        'apt-get install make gcc (dnf install make gcc)',
      );
      if (built.ok) break;
      const missing = new Set([...built.output.matchAll(NOT_THERE)].map(([, line]) => lines.get(Number(line))));
      if (missing.size === 0 || round === MAX_TRIES) {
        throw new VdiagError({ message: `a file with the headers of ${headers} cannot be compiled:\n${endOf(built.output)}` }, 3);
      }
      wanted = wanted.filter((member) => !missing.has(member));
    }
    const object = readFileSync(join(folder, 'probe.o'));
    return {
      apiVersion: 'vdiag/v1',
      kind: 'KernelOffsets',
      kernel: releaseOf(headers) ?? readFileSync(releaseFile, 'utf8').trim(),
      arch: process.arch === 'arm64' ? 'aarch64' : 'x86_64',
      source: 'compiled with the headers of that release',
      structs: structsOf(object, wanted),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the kernel calls itself (uname -r); distributions write another number in kernel.release. */
function releaseOf(headers: string): string | undefined {
  const file = join(headers, 'include/generated/utsrelease.h');
  return existsSync(file) ? /UTS_RELEASE "([^"]+)"/.exec(readFileSync(file, 'utf8'))?.[1] : undefined;
}

/**
 * A section a member. Of integers it holds a whole structure in which only that member's bits are set: that works for
 * bitfields too, whose place C does not tell. Of all else, offset and size.
 */
function probeSource(members: readonly CoreMember[]): { text: string; lines: Map<number, CoreMember> } {
  const above = [
    '#include <linux/types.h>',
    ...HEADERS.flatMap((header) => [`#if __has_include(<${header}>)`, `#include <${header}>`, '#endif']),
    '#define IN(name) __attribute__((used, section(name)))',
  ];
  const lines = new Map<number, CoreMember>();
  const body = members.map((one, i) => {
    lines.set(above.length + 1 + i, one);
    const { struct, member } = one;
    const size = `static const unsigned long size_${i} IN(".vdiag.size.${i}") = sizeof(struct ${struct});`;
    if (one.kind === BTF_KIND.INT) {
      return `${size} static const struct ${struct} at_${i} IN(".vdiag.image.${i}") = { .${member} = -1 };`;
    }
    return (
      `${size} static const unsigned long at_${i}[2] IN(".vdiag.place.${i}") = ` +
      `{ __builtin_offsetof(struct ${struct}, ${member}), sizeof(((struct ${struct} *)0)->${member}) };`
    );
  });
  return { text: [...above, ...body, ''].join('\n'), lines };
}

function structsOf(object: Buffer, members: readonly CoreMember[]): OffsetsTable['structs'] {
  const structs: OffsetsTable['structs'] = {};
  members.forEach((one, i) => {
    const size = Number(elfSection(object, `.vdiag.size.${i}`)!.readBigUInt64LE());
    structs[one.struct] ??= { size, members: {} };
    structs[one.struct]!.members[one.member] =
      one.kind === BTF_KIND.INT
        ? fromImage(elfSection(object, `.vdiag.image.${i}`)!)
        : fromPlace(elfSection(object, `.vdiag.place.${i}`)!, one.kind);
  });
  return structs;
}

function fromPlace(place: Buffer, kind: number): OffsetsMember {
  const offset = Number(place.readBigUInt64LE(0));
  const size = Number(place.readBigUInt64LE(8));
  if (kind === BTF_KIND.PTR) return { offset, type: 'void *' };
  if (kind === BTF_KIND.ARRAY) return { offset, type: `u8[${size}]` };
  return { offset, type: 'struct embedded', size };
}

/** Where the bits are that are set. */
function fromImage(image: Buffer): OffsetsMember {
  const isSet = (bit: number): boolean => ((image[bit >>> 3]! >>> (bit & 7)) & 1) === 1;
  const byte = image.findIndex((value) => value !== 0);
  let first = byte * 8;
  while (!isSet(first)) first++;
  let end = first;
  while (end < image.length * 8 && isSet(end)) end++;
  const bits = end - first;
  if (first % 8 === 0 && [8, 16, 32, 64].includes(bits)) return { offset: byte, type: `u${bits}` };
  const width = [8, 16, 32, 64].find((size) => (first & 7) + bits <= size) ?? 64;
  return { offset: byte, type: `u${width}`, bit: first & 7, bits };
}
