import {
  closeSync,
  cpSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, freemem } from 'node:os';
import { join, dirname } from 'node:path';
import { execa } from 'execa';
import { CARD_ADDRESSES } from '../../src/lab/cards.js';
import { baseImage, bootImage, moduleImage } from './vm-base.js';
import { commandPath, withStaging } from './vm-files.js';
import { cachePath, qemuPath, type Kernel } from './vm-kernel.js';
import { projectImage } from './vm-project.js';

export interface VmJob {
  /** A POSIX shell script; it runs as root in /job, with the project at /vdiag. What it leaves in /out/artefacts comes out. */
  job: string;
  /** Files to lay beside the script in /job, by relative name. */
  files?: Record<string, string | Uint8Array>;
  /** Folders of this machine to lay there as well, by the name that they have in /job. */
  folders?: Record<string, string>;
  /** How long the job may take in the guest, s; on top comes the boot. Default 120. */
  timeoutSeconds?: number;
  /** Default 1024. */
  memoryMb?: number;
  /** Default 2. */
  cpus?: number;
  /** Two network cards on one cable: the lab's need "network-cards". Default false. */
  cards?: boolean;
  /** Told each line that the job writes to /dev/console, as it comes. */
  onLine?: (line: string) => void;
  /** Mount the built project at /vdiag. Default true. */
  project?: boolean;
}

export interface VmResult {
  /** Exit status of the job; 124 when its time ran out. */
  status: number;
  stdout: string;
  stderr: string;
  /** The guest's kernel log. */
  dmesg: string;
  /** Folder with what the job left in /out/artefacts; it stays until the caller removes it. */
  artefacts: string;
  /** From qemu's start to the job's first line, and to the end, s. */
  bootSeconds: number;
  totalSeconds: number;
}

/** Memory that a virtual machine and what runs beside it take, bytes. */
const MEMORY_EACH = 2 * 1024 ** 3;

/** How many machines fit on one at the same time, at so many processors each; by default on this one. At least 1. */
export function virtualMachinesAtOnce(
  processorsEach: number,
  on = { processors: availableParallelism(), freeBytes: freemem() },
): number {
  const byProcessors = Math.floor(on.processors / processorsEach);
  return Math.max(1, Math.min(byProcessors, Math.floor(on.freeBytes / MEMORY_EACH)));
}

const CABLE = CARD_ADDRESSES.flatMap((mac, i) => [
  ...['-netdev', `hubport,id=card${i},hubid=0`],
  ...['-device', `virtio-net-pci,netdev=card${i},mac=${mac},romfile=`],
]);

const BOOT_ALLOWANCE_SECONDS = 90;
const OUT_BYTES = 512 << 20;
let runs = 0;

/**
 * Boots a kernel under qemu, runs a job in it and hands back what came out. No acceleration is used, so it runs anywhere.
 * @throws Error, with the end of the serial log and where the whole of it is kept, when the guest does not come to the
 *   end of the job: a boot that fails is a failure.
 */
