import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { execa } from 'execa';
import { fetchOpenVswitch } from './open-vswitch.js';
import { cached, commandPath, hash, makeCpio, makeExt4, stamp, withStaging } from './vm-files.js';
import { moduleLoadOrder, type Kernel } from './vm-kernel.js';

/** Commands of this machine that the guest must have; without one of them the image is not built. */
const COMMANDS =
  'sh ip tc bridge ss ping ethtool nft iptables iptables-legacy iptables-nft ip6tables ip6tables-legacy iptables-save iptables-legacy-save ' +
  'iptables-nft-save conntrack nsenter unshare modprobe sysctl timeout busybox';
/** Commands that help and that not every machine has. */
const EXTRA_COMMANDS =
  'bash bpftool iperf3 socat tcpdump arping ip6tables-save ip6tables-nft ip6tables-legacy-save ip6tables-nft-save ' +
  'ebtables ebtables-legacy ebtables-nft';
/** Found by these programs at run time, so that `ldd` does not name them. */
const DATA = [
  '/etc/iproute2',
  '/usr/lib/iproute2',
  '/etc/ethertypes',
  '/etc/protocols',
  '/etc/services',
  '/etc/nsswitch.conf',
  '/usr/lib/x86_64-linux-gnu/xtables',
  '/usr/lib/tc',
];
/** Libraries that vdiag loads by FFI, with what they load. */
const LIBRARIES = ['libbpf.so.1', 'libelf.so.1', 'libz.so.1', 'libpcap.so.0.8', 'libnss_files.so.2'];
/** Open vSwitch's tool for the kernel's datapaths: its libraries are not those of this machine. */
const OVS_FOLDER = 'usr/lib/openvswitch';
const DPCTL = `#!/bin/sh\nLD_LIBRARY_PATH=/${OVS_FOLDER}/lib exec /${OVS_FOLDER}/ovs-dpctl "$@"\n`;
/** What the initial file system needs before it can switch to the root image. */
const BOOT_MODULES = ['virtio_pci', 'virtio_blk', 'ext4', 'overlay'];

const guestInit = readFileSync(new URL('./guest-init.sh', import.meta.url), 'utf8');
const guestMain = readFileSync(new URL('./guest-main.sh', import.meta.url), 'utf8');

/**
 * The read-only root file system of a VM: this machine's node, its libraries and the network tools. Built once and kept
 * until one of those files changes.
 * @returns the path of an ext4 image.
 */
