import { spawn, type ChildProcess } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  readdirSync,
  existsSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { cached, commandPath, hash, makeCpio, stamp, withStaging } from './vm-files.js';
import { GuestConsole, type GuestOutput } from './guest-console.js';
import { fetchKernel, moduleLoadOrder, type Kernel } from './vm-kernel.js';

/** Two or more real guests on the taps of one bridge. */
export interface Guests {
  /** Name of the network namespace (for `ip netns`) that stands for the host, and its inode. */
  netns: string;
  netnsInode: number;
  bridge: string;
  /** Tap, address and qemu process of each guest, in the same order. */
  taps: string[];
  addresses: string[];
  pids: number[];
  /** Names that qemu was given with `-name`. */
  names: string[];
  /** Pings the next guest from guest `from`; round trips in ms. */
  ping(
    from: number,
    count: number,
    intervalMs: number,
  ): Promise<{ sent: number; answered: number; roundTripsMs: number[] }>;
  /** Sends bytes over TCP from guest `from` to the next guest; gives up after `maxMs`. */
  tcp(from: number, bytes: number, maxMs?: number): Promise<{ received: number; elapsedMs: number }>;
  /** Runs a shell command in a guest. */
  run(guest: number, command: string, timeoutMs?: number): Promise<GuestOutput>;
  /** Runs a command in the host's namespace. @throws when it fails. */
  host(...argv: string[]): Promise<string>;
  /** Stops a guest's qemu (SIGSTOP) and lets it go on. */
  pause(guest: number): void;
  resume(guest: number): void;
  /** Ends the guests and removes the namespace with all that is in it. */
  stop(): Promise<void>;
}

const PREFIX = 'vdg-';
const BRIDGE = 'vdg-br0';
const BOOT_MS = 120_000;
const TCP_PORT = 7000;
const MODULES = ['virtio_pci', 'virtio_net'];
const guestServe = readFileSync(new URL('./guest-serve.sh', import.meta.url), 'utf8');

/**
 * Boots guests (Debian's 6.1 cloud kernel, busybox) under qemu without acceleration, each with a virtio-net on a tap
 * device of one bridge, in a network namespace of their own: the machine's own network is not touched.
 * @throws Error with the guest's console when one does not come up; nothing is left then.
 */
