import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Report } from '../../src/report/types.js';
import { type CliRun, startVdiag, vdiag } from '../support/vdiag-cli.js';

/** BPF objects that a process holds, as its descriptors tell. */
function heldBy(pid: number): { prog: number[]; link: number[] } {
  const folder = `/proc/${pid}/fdinfo`;
  const infos = readdirSync(folder).map((fd) => readFileSync(join(folder, fd), 'latin1'));
  const ids = (key: string): number[] =>
    infos.flatMap((info) => new RegExp(`^${key}:\\s*(\\d+)$`, 'm').exec(info)?.slice(1).map(Number) ?? []);
  return { prog: ids('prog_id'), link: ids('link_id') };
}

/** Those of some BPF objects that the kernel still has; they go after a grace period. */
async function left(held: ReturnType<typeof heldBy>): Promise<string[]> {
  let still: string[] = [];
  for (let i = 0; i < 50; i++) {
    still = (['prog', 'link'] as const).flatMap((what) => {
      const all = JSON.parse(execFileSync('bpftool', ['-j', what, 'list'], { encoding: 'utf8' })) as { id: number }[];
      return all.filter(({ id }) => held[what].includes(id)).map(({ id }) => `${what} ${id}`);
    });
    if (still.length === 0) break;
    await sleep(100);
  }
  return still;
}

const namespacesOf = (lab: string): string[] =>
  readdirSync('/run/netns').filter((name) => name.startsWith(`vdiag-${lab}-`));

describe('a run that is interrupted', function () {
  this.timeout(60_000);
  const lab = 'two-vms-on-a-bridge';
  let folder: string;
  let file: string;
  let before: string[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'vdiag-interrupted-'));
    file = join(folder, 'run.vdiag');
    before = namespacesOf(lab);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Starts a lab run; when this returns, it traces. */
  async function start(...more: string[]): Promise<CliRun> {
    const run = startVdiag('run', '--lab', lab, '--format', 'json', '--record', file, ...more);
    for (let i = 0; i < 400 && !existsSync(file) && run.child.exitCode === null; i++) await sleep(50);
    // Time for some of the traffic.
    await sleep(1500);
    return run;
  }

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`by ${signal}: reports what it saw, and leaves nothing`, async () => {
      const run = await start();
      const held = heldBy(run.child.pid!);
      expect(held.prog).to.not.deep.equal([]);
      run.child.kill(signal);
      const { status, stdout, stderr } = await run.result;
      expect(status, stderr).to.equal(0);
      const report = JSON.parse(stdout) as Report;
      expect(report.ended).to.equal('interrupted');
      expect(report.seconds).to.be.below(10);
      expect(report.traffic.packets).to.be.above(5);
      expect(await left(held)).to.deep.equal([]);
      expect(namespacesOf(lab)).to.deep.equal(before);
      const replayed = await vdiag('run', '--replay', file, '--format', 'json');
      expect(replayed.stdout, 'the recording gives the same report').to.equal(stdout);
    });
  }

  it('by SIGKILL: nothing stays attached, its lab can be removed, its recording be read', async () => {
    const run = await start();
    const held = heldBy(run.child.pid!);
    expect(held.prog).to.not.deep.equal([]);
    run.child.kill('SIGKILL');
    await run.result;
    expect(await left(held)).to.deep.equal([]);
    const stayed = namespacesOf(lab).filter((name) => !before.includes(name));
    expect(stayed, 'nobody could tidy up').to.not.deep.equal([]);
    const id = stayed[0].slice('vdiag-'.length, stayed[0].lastIndexOf('-'));
    const down = await vdiag('lab', 'down', id);
    expect(down.status, down.stderr).to.equal(0);
    expect(namespacesOf(lab)).to.deep.equal(before);
    const { status, stdout } = await vdiag('run', '--replay', file);
    expect(status).to.be.oneOf([0, 1]);
    expect(stdout).to.match(/recording/i);
  });
});