export async function baseImage(): Promise<string> {
  const wanted = COMMANDS.split(' ').map((name) => ({ name, path: commandPath(name) }));
  const missing = wanted.filter((command) => !command.path).map((command) => command.name);
  if (missing.length > 0) throw new Error(`the VM image needs commands that this machine lacks: ${missing.join(', ')}`);
  const commands = [
    ...wanted.map((command) => command.path!),
    ...EXTRA_COMMANDS.split(' ').flatMap((name) => commandPath(name) ?? []),
  ];
  const data = DATA.filter((path) => existsSync(path));
  const libraries = await librariesOf([process.execPath, ...commands, ...data.flatMap(sharedObjectsBelow)]);
  const files = [...new Set([...commands, ...libraries])].sort();
  const openVswitch = await fetchOpenVswitch();
  const dpctl = join(openVswitch, 'ovs-dpctl');
  const key = hash(
    [guestMain, DPCTL, process.execPath, dpctl, ...files, ...data].map((path) =>
      path.includes('\n') ? path : stamp(path),
    ),
  );
  return cached(`base-${key}.ext4`, async (image) => {
    await withStaging(async (root) => {
      for (const folder of [
        'usr/bin',
        'usr/sbin',
        'usr/lib',
        'usr/lib64',
        'usr/lib/modules',
        'proc',
        'sys',
        'dev',
        'run',
        'tmp',
        'root',
        'etc',
        'var',
        'vdiag',
      ]) {
        mkdirSync(join(root, folder), { recursive: true });
      }
      for (const folder of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${folder}`, join(root, folder));
      for (const file of files) copyWithLinks(file, root);
      // The node that runs the tests, wherever it is installed.
      copyFileSync(process.execPath, join(root, 'usr/bin/node'));
      cpSync(dpctl, join(root, OVS_FOLDER, 'ovs-dpctl'));
      cpSync(join(openVswitch, 'lib'), join(root, OVS_FOLDER, 'lib'), { recursive: true });
      writeFileSync(join(root, 'usr/bin/ovs-dpctl'), DPCTL, { mode: 0o755 });
      for (const path of data) cpSync(path, join(root, path), { recursive: true, verbatimSymlinks: true });
      await addBusybox(root);
      writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n');
      writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
      writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n');
      writeFileSync(join(root, 'usr/sbin/guest-main'), guestMain, { mode: 0o755 });
      await makeExt4(root, image);
    });
  });
}

/** The modules of a kernel as an image, mounted at /lib/modules. */
export async function moduleImage(kernel: Kernel): Promise<string | undefined> {
  const modules = kernel.modules;
  if (!modules) return undefined;
  const key = hash([stamp(join(modules, kernel.release, 'modules.dep')), modules]);
  return cached(`modules-${kernel.release}-${key}.ext4`, (image) => makeExt4(modules, image));
}

/** The first file system of a boot: busybox, the modules that reach the disks, and the script that mounts them. */
export async function bootImage(kernel: Kernel): Promise<string> {
  const modules = moduleLoadOrder(kernel, BOOT_MODULES);
  const key = hash([guestInit, kernel.image, ...modules.map(stamp)]);
  return cached(`initrd-${kernel.release}-${key}.cpio`, async (image) => {
    await withStaging(async (root) => {
      for (const folder of ['bin', 'dev', 'proc', 'modules', 'mnt']) mkdirSync(join(root, folder));
      copyFileSync(commandPath('busybox')!, join(root, 'bin/busybox'));
      for (const module of modules) copyFileSync(module, join(root, 'modules', basename(module)));
      writeFileSync(join(root, 'modules/order'), modules.map((module) => `${basename(module)}\n`).join(''));
      writeFileSync(join(root, 'init'), guestInit, { mode: 0o755 });
      await makeCpio(root, image);
    });
  });
}

function sharedObjectsBelow(path: string): string[] {
  if (!statSync(path).isDirectory()) return [];
  return readdirSync(path)
    .filter((name) => name.endsWith('.so'))
    .map((name) => join(path, name));
}

/** The libraries that files need, with the loader, plus those that vdiag loads itself. */
async function librariesOf(files: readonly string[]): Promise<string[]> {
  const own = LIBRARIES.map((name) => join('/usr/lib/x86_64-linux-gnu', name)).filter((path) => existsSync(path));
  const { stdout } = await execa('ldd', [...files, ...own], { reject: false });
  const named = [...stdout.matchAll(/(?:=>\s+)?(\/[^\s:]+)\s+\(0x/g)].map((match) => match[1]);
  return [...new Set([...own, ...named])];
}

/** Copies a file to the same place below `root`, with every symbolic link on the way to it. */
function copyWithLinks(path: string, root: string): void {
  const place = path.replace(/^\/(bin|sbin|lib|lib64)\//, '/usr/$1/');
  const target = join(root, place);
  if (existsSync(target)) return;
  mkdirSync(dirname(target), { recursive: true });
  const link = linkTarget(place);
  if (link === undefined) {
    copyFileSync(place, target);
    chmodSync(target, statSync(place).mode & 0o777);
    return;
  }
  const to = resolve(dirname(place), link);
  copyWithLinks(to, root);
  rmSync(target, { force: true });
  symlinkSync(to.replace(/^\/(bin|sbin|lib|lib64)\//, '/usr/$1/'), target);
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return undefined;
    throw error;
  }
}

/** Every busybox applet that the machine's own tools do not already provide. */
async function addBusybox(root: string): Promise<void> {
  const { stdout } = await execa(commandPath('busybox')!, ['--list']);
  for (const applet of stdout.split('\n')) {
    if (['usr/bin', 'usr/sbin'].some((folder) => existsSync(join(root, folder, applet)))) continue;
    symlinkSync('/usr/bin/busybox', join(root, 'usr/bin', applet));
  }
}
