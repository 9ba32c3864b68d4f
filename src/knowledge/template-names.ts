/**
 * How a value goes into a command. `word`: one argument, quoted unless it is plain. `words`: several, each quoted on its
 * own. `command`: a whole command (or its beginning) that an evidence collector has built and quoted already.
 */
export type TemplateKind = 'word' | 'words' | 'command';

/** A name that an article may put in double braces. */
export interface TemplateName {
  kind: TemplateKind;
  describe: string;
  /** What stands in its place where no diagnosis fills it (`vdiag kb show`); default: the name in capitals. */
  shown?: string;
}

const word = (describe: string): TemplateName => ({ kind: 'word', describe });
const command = (shown: string, describe: string): TemplateName => ({ kind: 'command', describe, shown });

/** Every name that articles may use: facts that a diagnosis names, its subject's members, and members of its evidence. */
export const TEMPLATE_NAMES: Readonly<Record<string, TemplateName>> = {
  ns: command('', 'prefix that runs a command in the network namespace of the event; empty in the own one'),
  device: word('network device'),
  fromDevice: word('device that the packet came from'),
  bridge: word('bridge that the device is a port of'),
  master: word('device that the device belongs to'),
  src: word("the packet's source address"),
  dst: word("the packet's destination address"),
  sport: word("the packet's source port"),
  dport: word("the packet's destination port"),
  proto: word('TCP, UDP, ICMP …'),
  address: word('address in question'),
  port: word('port in question'),
  process: word('name of the process that has the socket'),
  bound: word('address and port that a socket is bound to'),
  peer: word('address of the other end'),
  needed: word('value that a limit should have'),
  pid: word('process'),
  tid: word('thread'),
  cpu: word('CPU'),
  comm: word('name of the process'),
  guest: word('libvirt domain'),
  state: word('state of a device, port or neighbour'),
  mac: word('Ethernet address in question'),
  rightMac: word('Ethernet address that it should be'),
  vlan: word('VLAN id'),
  inPort: word('port that a frame enters the bridge by'),
  gateway: word('next hop'),
  ownDevice: word('device of this host that has the address'),
  expected: word('length of a prefix, as it should be'),
  reference: word('another address on the link, with its prefix length'),
  priority: word('priority of a routing rule'),
  mtu: word('MTU of the way out, bytes'),
  length: word('length of the packet, bytes'),
  mss: word('largest TCP segment that fits, bytes'),
  reporter: word('address that an ICMP error came from'),
  sender: word('address whose packet it is about'),
  setting: word('name of a kernel setting'),
  setMtuCommand: command('ip link set dev DEVICE mtu NEEDED', 'gives a device an MTU that leaves room'),
  raiseMtuCommand: command('ip link set dev DEVICE mtu LENGTH', 'gives a device an MTU that the packet fits'),
  restoreMtuCommand: command('ip link set dev DEVICE mtu MTU', 'undoes raiseMtuCommand'),
  raiseLimitCommand: command('sysctl -w SETTING=NEEDED', 'raises a limit of the kernel to what is needed'),
  restoreLimitCommand: command('sysctl -w SETTING=VALUE', 'undoes raiseLimitCommand'),
  ttl: word('TTL the packet had'),
  kind: word('kind of the queueing discipline'),
  handle: word('handle of a queueing discipline or nft rule'),
  rate: word('configured rate, as tc takes it'),
  burst: word('configured burst, as tc takes it'),
  lengthenCommand: command('tc qdisc change dev DEVICE root pfifo limit 1000', 'gives a queue room for more packets'),
  shortenCommand: command('tc qdisc change dev DEVICE root pfifo limit LIMIT', 'undoes lengthenCommand'),
  to: word('device that packets are sent on to'),
  xdpOffCommand: command('ip link set dev DEVICE xdp off', 'takes an XDP program off a device'),
  daemonCommand: command(
    'systemctl restart openvswitch-switch',
    'brings the daemon of Open vSwitch back, or shows what it does',
  ),
  queueLengthCommand: command('ip link set dev DEVICE txqueuelen 1000', "makes a device's transmit queue longer"),
  queueLengthUndo: command('ip link set dev DEVICE txqueuelen LENGTH', 'undoes queueLengthCommand'),
  nice: word('nice value of the thread'),
  rivalPid: word('process that had the CPU instead'),
  configured: { kind: 'words', describe: 'configuration of the queueing discipline, as tc takes it' },
  'suggested.rate': word('a rate that would let the offered traffic through'),
  'suggested.burst': word('a burst that goes with it'),
  delay: word('configured delay'),
  loss: word('configured loss'),
  table: word('netfilter table'),
  chain: word('netfilter chain'),
  family: word('netfilter family'),
  hook: word('netfilter hook, or ingress or egress of a device'),
  number: word('number of the rule in its chain'),
  count: word('how many there are now'),
  max: word('how many there may be'),
  maxBacklog: word('net.core.netdev_max_backlog now'),
  rule: { kind: 'words', describe: 'the firewall rule as its tool prints it' },
  changeCommand: command(
    'tc qdisc change dev DEVICE root KIND rate RATE burst BURST latency 50ms',
    'raises a rate limit',
  ),
  removeCommand: command('tc qdisc del dev DEVICE root', 'removes what was configured: a queueing discipline, a route'),
  raiseCommand: command('sysctl -w net.netfilter.nf_conntrack_max=262144', 'raises a limit'),
  vlanCommand: command('bridge vlan add dev DEVICE vid VLAN', "allows the packet's VLAN on a bridge port"),
  showCommand: command('iptables -t TABLE -L CHAIN -v -n -x --line-numbers', 'lists the chain with its counters'),
  deleteCommand: command('iptables -t TABLE -D CHAIN RULE', 'removes the firewall rule'),
  insertAcceptCommand: command(
    'iptables -t TABLE -I CHAIN NUMBER -s SRC -d DST -p PROTO --dport DPORT -j ACCEPT',
    'lets the flow through, in front of the rule',
  ),
  removeAcceptCommand: command(
    'iptables -t TABLE -D CHAIN -s SRC -d DST -p PROTO --dport DPORT -j ACCEPT',
    'takes that back',
  ),
  fixCommand: command('bridge link set dev DEVICE state forwarding', 'takes away what stops frames on their way'),
  undoCommand: command('bridge link set dev DEVICE state STATE', 'undoes fixCommand'),
  acceptCommand: command(
    'nft insert rule FAMILY TABLE CHAIN position HANDLE ip saddr SRC ip daddr DST tcp dport DPORT accept',
    'lets the flow through, in front of a rule of nft',
  ),
  addCommand: command('iptables -t nat -A POSTROUTING -s SRC -o DEVICE -j MASQUERADE', 'adds what is missing'),
  releaseCommand: command(
    "nft 'delete element FAMILY TABLE SET { ELEMENT }'",
    'takes an element out of a set or verdict map of nft',
  ),
  blockCommand: command("nft 'add element FAMILY TABLE SET { ELEMENT }'", 'puts it back'),
  restoreCommand: command('', 'undoes the command of the same remedy'),
  usualRtoCommand: command('ip route change PREFIX dev DEVICE', "takes a route's least retransmission timeout back"),
  restoreRouteCommand: command('ip route change PREFIX dev DEVICE', 'gives a route the metrics back that it had'),
  quickackCommand: command(
    'ip route change PREFIX dev DEVICE quickack 1',
    'has the connections of a route acknowledge at once',
  ),
  continueCommand: command('kill -CONT PID', 'lets a stopped process go on'),
  stopCommand: command('kill -STOP PID', 'stops it again'),
  raiseSynCommand: command(
    'sysctl -w net.ipv4.tcp_syncookies=1 net.ipv4.tcp_max_syn_backlog=NEEDED',
    'lets cookies be sent and makes the SYN queue longer',
  ),
  restoreSynCommand: command('sysctl -w net.ipv4.tcp_syncookies=0 net.ipv4.tcp_max_syn_backlog=MAX', 'undoes that'),
};

/**
 * Sample commands where they depend on the article: what `restoreCommand` looks like beside the command that it undoes,
 * and what is removed in the articles about routes.
 */
export function sampleCommands(articleId: string, commands: readonly string[]): Record<string, string | undefined> {
  if (articleId.startsWith('l3/') && commands.includes('removeCommand')) {
    return { removeCommand: 'ip route del blackhole DST', restoreCommand: 'ip route add blackhole DST' };
  }
  return { restoreCommand: commands.map((name) => SAMPLE_UNDO[name]).find((undo) => undo !== undefined) };
}

const SAMPLE_UNDO: Readonly<Record<string, string>> = {
  changeCommand: 'tc qdisc replace dev DEVICE root CONFIGURED',
  removeCommand: 'tc qdisc replace dev DEVICE root CONFIGURED',
  raiseCommand: 'sysctl -w net.netfilter.nf_conntrack_max=MAX',
  deleteCommand: 'iptables -t TABLE -I CHAIN NUMBER RULE',
  addCommand: 'iptables -t nat -D POSTROUTING -s SRC -o DEVICE -j MASQUERADE',
};
