import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VdiagError } from '../../base/errors.js';
import { elfSection } from '../elf.js';
import { endOf, runTool } from './tools.js';

/** s for a vmlinux of half a gigabyte of debug info on a slow machine. */
const PAHOLE_SECONDS = 1800;
const BTF_MAGIC = 0xeb9f;

/**
 * Raw BTF of an uncompressed kernel, or a copy of its /sys/kernel/btf/vmlinux: its own (.BTF), else made by pahole from its debug information.
 * @throws VdiagError (status 2) when it is no such file or has neither; (status 3) when pahole is missing or fails
 */
export async function btfOfVmlinux(file: string): Promise<Buffer> {
  const own = ownBtf(file);
  if (own) return own;
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-btf-'));
  try {
    const out = join(folder, 'vmlinux.btf');
    const { ok, output } = await runTool(
      'pahole',
      [`--btf_encode_detached=${out}`, file],
      PAHOLE_SECONDS,
      'apt-get install pahole (dnf install dwarves)',
    );
    if (!ok) throw new VdiagError({ message: `pahole cannot make BTF of ${file}: ${endOf(output)}` }, 3);
    return readFileSync(out);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new VdiagError(
      {
        message: `${file} has neither BTF nor debug information (DWARF)`,
        expected: 'the vmlinux of the kernel build, or of the distribution’s debug package',
        hint: 'Debian: linux-image-<release>-dbg; where there is none: vdiag btf make --headers DIR',
      },
      2,
      { cause: error },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function ownBtf(file: string): Buffer | undefined {
  try {
    const bytes = readFileSync(file);
    return bytes.length > 2 && bytes.readUInt16LE(0) === BTF_MAGIC ? bytes : elfSection(bytes, '.BTF');
  } catch (error) {
    throw new VdiagError(
      {
        message: `cannot read ${file}: ${(error as Error).message}`,
        expected: 'an uncompressed kernel (vmlinux), not a boot image (vmlinuz, bzImage)',
      },
      2,
      { cause: error },
    );
  }
}
