import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { freeCards } from './cards.js';
import { run } from './commands.js';
import { OWN_HOST } from './helpers/host.js';
import { namespaceName } from './names.js';

/**
 * Kernel features that labs and faults need, each with the commands that try it in a scratch namespace. Tried rather
 * than read from a configuration: a module may be built and not installed, or installed and not allowed.
 */
const TRIALS: Record<string, readonly string[][]> = {
  netem: [['tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms']],
  tbf: [['tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'tbf', 'rate', '1mbit', 'burst', '4kb', 'limit', '10kb']],
  htb: [['tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'htb', 'default', '1']],
  fq_codel: [['tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'fq_codel', 'limit', '10']],
  clsact: [
    ['tc', 'qdisc', 'add', 'dev', 'lo', 'clsact'],
    ['tc', 'filter', 'add', 'dev', 'lo', 'ingress', 'pref', '1', 'matchall', 'action', 'drop'],
  ],
  flower: [
    ['tc', 'qdisc', 'add', 'dev', 'lo', 'clsact'],
    ['tc', 'filter', 'add', 'dev', 'lo', 'ingress', 'protocol', 'ip', 'flower', 'ip_proto', 'udp', 'action', 'drop'],
  ],
  u32: [
    ['tc', 'qdisc', 'add', 'dev', 'lo', 'clsact'],
    ['tc', 'filter', 'add', 'dev', 'lo', 'ingress', 'protocol', 'ip', 'u32', 'match', 'ip', 'protocol', '17', '0xff'],
  ],
  police: [
    ['tc', 'qdisc', 'add', 'dev', 'lo', 'clsact'],
    ['tc', 'filter', 'add', 'dev', 'lo', 'ingress', 'matchall', 'action', 'police', 'rate', '1mbit', 'burst', '10k'],
  ],
  mirred: [
    ['tc', 'qdisc', 'add', 'dev', 'lo', 'clsact'],
    // prettier-ignore
    ['tc', 'filter', 'add', 'dev', 'lo', 'egress', 'matchall', 'action', 'mirred', 'egress', 'redirect', 'dev', 'lo'],
  ],
  'threaded-napi': [
    ['ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'],
    ['cat', '/sys/class/net/v0/threaded'],
  ],
  tap: [['ip', 'tuntap', 'add', 'dev', 't0', 'mode', 'tap']],
  vxlan: [['ip', 'link', 'add', 'vx0', 'type', 'vxlan', 'id', '1', 'dstport', '4789', 'local', '127.0.0.1']],
  'iptables-legacy': [['iptables-legacy', '-A', 'FORWARD', '-p', 'tcp', '--dport', '1', '-j', 'DROP']],
  'ip6tables-legacy': [['ip6tables-legacy', '-A', 'FORWARD', '-p', 'tcp', '--dport', '1', '-j', 'DROP']],
  'iptables-nft': [['iptables-nft', '-A', 'FORWARD', '-p', 'tcp', '--dport', '1', '-j', 'DROP']],
  nft: [
    ['nft', 'add', 'table', 'inet', 't'],
    ['nft', 'add', 'chain', 'inet', 't', 'c', '{', 'type', 'filter', 'hook', 'forward', 'priority', '0', ';', '}'],
    ['nft', 'add', 'rule', 'inet', 't', 'c', 'tcp', 'dport', '1', 'counter', 'drop'],
  ],
  conntrack: [['iptables-legacy', '-A', 'INPUT', '-m', 'conntrack', '--ctstate', 'INVALID', '-j', 'DROP']],
  'nft-bridge': [
    ['nft', 'add', 'table', 'bridge', 't'],
    ['nft', 'add', 'chain', 'bridge', 't', 'c', '{', 'type', 'filter', 'hook', 'forward', 'priority', '0', ';', '}'],
    ['nft', 'add', 'rule', 'bridge', 't', 'c', 'ip', 'daddr', '10.0.0.1', 'tcp', 'dport', '1', 'counter', 'drop'],
  ],
  'nft-ingress': [
    ['nft', 'add', 'table', 'netdev', 't'],
    // prettier-ignore
    ['nft', 'add', 'chain', 'netdev', 't', 'c', '{', 'type', 'filter', 'hook', 'ingress', 'device', 'lo', 'priority', '0', ';', '}'],
    ['nft', 'add', 'rule', 'netdev', 't', 'c', 'udp', 'dport', '1', 'counter', 'drop'],
  ],
  ebtables: [['ebtables', '-A', 'FORWARD', '-p', 'IPv4', '-j', 'ACCEPT']],
  'ebtables-legacy': [['ebtables-legacy', '-A', 'FORWARD', '-p', 'IPv4', '-j', 'ACCEPT']],
  'ebtables-nft': [['ebtables-nft', '-A', 'FORWARD', '-p', 'IPv4', '-j', 'ACCEPT']],
  'bridge-vlan': [['ip', 'link', 'add', 'br0', 'type', 'bridge', 'vlan_filtering', '1']],
  openvswitch: [
    ['ovs-dpctl', 'add-dp', 't'],
    ['ovs-dpctl', 'add-flow', 't', 'in_port(1),eth(),eth_type(0x0800),ipv4()', 'trunc(1500)'],
  ],
  'bridge-netfilter': [['sysctl', '-q', 'net.bridge.bridge-nf-call-iptables']],
};

/** What is no matter of the kernel's features. */
const ALLOWED: Record<string, () => boolean | Promise<boolean>> = {
  // The machine is the lab's own: a test VM.
  'own-host': () => process.env[OWN_HOST] === 'own',
  'network-cards': async () => (await freeCards()) !== undefined,
  // The kernel watches the queues of those drivers alone that want to be told; virtio_net does by 6.1, not in 5.10.
  'transmit-watchdog': async () =>
    (await freeCards()) !== undefined && /\bvirtnet_tx_timeout\b/.test(readFileSync('/proc/kallsyms', 'utf8')),
  // From 6.7 on a drop by Open vSwitch is one that the kernel tells (net/openvswitch/drop.h).
  'ovs-drop-reasons': () => {
    const [major, minor] = release().split('.').map(Number);
    return major > 6 || (major === 6 && minor >= 7);
  },
  // Some faults are a matter of milliseconds, which an emulated processor takes for itself.
  'real-processor': () => !/QEMU TCG/.test(readFileSync('/proc/cpuinfo', 'utf8')),
};

const answers = new Map<string, boolean>();

/** The names that `needs:` may hold. */
export const KNOWN_NEEDS: readonly string[] = [...Object.keys(TRIALS), ...Object.keys(ALLOWED)];

/** Which of the features cannot be had here; asked once a process. Needs root. */
export async function missingNeeds(needs: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const need of needs) {
    if (!answers.has(need)) answers.set(need, (await ALLOWED[need]?.()) ?? (await tryOut(TRIALS[need] ?? [])));
    if (!answers.get(need)) missing.push(need);
  }
  return missing;
}

async function tryOut(commands: readonly string[][]): Promise<boolean> {
  // The name is a lab's, so that `lab down --all` finds it after a crash.
  const name = namespaceName(`needs-${process.pid}`, 'trial');
  if ((await run(['ip', 'netns', 'add', name])).exitCode !== 0) return false;
  try {
    for (const command of commands) {
      const output = await run(['ip', 'netns', 'exec', name, ...command]);
      if (output.exitCode !== 0) return false;
    }
    return commands.length > 0;
  } finally {
    await run(['ip', 'netns', 'delete', name]);
  }
}
