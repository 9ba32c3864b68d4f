import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { cachePath } from './vm-kernel.js';

/** Packs a folder as a `newc` archive, the form of an initial file system. */
export async function makeCpio(root: string, image: string): Promise<void> {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  const { stdout } = await execa('cpio', ['--quiet', '--null', '--create', '--format=newc', '--owner=0:0'], {
    cwd: root,
    input: ['.', ...names].map((name) => `${name}\0`).join(''),
    encoding: 'buffer',
    maxBuffer: 1 << 30,
  });
  writeFileSync(image, stdout);
}

/** Makes an ext4 image of a folder, with a tenth of room for metadata. */
export async function makeExt4(root: string, image: string): Promise<void> {
  const kib = Number((await execa('du', ['-s', '--block-size=1K', '--apparent-size', root])).stdout.split('\t')[0]);
  const files = readdirSync(root, { recursive: true }).length;
  const sizeKib = Math.ceil(kib * 1.15) + files * 4 + 8192;
  const options = ['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-N', String(files + 1000)];
  await execa('mke2fs', [...options, '-E', 'root_owner=0:0', '-d', root, image, `${sizeKib}k`]);
}

/** Makes a file in the cache once; a crash leaves no half-made one, and two processes may make the same. */
export async function cached(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = cachePath('images', name);
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.draft`;
  try {
    await make(draft);
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
  // A new image replaces the older ones of its kind.
  const kind = name.replace(/-[0-9a-f]+\.[^.]+$/, '-');
  for (const other of readdirSync(dirname(path))) {
    const old = other.startsWith(kind) && other !== name && /^[0-9a-f]+\.[^.]+$/.test(other.slice(kind.length));
    if (old && Date.now() - statSync(join(dirname(path), other)).mtimeMs > 3_600_000)
      rmSync(join(dirname(path), other));
  }
  return path;
}

/** Runs `use` with a fresh folder in the cache and removes it after. */
export async function withStaging<T>(use: (folder: string) => Promise<T>): Promise<T> {
  mkdirSync(cachePath('images'), { recursive: true });
  const folder = mkdtempSync(cachePath('images', '.staging-'));
  chmodSync(folder, 0o755);
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function hash(parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16);
}

/** What tells a file from its next version: name, size, time. */
export function stamp(path: string): string {
  const { size, mtimeMs } = statSync(path);
  return `${path}:${size}:${mtimeMs}`;
}

/** Where a command is on this machine, or undefined. */
export function commandPath(name: string): string | undefined {
  return ['/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin', '/sbin', '/bin']
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}
