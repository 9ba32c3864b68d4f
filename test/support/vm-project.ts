import { cpSync, existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { packagePath } from '../../src/base/package-root.js';
import { cached, hash, makeExt4, stamp, withStaging } from './vm-files.js';

/** The built project as an image, mounted at /vdiag. */
export async function projectImage(): Promise<string> {
  await buildIfStale();
  const parts = [
    'dist',
    'bpf/build',
    'bpf/probes',
    'bpf/offsets',
    'bpf/drop-reasons',
    'rules',
    'knowledge-base',
    'fixtures',
    'docs/schema',
    'package.json',
  ];
  const paths = [...parts.filter((part) => existsSync(packagePath(part))), ...productionModules()];
  const key = hash(paths.flatMap((path) => stampsBelow(packagePath(path))));
  return cached(`project-${key}.ext4`, (image) =>
    withStaging(async (root) => {
      for (const path of paths) {
        cpSync(packagePath(path), join(root, path), { recursive: true, verbatimSymlinks: true });
      }
      await makeExt4(root, image);
    }),
  );
}

/** The packages that an installed vdiag has, as the lock file says. */
function productionModules(): string[] {
  const lock = JSON.parse(readFileSync(packagePath('package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  return Object.entries(lock.packages).flatMap(([path, entry]) =>
    path === '' || entry.dev || !existsSync(packagePath(path)) || /node_modules\/.*\/node_modules\//.test(path)
      ? []
      : [path],
  );
}

function stampsBelow(path: string): string[] {
  if (!statSync(path).isDirectory()) return [stamp(path)];
  // Packages change with their manifest; everything else is compared file by file.
  if (path.includes('/node_modules/')) return [stamp(join(path, 'package.json'))];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => stamp(join(entry.parentPath, entry.name)));
}

/** Compiles `src/` when it is newer than `dist/`, so that a VM never runs yesterday's code. */
async function buildIfStale(): Promise<void> {
  const newest = (folder: string): number => (existsSync(folder) ? Math.max(0, ...stampsTimes(folder)) : 0);
  if (newest(packagePath('dist')) >= newest(packagePath('src'))) return;
  const result = await execa(
    process.execPath,
    [packagePath('node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
    { cwd: packagePath(), reject: false },
  );
  // tsc writes its output in spite of type errors; whether those may stay is the linter's question.
  if (!existsSync(packagePath('dist'))) throw new Error(`the project does not compile: ${result.stdout}`);
  await execa(process.execPath, ['--import=tsx', packagePath('scripts', 'make-ahead.ts')], { cwd: packagePath() });
}

function stampsTimes(folder: string): number[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs);
}
