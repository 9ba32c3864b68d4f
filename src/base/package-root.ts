import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Absolute path of a file or folder that ships with the package, e.g. `packagePath('rules')`; works from src/ and dist/. */
export function packagePath(...parts: string[]): string {
  return join(root, ...parts);
}
