import { execFile, execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import { OBJECT_FILE } from '../../src/bpf/object.js';
import type { Report } from '../../src/report/types.js';

const NODE = process.execPath;
const VDIAG = packagePath('dist', 'cli', 'main.js');
const RUN = ['run', '--scenario', 'packet-drop', '--duration', '1s'];

interface Outcome {
  status: number | string;
  stdout: string;
  stderr: string;
}

function execute([program, ...args]: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 120_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) =>
      resolve({ status: error ? (error.code ?? String(error.signal)) : 0, stdout, stderr }),
    );
  });
}

const vdiag = (...args: string[]): Promise<Outcome> => execute([NODE, VDIAG, ...args]);

/** Runs it where the shell commands have changed what is mounted; nobody else sees that, and it ends with the process. */
function mounted(commands: string, ...args: string[]): Promise<Outcome> {
  return execute(['unshare', '--mount', 'sh', '-c', `set -e; ${commands}; exec "$@"`, 'sh', NODE, VDIAG, ...args]);
}

/** What of eBPF and of network namespaces a process could leave in the kernel. */
function kernelState(): string[] {
  const list = (kind: string): string[] =>
    (
      JSON.parse(execFileSync('bpftool', ['-j', kind, 'show'], { encoding: 'utf8' })) as { id: number; name?: string }[]
    ).map(({ id, name }) => `${kind} ${id} ${name ?? ''}`);
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns').map((name) => `netns ${name}`) : [];
  return [...list('prog'), ...list('map'), ...list('link'), ...namespaces];
}

/** Waits until nothing is there that was not there before: the kernel frees programs a moment after their process. */
async function expectNothingLeft(before: readonly string[]): Promise<void> {
  let left: string[] = [];
  for (let tries = 0; tries < 40; tries++) {
    left = kernelState().filter((one) => !before.includes(one));
    if (left.length === 0) return;
    await delay(250);
  }
  expect(left, 'left behind').to.deep.equal([]);
}

/** One message on stderr, of which nothing is a stack trace, and nothing on stdout. */
function expectOneMessage({ status, stdout, stderr }: Outcome, expectedStatus: number, ...parts: RegExp[]): void {
  expect(status, stderr).to.equal(expectedStatus);
  expect(stdout).to.equal('');
  expect(stderr.match(/^vdiag: /gm), stderr).to.have.lengthOf(1);
  expect(stderr).to.not.match(/^\s+at /m);
  for (const part of parts) expect(stderr).to.match(part);
}

/** The compiled object with a first instruction in every program that no verifier takes: it reads r9, which holds nothing. */
function refusedObject(): Buffer {
  const bytes = readFileSync(OBJECT_FILE);
  const [headers, size, count] = [
    Number(bytes.readBigUInt64LE(0x28)),
    bytes.readUInt16LE(0x3a),
    bytes.readUInt16LE(0x3c),
  ];
  const SHF_EXECINSTR = 4n;
  for (let at = headers; at < headers + size * count; at += size) {
    const offset = Number(bytes.readBigUInt64LE(at + 0x18));
    if ((bytes.readBigUInt64LE(at + 8) & SHF_EXECINSTR) === 0n || bytes.readBigUInt64LE(at + 0x20) === 0n) continue;
    Buffer.of(0xbf, 0x90, 0, 0, 0, 0, 0, 0).copy(bytes, offset);
  }
  return bytes;
}

