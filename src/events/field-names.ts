/** Type of a field that rules may name; `number` may be absent on events that do not carry it. */
export type FieldType = 'string' | 'number' | 'boolean';

/** A field's name, type and meaning: the vocabulary of rules (`fact: event.verdict`). */
export interface FieldSpec {
  type: FieldType;
  describe: string;
}

/**
 * Every fact that an event rule may use. A field that an event does not carry reads as undefined, and every operator
 * but `notEqual`, `notIn` and `doesNotContain` is false on undefined; those three are true.
 */
export const FIELD_SPECS = {
  'event.probe': { type: 'string', describe: 'name of the probe' },
  'event.group': { type: 'string', describe: 'probe group: l2, l3, l4, netfilter, lifecycle, socket, sched, virt' },
  'event.role': { type: 'string', describe: 'what the point means for a packet: receive, queue, transmit, drop …' },
  'event.kind': { type: 'string', describe: 'hop, packet, verdict, socket, sched' },
  'event.ret': { type: 'number', describe: "return value, drop reason number or the tracepoint's result" },
  'event.errno': { type: 'string', describe: 'name of a negative return value: ENOBUFS, EHOSTUNREACH …' },
  'event.verdict': {
    type: 'string',
    describe: 'netfilter verdict: NF_DROP, NF_ACCEPT, NF_STOLEN, NF_QUEUE, NF_REPEAT',
  },
  'event.reason': { type: 'string', describe: "drop reason by this kernel's name: NO_SOCKET, NETFILTER_DROP …" },
  'event.reasonInferred': {
    type: 'boolean',
    describe: "the reason is not the kernel's: it is inferred from where the packet was freed",
  },
  'event.location': { type: 'string', describe: 'where it was dropped: symbol+offset [module]' },
  'event.function': { type: 'string', describe: 'function it was dropped in, without offset and module' },
  'event.device': { type: 'string', describe: 'network device' },
  'event.ifindex': { type: 'number', describe: "the device's index" },
  'event.netns': { type: 'number', describe: 'inode number of the network namespace' },
  'event.cpu': { type: 'number', describe: 'CPU' },
  'event.pid': { type: 'number', describe: 'process on the CPU' },
  'event.tid': { type: 'number', describe: 'thread on the CPU' },
  'event.len': { type: 'number', describe: 'length of the skb, bytes' },
  'event.wireLen': {
    type: 'number',
    describe: 'the same, or of a GSO packet the length of each segment that it will be sent in, bytes',
  },
  'event.mark': { type: 'number', describe: 'skb mark' },
  'event.queue': { type: 'number', describe: 'transmit or receive queue' },
  'event.table': { type: 'string', describe: 'netfilter table' },
  'event.chain': { type: 'string', describe: 'netfilter chain' },
  'event.hook': { type: 'string', describe: 'PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING, INGRESS' },
  'event.family': { type: 'string', describe: 'netfilter family: ip, ip6, inet, arp, bridge, netdev' },
  'event.oldState': { type: 'string', describe: 'state before: TCP_SYN_SENT … or NUD_INCOMPLETE …' },
  'event.newState': { type: 'string', describe: 'state after' },
  'event.waitMs': { type: 'number', describe: 'sched: ms from runnable to running' },
  'event.preempted': { type: 'boolean', describe: 'sched: it lost the CPU while it could run' },
  'event.dropped': { type: 'boolean', describe: "the skb's life ends here in a drop" },
  'event.freed': { type: 'boolean', describe: "the skb's life ends here" },
  'event.rewritten': { type: 'boolean', describe: 'addresses or ports changed on the way (NAT)' },
  'event.icmpType': { type: 'number', describe: 'icmp_send: type of the error that this host sends' },
  'event.icmpCode': { type: 'number', describe: 'icmp_send: its code' },
  'event.qlen': { type: 'number', describe: 'qdisc events: packets in the queue' },
  'packet.src': { type: 'string', describe: 'source address' },
  'packet.dst': { type: 'string', describe: 'destination address' },
  'packet.sport': { type: 'number', describe: 'source port' },
  'packet.dport': { type: 'number', describe: 'destination port' },
  'packet.proto': { type: 'string', describe: 'TCP, UDP, ICMP, ICMPv6, ARP, …' },
  'packet.version': { type: 'number', describe: '4 or 6' },
  'packet.ttl': { type: 'number', describe: 'TTL or hop limit' },
  'packet.flags': { type: 'string', describe: 'TCP flags as tcpdump writes them: S, S., P., R., F.' },
  'packet.syn': { type: 'boolean', describe: 'TCP SYN set' },
  'packet.rst': { type: 'boolean', describe: 'TCP RST set' },
  'packet.fin': { type: 'boolean', describe: 'TCP FIN set' },
  'packet.window': { type: 'number', describe: 'TCP window field, unscaled' },
  'packet.payload': { type: 'number', describe: 'bytes after the transport header' },
  'packet.icmpType': { type: 'number', describe: 'ICMP type' },
  'packet.icmpCode': { type: 'number', describe: 'ICMP code' },
  'packet.fragment': { type: 'boolean', describe: 'an IP fragment' },
  'packet.dontFragment': { type: 'boolean', describe: 'IPv4 DF set' },
  'packet.multicast': { type: 'boolean', describe: 'destination is multicast or broadcast (IP or Ethernet)' },
  'packet.vlan': { type: 'number', describe: 'VLAN id, 0: none' },
  'packet.tunnel': { type: 'string', describe: 'vxlan, geneve, gre, ipip or empty' },
  'packet.spi': { type: 'number', describe: 'IPsec (ESP, AH): security parameters index' },
  'packet.gsoSegs': { type: 'number', describe: 'segments of a GSO packet' },
  'packet.dmac': { type: 'string', describe: 'destination MAC' },
  'packet.smac': { type: 'string', describe: 'source MAC' },
  'path.ageMs': { type: 'number', describe: 'ms since the packet was first seen' },
  'path.sinceLastMs': { type: 'number', describe: 'ms since its previous event' },
  'path.events': { type: 'number', describe: 'events of this packet so far, this one included' },
  'path.firstDevice': { type: 'string', describe: 'device it was first seen on' },
  'path.lastProbe': { type: 'string', describe: 'probe of its previous event' },
  'path.lastRole': { type: 'string', describe: 'role of its previous event' },
  'path.lastDevice': { type: 'string', describe: 'device of its previous event' },
  'socket.src': { type: 'string', describe: "socket events: the socket's own address" },
  'socket.dst': {
    type: 'string',
    describe: "socket events: the peer's address; neighbour events: the address asked for",
  },
  'socket.sport': { type: 'number', describe: 'own port' },
  'socket.dport': { type: 'number', describe: "peer's port" },
  'socket.protocol': { type: 'string', describe: 'TCP, UDP, …' },
  'socket.rmem': { type: 'number', describe: 'bytes in its receive queue' },
  'socket.rcvbuf': { type: 'number', describe: 'limit of its receive queue, bytes' },
  'socket.wmem': { type: 'number', describe: 'bytes in its send queue' },
  'socket.sndbuf': { type: 'number', describe: 'limit of its send queue, bytes' },
  'socket.backlog': { type: 'number', describe: 'connections waiting for accept' },
  'socket.backlogMax': { type: 'number', describe: 'limit of that queue' },
} as const satisfies Record<string, FieldSpec>;

export type FieldName = keyof typeof FIELD_SPECS;
