import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';

/** A process that traces until it is ended; it says so when the probes are attached. */
const TRACER = `
import { openTrace } from './src/bpf/trace-session.js';
import { tracepointRequests } from './test/support/trace-requests.js';
const session = openTrace({ requests: tracepointRequests(), filter: {}, ringBytes: 1 << 20 });
process.on('SIGTERM', () => {
  session.close();
  session.close();
  process.exit(0);
});
console.log(session.attached.length);
setInterval(() => {}, 1000);
`;

/** BPF objects that a process holds, by its file descriptors. */
function heldBy(pid: number): { programs: number[]; maps: number[] } {
  const folder = `/proc/${pid}/fdinfo`;
  const infos = readdirSync(folder).map((fd) => readFileSync(`${folder}/${fd}`, 'latin1'));
  const ids = (key: string): number[] =>
    infos.flatMap((info) => new RegExp(`^${key}:\\s*(\\d+)$`, 'm').exec(info)?.slice(1).map(Number) ?? []);
  return { programs: ids('prog_id'), maps: ids('map_id') };
}

/** Those of some BPF objects that still exist. */
function stillThere(what: 'prog' | 'map', ids: readonly number[]): number[] {
  const all = JSON.parse(execFileSync('bpftool', ['-j', what, 'list'], { encoding: 'utf8' })) as { id: number }[];
  return all.map(({ id }) => id).filter((id) => ids.includes(id));
}

describe('after a trace', () => {
  let child: ChildProcess;

  async function start(): Promise<{ programs: number[]; maps: number[] }> {
    child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '--eval', TRACER], {
      cwd: packagePath(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [attached] = (await once(child.stdout!, 'data')) as [Buffer];
    expect(Number(attached)).to.be.greaterThan(10);
    const held = heldBy(child.pid!);
    expect(held.programs.length, 'programs while it runs').to.be.at.least(Number(attached));
    expect(held.maps).to.not.be.empty;
    expect(stillThere('prog', held.programs), 'as bpftool sees them').to.have.members([...new Set(held.programs)]);
    return held;
  }

  afterEach(() => child.kill('SIGKILL'));

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
    it(`that ended by ${signal}, nothing is left in the kernel`, async () => {
      const held = await start();
      child.kill(signal);
      await once(child, 'exit');
      // Programs and maps go after a grace period.
      for (let i = 0; i < 50 && stillThere('prog', held.programs).length > 0; i++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect(stillThere('prog', held.programs)).to.deep.equal([]);
      expect(stillThere('map', held.maps)).to.deep.equal([]);
    });
  }
});