describe('a run that cannot be', function () {
  this.timeout(120_000);
  let folder: string;
  let before: string[];

  this.beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'vdiag-errors-'));
  });
  this.afterAll(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    before = kernelState();
  });
  afterEach(() => expectNothingLeft(before));

  function file(name: string, content: string | Uint8Array): string {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  }

  describe('for want of privileges', () => {
    const asUser = (...args: string[]): Promise<Outcome> => execute(['unshare', '--user', NODE, VDIAG, ...args]);
    const withoutCapabilities = (...args: string[]): Promise<Outcome> =>
      execute(['setpriv', '--bounding-set=-all', '--inh-caps=-all', NODE, VDIAG, ...args]);

    it('says so before it asks for anything else', async () => {
      expectOneMessage(await asUser('run'), 3, /nothing can be traced here: .*EPERM.*not privileged.*sudo/);
      expectOneMessage(await asUser(...RUN), 3, /not privileged/);
    });

    it('as root of a container says which capabilities', async () => {
      expectOneMessage(await withoutCapabilities(...RUN), 3, /root without CAP_BPF and CAP_PERFMON.*--privileged/);
    });

    it('makes no lab', async () => {
      expectOneMessage(await asUser('run', '--lab', 'slow-bridge-port'), 3, /the lab needs root/);
      expectOneMessage(await asUser('lab', 'up', 'slow-bridge-port'), 3, /the lab needs root/);
    });

    it('doctor says what is missing, with 3; a replay works', async () => {
      const doctor = await asUser('doctor');
      expect(doctor.status).to.equal(3);
      expect(doctor.stdout)
        .to.match(/FAIL .*CAP_SYS_ADMIN/)
        .and.include('Live tracing does not work here');
      const recording = packagePath('fixtures', 'recordings', 'port-closed.vdiag');
      const replay = await asUser('run', '--replay', recording);
      expect(replay.status, replay.stderr).to.equal(1);
      expect(replay.stdout).to.include('port 2000');
    });
  });

  describe('for want of libbpf', () => {
    it('says what to install; whatever needs no kernel works', async () => {
      const library = /libbpf\.so\.1 .*=> (\S+)/.exec(execFileSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }))![1];
      const hidden = `mount --bind ${file('empty', '')} ${realpathSync(library)}`;
      expectOneMessage(await mounted(hidden, ...RUN), 3, /libbpf\.so\.1 cannot be loaded.*apt-get install libbpf1/);
      expectOneMessage(await mounted(hidden, 'probes', 'list', '--available'), 3, /libbpf\.so\.1 cannot be loaded/);
      expect((await mounted(hidden, 'doctor')).stdout).to.match(/FAIL .*libbpf\.so\.1 cannot be loaded/);
      expect(await mounted(hidden, 'rules', 'lint')).to.include({ status: 0, stderr: '' });
      expect(await vdiag('doctor')).to.include({ status: 0 });
    });
  });

  describe('for its eBPF object', () => {
    const replacedBy = (path: string): string => `mount --bind ${path} ${OBJECT_FILE}`;

    it('that is not there says how to build it', async () => {
      const outcome = await mounted(`mount -t tmpfs none ${dirname(OBJECT_FILE)}`, ...RUN);
      expectOneMessage(outcome, 3, /vdiag\.bpf\.o is not there; build it: npm run build:bpf/);
    });

    it('that is empty, cut off or another file says so', async () => {
      const whole = readFileSync(OBJECT_FILE);
      for (const path of [file('empty.o', ''), file('cut.o', whole.subarray(0, 20_000)), realpathSync('/bin/sh')]) {
        const outcome = await mounted(replacedBy(path), ...RUN);
        expectOneMessage(outcome, 3, /vdiag\.bpf\.o cannot be used: .*build it again: npm run build:bpf/);
      }
    });

    it('that the kernel refuses shows what the verifier said, and does not speak of privileges', async () => {
      const outcome = await mounted(replacedBy(file('refused.o', refusedObject())), ...RUN);
      expectOneMessage(outcome, 3, /the kernel refuses .*vdiag\.bpf\.o: EACCES/, /r0 = r9\nR9 !read_ok/);
      expect(outcome.stderr).to.not.include('sudo');
    });
  });

  it('of required points that cannot be attached, each is named with its reason', async () => {
    const { points } = JSON.parse((await vdiag('probes', 'list', '--available', '--format', 'json')).stdout) as {
      points: { probe: string; backend?: string; why: string[] }[];
    };
    const lacking = points.filter(({ backend }) => backend === undefined).slice(0, 2);
    const outcome = await vdiag(...RUN, '--require', lacking.map(({ probe }) => probe).join(','));
    expect(outcome.status).to.equal(lacking.length > 0 ? 3 : 0);
    for (const { probe, why } of lacking)
      expect(outcome.stderr).to.include(`probe "${probe}" is required`).and.include(why[0]!);
  });

  it('whose probe cannot be had names it', async () => {
    const outcome = await vdiag(...RUN, '--require', 'kfree_skbb');
    expectOneMessage(outcome, 2, /kfree_skbb.*did you mean "kfree_skb"/);
  });
});

