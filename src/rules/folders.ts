import { existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import { yamlFilesBelow } from '../base/documents.js';
import { VdiagError } from '../base/errors.js';
import { packagePath } from '../base/package-root.js';

/** A folder (or a file) of rules. Those of a later one add to, change or disable those of earlier ones. */
export interface RuleFolder {
  path: string;
  /** `shipped` with vdiag, `host` and `user` when they exist, `flag` must exist. */
  origin: 'shipped' | 'host' | 'user' | 'flag';
}

/**
 * Where rules are read from, in this order: shipped, `/etc/vdiag/rules.d`, `$XDG_CONFIG_HOME/vdiag/rules`, `--rules`.
 * Folders that need not exist and do not are left out.
 */
export function ruleFolders(flags: readonly string[] = [], env: NodeJS.ProcessEnv = process.env): RuleFolder[] {
  const config = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config');
  const own: RuleFolder[] = [
    { path: '/etc/vdiag/rules.d', origin: 'host' },
    { path: join(config, 'vdiag', 'rules'), origin: 'user' },
  ];
  return [
    { path: packagePath('rules'), origin: 'shipped' },
    ...own.filter(({ path }) => existsSync(path)),
    ...flags.map((path): RuleFolder => ({ path: resolve(path), origin: 'flag' })),
  ];
}

/** The rule files of a folder, sorted; scenarios below it are not rules. @throws VdiagError (2) if it cannot be read. */
export function ruleFilesIn(folder: RuleFolder): string[] {
  try {
    if (statSync(folder.path).isFile()) return [folder.path];
    return yamlFilesBelow(folder.path).filter((file) => relative(folder.path, file).split(sep)[0] !== 'scenarios');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new VdiagError(
      {
        message: code === 'ENOENT' ? `there is no folder ${folder.path}` : `cannot read ${folder.path}: ${message}`,
        expected: 'a folder of rule files, or one rule file',
      },
      2,
      { cause: error },
    );
  }
}
