import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { readDocument, yamlFilesBelow } from '../../src/base/documents.js';
import { packagePath } from '../../src/base/package-root.js';
import { printable } from '../../src/base/sanitize.js';

/** A command line, what lies in its folder, and what must come of it. */
interface Case {
  name: string;
  command: string[];
  files?: Record<string, string>;
  env?: Record<string, string>;
  /** One of these. */
  status: number | number[];
  /** Texts that must be in the output, in this order. */
  stdout?: string[];
  /** The whole output. */
  stdoutIs?: string;
  stderr?: string[];
  /** Texts that must be in neither. */
  never?: string[];
}

/** Starts the built command line, as a user would. */
function vdiag(
  args: readonly string[],
  options: { cwd: string; env?: Record<string, string> },
): Promise<{ status: number | string; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [packagePath('dist/cli/main.js'), ...args],
      {
        cwd: options.cwd,
        env: { ...process.env, XDG_CONFIG_HOME: options.cwd, ...options.env },
        timeout: 60_000,
        maxBuffer: 64 << 20,
      },
      (error, stdout, stderr) => resolve({ status: error ? (error.code ?? String(error.signal)) : 0, stdout, stderr }),
    );
  });
}

function expectInOrder(text: string, parts: readonly string[]): void {
  let from = 0;
  for (const part of parts) {
    const at = text.indexOf(part, from);
    expect(at, `"${part}" after offset ${from} in:\n${text}`).to.be.at.least(0);
    from = at + part.length;
  }
}

describe('command line', () => {
  for (const file of yamlFilesBelow(packagePath('test/cli/cases'))) {
    const { cases } = readDocument(file).value as { cases: Case[] };
    for (const one of cases) {
      it(one.name, async () => {
        const cwd = mkdtempSync(join(tmpdir(), 'vdiag-case-'));
        try {
          for (const [name, text] of Object.entries(one.files ?? {})) {
            mkdirSync(dirname(join(cwd, name)), { recursive: true });
            writeFileSync(join(cwd, name), text);
          }
          const args = one.command.map((word) => word.replaceAll('PACKAGE', packagePath().replace(/\/$/, '')));
          const { status, stdout, stderr } = await vdiag(args, { cwd, env: one.env });
          expect([one.status].flat(), `${status}\n${stdout}\n${stderr}`).to.include(status);
          expectInOrder(stdout, one.stdout ?? []);
          expectInOrder(stderr, one.stderr ?? []);
          if (one.stdoutIs !== undefined) expect(stdout).to.equal(one.stdoutIs);
          // No stack trace, and nothing that a terminal obeys.
          for (const never of [...(one.never ?? []), '    at ']) expect(`${stdout}\n${stderr}`).not.to.include(never);
          expect(printable(`${stdout}${stderr}`, { multiline: true })).to.equal(`${stdout}${stderr}`);
        } finally {
          rmSync(cwd, { recursive: true, force: true });
        }
      }).timeout(60_000);
    }
  }
});
