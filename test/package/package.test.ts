import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';

interface Manifest {
  version: string;
  dependencies: Record<string, string>;
}

/** What `npm pack` makes, and how it works where only it and its dependencies are: no compiler, no sources. */
describe('the package', function () {
  this.timeout(180_000);
  let folder: string;
  let installed: string;
  let files: string[];
  const manifest = JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as Manifest;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'vdiag-package-'));
    // Without scripts: packing must not build anew what other tests run.
    const [{ filename, files: list }] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
        cwd: packagePath(),
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        maxBuffer: 64 << 20,
      }),
    ) as [{ filename: string; files: { path: string }[] }];
    files = list.map(({ path }) => path);
    const modules = join(folder, 'app', 'node_modules');
    mkdirSync(modules, { recursive: true });
    execFileSync('tar', ['-xzf', join(folder, filename), '-C', modules]);
    installed = join(modules, 'vdiag');
    renameSync(join(modules, 'package'), installed);
    linkDependencies(modules);
  });
  after(() => rmSync(folder, { recursive: true }));

  /** The dependencies that `npm install` would fetch, and theirs; nothing that only development needs. */
  function linkDependencies(modules: string): void {
    const linked = new Set<string>();
    const link = (name: string): void => {
      const from = packagePath('node_modules', name);
      if (linked.has(name) || !existsSync(from)) return;
      linked.add(name);
      mkdirSync(join(modules, name, '..'), { recursive: true });
      symlinkSync(from, join(modules, name));
      const needs = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as Partial<Manifest>;
      Object.keys(needs.dependencies ?? {}).forEach(link);
    };
    Object.keys(manifest.dependencies).forEach(link);
  }

  /** Runs it as its user would, without a compiler in reach. */
  function vdiag(...args: string[]): { status: number; output: string } {
    const env = { PATH: '/usr/sbin:/sbin', HOME: folder, XDG_CONFIG_HOME: folder };
    const options = { cwd: folder, env, encoding: 'utf8', maxBuffer: 64 << 20 } as const;
    try {
      return {
        status: 0,
        output: execFileSync(process.execPath, [join(installed, 'dist/cli/main.js'), ...args], options),
      };
    } catch (error) {
      const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
      return { status, output: `${stdout}${stderr}` };
    }
  }

  it('carries the compiled eBPF objects, rules, articles, schemas, labs and recordings, and no sources or tests', () => {
    expect(files).to.include.members([
      'dist/cli/main.js',
      'bpf/build/vdiag.bpf.o',
      'bpf/build/vdiag-legacy.bpf.o',
      'rules/lifecycle.yaml',
      'rules/scenarios/vm-to-vm-latency.yaml',
      'knowledge-base/en/l4/port-closed.md',
      'knowledge-base/zh/l4/port-closed.md',
      'docs/schema/report.schema.json',
      'docs/guide.md',
      'fixtures/recordings/slow-bridge-port.vdiag',
      'fixtures/faults/slow-bridge-port.yaml',
      'fixtures/topologies/two-vms-on-a-bridge.yaml',
      'README.md',
      'LICENSE',
    ]);
    for (const source of readdirSync(packagePath('bpf')).filter((name) => name.endsWith('.bpf.c'))) {
      expect(files).to.include(`bpf/build/${source.replace(/\.c$/, '.o')}`);
    }
    expect(files.filter((path) => /^(src|test|scripts|bench|\.ci|\.cache|node_modules)\//.test(path))).to.deep.equal(
      [],
    );
    expect(files.filter((path) => /\.new$|\.d_|\.log$|\.tgz$/.test(path))).to.deep.equal([]);
  });

  it('is a command', () => {
    const program = readFileSync(join(installed, 'dist/cli/main.js'), 'utf8');
    expect(program).to.match(/^#!\/usr\/bin\/env node\n/);
    expect(vdiag('--version')).to.deep.equal({ status: 0, output: `${manifest.version}\n` });
  });

  it('knows its articles, rules, probes, scenarios and labs', () => {
    expect(vdiag('kb', 'list').output).to.include('l4/port-closed');
    expect(vdiag('rules', 'lint')).to.deep.include({ status: 0 });
    expect(vdiag('probes', 'list').output).to.include('kfree_skb');
    expect(vdiag('scenarios', 'list').output).to.include('vm-to-vm-latency');
    expect(vdiag('lab', 'list').output).to.include('slow-bridge-port');
  });

  it('replays a recording', () => {
    const { status, output } = vdiag('run', '--replay', join(installed, 'fixtures/recordings/slow-bridge-port.vdiag'));
    expect(status, output).to.equal(1);
    expect(output).to.include('700kbit').and.include('established');
  });
});