describe('a run whose output fails', function () {
  this.timeout(120_000);
  let before: string[];
  beforeEach(() => {
    before = kernelState();
  });
  afterEach(() => expectNothingLeft(before));

  const shell = (script: string): Promise<Outcome> => execute(['bash', '-c', script, 'bash', NODE, VDIAG]);
  const recording = packagePath('fixtures', 'recordings', 'slow-bridge-port.vdiag');

  it('ends quietly when nobody reads on, with the status of what was found', async () => {
    expect(await shell('"$1" "$2" rules list | head -n 1')).to.include({ status: 0, stderr: '' });
    const run = await shell(`"$1" "$2" run --replay ${recording} --format json | head -c 1; exit \${PIPESTATUS[0]}`);
    expect(run).to.deep.equal({ status: 1, stdout: '{', stderr: '' });
  });

  it('says that the output could not be written', async () => {
    expectOneMessage(await shell('"$1" "$2" rules list > /dev/full'), 3, /cannot write the output: ENOSPC/);
    const run = await shell(`"$1" "$2" run --replay ${recording} > /dev/full`);
    expectOneMessage(run, 3, /cannot write the output: ENOSPC/);
  });

  it('reports all the same when the disk of the recording is full, and says that the recording is not whole', async () => {
    // 12 kB hold the head, but not all that follows.
    const { status, stdout, stderr } = await execute([
      ...['unshare', '--mount', 'sh', '-c'],
      'mount -t tmpfs -o size=12k none /mnt && "$1" "$2" run --lab port-closed --scenario connect-failure --record /mnt/x.vdiag --no-progress; echo "status $?"; "$1" "$2" run --replay /mnt/x.vdiag; echo "status $?"',
      ...['sh', NODE, VDIAG],
    ]);
    expect(status).to.equal(0);
    expect(stderr).to.match(/warning: the recording \/mnt\/x\.vdiag is not whole/);
    const [run, replay, rest] = stdout.split(/^status \d+\n/m);
    expect(run).to.include('port 2000').and.include('established');
    expect(replay).to.include('the recording ends early');
    expect(rest).to.equal('');
    expect(stdout.match(/^status \d+$/gm)![0]).to.equal('status 1');
  });
});

describe('a live run and its replay', function () {
  this.timeout(180_000);

  for (const [lab, scenario, ...more] of [
    ['port-closed', 'connect-failure'],
    ['healthy-bridge', 'vm-to-vm-latency', '--budget-factor', '3'],
  ]) {
    it(`${lab}: give the same report, byte for byte`, async () => {
      const before = kernelState();
      const folder = mkdtempSync(join(tmpdir(), 'vdiag-same-'));
      try {
        const file = join(folder, 'run.vdiag');
        const command = ['run', '--lab', lab, '--scenario', scenario, ...more];
        const live = await vdiag(...command, '--record', file, '--format', 'json');
        expect(live.stderr).to.equal('');
        expect(live.status).to.equal(lab === 'healthy-bridge' ? 0 : 1);
        const replay = await vdiag('run', '--replay', file, '--format', 'json');
        expect(replay).to.deep.equal(live);
        const { coverage, parameters, pairs } = JSON.parse(live.stdout) as Report;
        expect(coverage.recording).to.equal('run.vdiag');
        expect(parameters.budgetFactor).to.equal(more.length > 0 ? 3 : undefined);
        const budgets = pairs.flatMap(({ segments }) => segments.map(({ spec }) => spec.budgetMs));
        if (more.length > 0) expect(budgets).to.include(3);
        expect(statSync(file).mode & 0o777).to.equal(0o600);
        expectOneMessage(await vdiag(...RUN, '--record', file), 2, /run\.vdiag exists; .*--force/);
      } finally {
        rmSync(folder, { recursive: true });
      }
      await expectNothingLeft(before);
    });
  }
});