export async function runVm(kernel: Kernel, options: VmJob): Promise<VmResult> {
  const timeoutSeconds = options.timeoutSeconds ?? 120;
  const qemuFile = await qemuPath();
  const base = await baseImage();
  const initrd = await bootImage(kernel);
  const modules = await moduleImage(kernel);
  const project = options.project === false ? undefined : await projectImage();
  const name = `${kernel.release}-${process.pid}-${++runs}`;
  const log = cachePath('vm-logs', `${name}.log`);
  mkdirSync(dirname(log), { recursive: true });
  return withStaging(async (folder) => {
    const job = join(folder, 'job.tar');
    const out = join(folder, 'out.tar');
    await packJob(folder, job, options);
    const file = openSync(out, 'w');
    ftruncateSync(file, OUT_BYTES);
    closeSync(file);
    const disks = new DiskList();
    disks.add(base, true);
    const parameters = [
      'console=ttyS0',
      'quiet',
      'loglevel=4',
      'panic=-1',
      'mitigations=off',
      'nokaslr',
      // A busy host delivers the emulated timer too late for the kernel's own check of it, which panics.
      'no_timer_check',
      'random.trust_cpu=on',
    ];
    if (modules) parameters.push(`vm.modules=${disks.add(modules, true)}`);
    if (project) parameters.push(`vm.project=${disks.add(project, true)}`);
    parameters.push(
      `vm.job=${disks.add(job, true)}`,
      `vm.out=${disks.add(out, false)}`,
      `vm.seconds=${timeoutSeconds}`,
    );
    const started = performance.now();
    const boot = { seconds: Number.NaN };
    let told = 0;
    const watch = setInterval(() => {
      if (!Number.isNaN(boot.seconds) && !options.onLine) return;
      const lines = readIfThere(log).split(/\r?\n/);
      if (Number.isNaN(boot.seconds) && lines.includes('guest: job starts')) boot.seconds = since(started);
      // The last is not complete yet.
      for (const line of lines.slice(told, -1)) options.onLine?.(line);
      told = lines.length - 1;
    }, 200);
    const qemu = await execa(
      qemuFile,
      [
        ...[
          '-nodefaults',
          '-no-user-config',
          '-display',
          'none',
          '-no-reboot',
          '-accel',
          'tcg,thread=multi',
          '-cpu',
          // A processor without AVX: its emulation costs more than what it saves (runs of the fault bench take a sixth less
          // time). The name is qemu's own for an emulated processor: the lab's need "real-processor" knows it by that.
          'Nehalem,+rdrand,model-id=QEMU TCG CPU version 2.5+',
        ],
        ...['-m', String(options.memoryMb ?? 1024), '-smp', String(options.cpus ?? 2), '-serial', `file:${log}`],
        ...['-kernel', kernel.image, '-initrd', initrd, '-append', parameters.join(' '), ...disks.arguments],
        ...(options.cards ? CABLE : []),
      ],
      {
        reject: false,
        stdin: 'ignore',
        timeout: (timeoutSeconds + BOOT_ALLOWANCE_SECONDS) * 1000,
        killSignal: 'SIGKILL',
        cleanup: true,
      },
    );
    clearInterval(watch);
    const totalSeconds = since(started);
    const serial = readIfThere(log);
    const result = join(folder, 'result');
    mkdirSync(result);
    const unpacked = await execa('tar', ['-xf', out, '-C', result, '--no-same-owner'], { reject: false });
    if (unpacked.exitCode !== 0 || !existsSync(join(result, 'status'))) {
      const why = qemu.timedOut
        ? `did not end within ${timeoutSeconds + BOOT_ALLOWANCE_SECONDS} s`
        : `ended without a result (qemu: ${qemu.stderr || `status ${qemu.exitCode}`})`;
      throw new Error(
        `the VM with kernel ${kernel.release} ${why}; its serial log is ${log}:\n${serial.split('\n').slice(-40).join('\n')}`,
      );
    }
    rmSync(log, { force: true });
    const artefacts = cachePath('vm-artefacts', name);
    rmSync(artefacts, { recursive: true, force: true });
    mkdirSync(dirname(artefacts), { recursive: true });
    await execa('mv', [join(result, 'artefacts'), artefacts]);
    const text = (part: string): string => readFileSync(join(result, part), 'utf8');
    return {
      status: Number(text('status')),
      stdout: text('stdout'),
      stderr: text('stderr'),
      dmesg: text('dmesg'),
      artefacts,
      bootSeconds: boot.seconds,
      totalSeconds,
    };
  });
}

/** The disks of a VM, in the order in which the guest names them: vda, vdb … */
class DiskList {
  readonly arguments: string[] = [];
  #count = 0;

  /** @returns the guest's name of the disk. */
  add(file: string, readOnly: boolean): string {
    const name = `vd${String.fromCharCode(97 + this.#count++)}`;
    const drive = `file=${file.replaceAll(',', ',,')},if=none,id=${name},format=raw,cache=unsafe,file.locking=off${readOnly ? ',readonly=on' : ''}`;
    this.arguments.push('-drive', drive, '-device', `virtio-blk-pci,drive=${name}`);
    return name;
  }
}

async function packJob(folder: string, archive: string, options: VmJob): Promise<void> {
  const root = join(folder, 'job');
  mkdirSync(root);
  for (const [name, content] of Object.entries({ ...options.files, 'job.sh': options.job })) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  for (const [name, folder] of Object.entries(options.folders ?? {})) {
    cpSync(folder, join(root, name), { recursive: true });
  }
  if (!commandPath('tar')) throw new Error('the VM harness needs tar');
  await execa('tar', ['-cf', archive, '-C', root, '.']);
}

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

function since(start: number): number {
  return (performance.now() - start) / 1000;
}
