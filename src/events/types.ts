/** Why a packet's headers read as they do: plain values, for reports and rules (never on the hot path). */
export interface PacketView {
  /** `10.0.0.1`, `fd00::1`; empty when not IP or ARP. */
  src: string;
  dst: string;
  /** TCP/UDP ports; 0 otherwise. */
  sport: number;
  dport: number;
  /** `TCP`, `UDP`, `ICMP`, `ICMPv6`, `ARP`, `IPv4`, … */
  proto: string;
  /** 4, 6; 0: not IP. */
  version: number;
  ttl: number;
  /** TCP flags as tcpdump writes them, e.g. `S`, `S.`, `P.`; empty otherwise. */
  flags: string;
  seq: number;
  ack: number;
  window: number;
  icmpType: number;
  icmpCode: number;
  /** ICMP echo identifier and sequence. */
  icmpId: number;
  icmpSeq: number;
  ipId: number;
  /** Bytes of payload after the transport header. */
  payload: number;
  vlan: number;
  /** `vxlan 42`, or empty. */
  tunnel: string;
  gsoSize: number;
  gsoSegs: number;
  smac: string;
  dmac: string;
  /** One line: `TCP 10.0.0.1:4711 → 10.0.0.2:80 [S] seq 1 len 0`. */
  summary: string;
}

/** One normalised event, as a plain object: made only for what a rule keeps or a view shows. */
export interface SkbEvent {
  /** ns, monotonic. Exact to 2^53. */
  ts: number;
  probe: string;
  group: string;
  role: string;
  /** `hop`, `packet`, `verdict`, `socket`, `sched`. */
  kind: string;
  path: number;
  skb: number;
  device: string;
  ifindex: number;
  netns: number;
  cpu: number;
  pid: number;
  tid: number;
  len: number;
  mark: number;
  ret: number;
  /** Of drops: the reason's name on that kernel, and where. */
  reason?: string;
  /** The kernel gave no reason: it is inferred from where the packet was freed and what was seen of it before. */
  reasonInferred?: true;
  location?: string;
  /** Of netfilter: `NF_DROP` …, hook name, table and chain. */
  verdict?: string;
  hook?: string;
  table?: string;
  chain?: string;
  packet?: PacketView;
}
