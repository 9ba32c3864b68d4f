import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packagePath } from '../../src/base/package-root.js';

/** A folder with the shipped event rules alone (not the diagnoses, which need evidence); removed after use. */
export function copyEventRules<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-content-'));
  try {
    for (const name of readdirSync(packagePath('rules'))) {
      if (name.endsWith('.yaml')) copyFileSync(packagePath('rules', name), join(folder, name));
    }
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