export async function startGuests(options: { count?: number; memoryMb?: number } = {}): Promise<Guests> {
  await removeLeftOvers();
  const count = options.count ?? 2;
  const kernel = await fetchKernel('6.1');
  const initrd = await guestImage(kernel);
  const netns = `${PREFIX}${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), `${netns}-`));
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  const taps = numbers.map((number) => `vdg-tap${number}`);
  const addresses = numbers.map((number) => `10.88.0.${number}`);
  const names = numbers.map((number) => `guest${number}`);
  const host = async (...argv: string[]): Promise<string> =>
    (await execa('ip', ['netns', 'exec', netns, ...argv])).stdout;
  const processes: ChildProcess[] = [];
  const consoles: GuestConsole[] = [];
  const stop = async (): Promise<void> => {
    for (const console of consoles) console.close();
    await Promise.all(processes.map(endProcess));
    await execa('ip', ['netns', 'delete', netns], { reject: false });
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await makeBridge(netns, host, taps);
    for (const [i, tap] of taps.entries()) {
      const log = openSync(join(folder, `qemu${i + 1}.log`), 'w');
      const argv = qemuArguments({
        kernel,
        initrd,
        tap,
        name: names[i],
        address: addresses[i],
        number: i + 1,
        folder,
        memoryMb: options.memoryMb ?? 128,
      });
      // The kernel ends qemu when this process dies, however it dies.
      processes.push(
        spawn('ip', ['netns', 'exec', netns, 'setpriv', '--pdeathsig', 'KILL', ...argv], {
          stdio: ['ignore', log, log],
        }),
      );
      closeSync(log);
    }
    await Promise.all(
      processes.map(async (child, i) => {
        consoles[i] = new GuestConsole();
        try {
          await consoles[i].connect(
            join(folder, `command${i + 1}`),
            BOOT_MS,
            () => child.exitCode === null && child.signalCode === null,
          );
        } catch (error) {
          const said = ['qemu', 'console']
            .map((name) => join(folder, `${name}${i + 1}.log`))
            .map((file) => (existsSync(file) ? readFileSync(file, 'utf8') : ''));
          throw new Error(`guest ${i + 1}: ${(error as Error).message}\n${said.join('\n').slice(-4000)}`, {
            cause: error,
          });
        }
      }),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  const next = (guest: number): number => (guest + 1) % count;
  const run = (guest: number, command: string, timeoutMs = 30_000): Promise<GuestOutput> =>
    consoles[guest].run(command, timeoutMs);
  return {
    netns,
    netnsInode: statSync(join('/run/netns', netns)).ino,
    bridge: BRIDGE,
    taps,
    addresses,
    names,
    pids: processes.map((child) => child.pid!),
    run,
    host,
    stop,
    pause: (guest) => void processes[guest].kill('SIGSTOP'),
    resume: (guest) => void processes[guest].kill('SIGCONT'),
    async ping(from, times, intervalMs) {
      const seconds = Math.max(0.05, intervalMs / 1000);
      const { text } = await run(
        from,
        `ping -c ${times} -i ${seconds} -W 5 ${addresses[next(from)]}`,
        times * seconds * 1000 + 30_000,
      );
      const total = /(\d+) packets transmitted, (\d+) packets received/.exec(text);
      if (!total) throw new Error(`ping in guest ${from + 1} said: ${text}`);
      const roundTripsMs = [...text.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]));
      return { sent: Number(total[1]), answered: Number(total[2]), roundTripsMs };
    },
    async tcp(from, bytes, maxMs = 20_000) {
      const seconds = Math.ceil(maxMs / 1000);
      const to = next(from);
      // The server ends at the client's end of data; what it counted is read from its output.
      const server = run(to, `timeout ${seconds + 2} nc -l -p ${TCP_PORT} -e sh -c "wc -c >&2"`, maxMs + 20_000);
      await listening(() => run(to, `netstat -ltn | grep -c :${TCP_PORT}`));
      const started = performance.now();
      await run(
        from,
        `head -c ${bytes} /dev/zero | timeout ${seconds} nc ${addresses[to]} ${TCP_PORT}`,
        maxMs + 20_000,
      );
      const elapsedMs = performance.now() - started;
      return { received: Number((await server).text.trim().split('\n').at(-1)), elapsedMs };
    },
  };
}

async function listening(count: () => Promise<GuestOutput>): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    if ((await count()).status === 0) return;
  }
  throw new Error('the guest does not listen');
}

async function makeBridge(netns: string, host: Guests['host'], taps: readonly string[]): Promise<void> {
  await execa('ip', ['netns', 'add', netns]);
  await host('ip', 'link', 'set', 'lo', 'up');
  await host(
    'ip',
    'link',
    'add',
    BRIDGE,
    'type',
    'bridge',
    'stp_state',
    '0',
    'forward_delay',
    '0',
    'mcast_snooping',
    '0',
  );
  await host('ip', 'link', 'set', BRIDGE, 'addrgenmode', 'none', 'up');
  for (const tap of taps) {
    await host('ip', 'tuntap', 'add', 'dev', tap, 'mode', 'tap', 'vnet_hdr');
    await host('ip', 'link', 'set', tap, 'addrgenmode', 'none', 'master', BRIDGE, 'up');
  }
}

interface QemuOptions {
  kernel: Kernel;
  initrd: string;
  tap: string;
  name: string;
  address: string;
  number: number;
  folder: string;
  memoryMb: number;
}

function qemuArguments(options: QemuOptions): string[] {
  const { kernel, initrd, tap, name, address, number, folder } = options;
  const parameters = `console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check ipv6.disable=1 guest.address=${address}/24`;
  return [
    ...['qemu-system-x86_64', '-name', name, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-accel', 'tcg', '-cpu', 'max,la57=off', '-smp', '1', '-m', String(options.memoryMb)],
    ...['-kernel', kernel.image, '-initrd', initrd, '-append', parameters],
    ...['-serial', `file:${join(folder, `console${number}.log`)}`],
    ...['-serial', `unix:${join(folder, `command${number}`)},server=on,wait=off`],
    ...['-netdev', `tap,id=net0,ifname=${tap},script=no,downscript=no,vhost=off`],
    ...['-device', `virtio-net-pci,netdev=net0,mac=02:88:00:00:00:0${number}`],
  ];
}

/** The whole of a guest: busybox, the modules of its network device, and the script that takes commands. */
function guestImage(kernel: Kernel): Promise<string> {
  const modules = moduleLoadOrder(kernel, MODULES);
  return cached(`guest-${kernel.release}-${hash([guestServe, ...modules.map(stamp)])}.cpio`, (image) =>
    withStaging(async (root) => {
      for (const folder of ['bin', 'modules']) mkdirSync(join(root, folder));
      copyFileSync(commandPath('busybox')!, join(root, 'bin/busybox'));
      for (const module of modules) copyFileSync(module, join(root, 'modules', basename(module)));
      writeFileSync(join(root, 'modules/order'), modules.map((module) => `${basename(module)}\n`).join(''));
      writeFileSync(join(root, 'init'), guestServe, { mode: 0o755 });
      await makeCpio(root, image);
    }),
  );
}

/** Ends a process, also a stopped one, and waits until it has. */
async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

/** Removes what runs that were killed left behind: its name carries their process id. */
async function removeLeftOvers(): Promise<void> {
  const leftIn = (folder: string): string[] =>
    (existsSync(folder) ? readdirSync(folder) : []).filter((name) => {
      const pid = new RegExp(`^${PREFIX}(\\d+)(-|$)`).exec(name)?.[1];
      return pid !== undefined && !existsSync(`/proc/${pid}`);
    });
  for (const name of leftIn('/run/netns')) await execa('ip', ['netns', 'delete', name], { reject: false });
  for (const name of leftIn(tmpdir())) rmSync(join(tmpdir(), name), { recursive: true, force: true });
}
