import { spawnSync } from 'node:child_process';

/** How a kernel image's payload may be compressed (Documentation/arch/x86/boot.rst): magic bytes and what undoes it. */
const COMPRESSIONS: readonly { magic: readonly number[]; command: string; args: readonly string[] }[] = [
  { magic: [0x1f, 0x8b, 0x08], command: 'gzip', args: ['-dcq'] },
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], command: 'xz', args: ['-dcq', '--single-stream'] },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], command: 'zstd', args: ['-dcq'] },
  { magic: [0x02, 0x21, 0x4c, 0x18], command: 'lz4', args: ['-dcq'] },
];

/**
 * The ELF file (vmlinux, without its symbol table) inside a bzImage.
 * @throws Error when the image is not a bzImage or the tool that unpacks it fails.
 */
export function vmlinuxOf(image: Buffer): Buffer {
  if (image.length < 0x260 || image.toString('latin1', 0x202, 0x206) !== 'HdrS') throw new Error('not a bzImage');
  const start = (image[0x1f1] + 1) * 512 + image.readUInt32LE(0x248);
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c));
  const compression = COMPRESSIONS.find(({ magic }) => magic.every((byte, i) => payload[i] === byte));
  if (!compression) {
    throw new Error(`payload starts with ${payload.toString('hex', 0, 6)}: no compression that is known`);
  }
  const { stdout, error, stderr } = spawnSync(compression.command, compression.args, {
    // The last four bytes are the size when unpacked, which the tools take for garbage.
    input: payload.subarray(0, -4),
    maxBuffer: 1 << 28,
  });
  if (error) throw new Error(`${compression.command} cannot be run: ${error.message}`, { cause: error });
  if (stdout.length < 64 || stdout.readUInt32BE(0) !== 0x7f454c46) {
    throw new Error(`${compression.command} gave no ELF file: ${stderr.toString().trim()}`);
  }
  return stdout;
}

/** A symbol of the kernel: its type as /proc/kallsyms shows it (`t`, `T` …) and its name. */
export interface ImageSymbol {
  type: string;
  name: string;
}

/**
 * The kernel's own table of its symbols, which an image carries although it has no ELF symbols: names packed by 256
 * tokens (scripts/kallsyms.c; read by kernel/kallsyms.c: kallsyms_expand_symbol). Addresses are left alone.
 * @throws Error when the table is not found.
 */
export function symbolsOf(vmlinux: Buffer): ImageSymbol[] {
  const tokens = findTokens(vmlinux);
  const names = findNames(vmlinux, tokens.start);
  const symbols: ImageSymbol[] = [];
  let at = names.start;
  for (let i = 0; i < names.count; i++) {
    const [start, end] = packedName(vmlinux, at);
    let text = '';
    for (at = start; at < end; at++) text += tokens.words[vmlinux[at]];
    symbols.push({ type: text.charAt(0), name: text.slice(1) });
  }
  return symbols;
}

/** Where a packed name's tokens are. Lengths from 128 on take a second byte (since 6.1). */
function packedName(vmlinux: Buffer, at: number): [start: number, end: number] {
  const length = vmlinux[at];
  if (!(length & 0x80)) return [at + 1, at + 1 + length];
  return [at + 2, at + 2 + ((length & 0x7f) | (vmlinux[at + 1] << 7))];
}

/** The tables are aligned to eight bytes, from 7.0 on to four. */
const ALIGNMENTS = [8, 4] as const;

function align(at: number, to: number): number {
  return Math.ceil(at / to) * to;
}

/** The tokens: 256 texts that end in a zero byte. Digits are tokens of their own, in order, in every kernel. */
function findTokens(vmlinux: Buffer): { start: number; words: string[] } {
  const digits = Buffer.from('0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00', 'latin1');
  for (let at = vmlinux.indexOf(digits); at >= 0; at = vmlinux.indexOf(digits, at + 1)) {
    let start = at;
    for (let i = 0; i < 48; i++) start = vmlinux.lastIndexOf(0, start - 2) + 1;
    const words: string[] = [];
    let end = start;
    for (let i = 0; i < 256; i++) {
      const zero = vmlinux.indexOf(0, end);
      words.push(vmlinux.toString('latin1', end, zero));
      end = zero + 1;
    }
    // Right behind is the index of the tokens: where each starts.
    const isIndex = (at: number): boolean =>
      vmlinux.readUInt16LE(at) === 0 && vmlinux.readUInt16LE(at + 2) === words[0].length + 1;
    if (ALIGNMENTS.some((to) => isIndex(align(end, to)))) return { start, words };
  }
  throw new Error('no table of kernel symbols in this image');
}

/** Bytes before the tokens in which the names begin: some 2 MB of names, and what other tables there are. */
const NAMES_WITHIN = 16 << 20;

/** The names, with how many there are right before them; and behind them the markers, which tell where every 256th starts. */
function findNames(vmlinux: Buffer, tokens: number): { start: number; count: number } {
  for (let start = align(tokens, 4) - 8; start > Math.max(8, tokens - NAMES_WITHIN); start -= 4) {
    for (const to of ALIGNMENTS) {
      if (start % to !== 0 || (to === 8 && vmlinux.readUInt32LE(start - 4) !== 0)) continue;
      const count = vmlinux.readUInt32LE(start - to);
      if (count < 10_000 || count > 1_000_000) continue;
      if (isNames(vmlinux, start, count, tokens, to)) return { start, count };
    }
  }
  throw new Error("the kernel symbols' names were not found");
}

function isNames(vmlinux: Buffer, start: number, count: number, limit: number, to: number): boolean {
  let at = start;
  let second = 0;
  for (let i = 0; i < count; i++) {
    if (i === 256) second = at - start;
    const [first, end] = packedName(vmlinux, at);
    if (first === end || end > limit) return false;
    at = end;
  }
  const markers = align(at, to);
  return vmlinux.readUInt32LE(markers) === 0 && vmlinux.readUInt32LE(markers + 4) === second;
}
