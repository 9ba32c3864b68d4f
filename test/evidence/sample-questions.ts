import type { EvidenceParams } from '../../src/evidence/types.js';

/** What the tests ask of the samples; `late`: after the routes and neighbours that refuse were made. */
export interface SampleQuestion {
  collector: string;
  /** 1: gca, 2: gcb, 3: gcr; absent: the host's own namespace. */
  netns?: number;
  params: EvidenceParams;
  late?: boolean;
}

const one = (
  collector: string,
  netns: number | undefined,
  params: EvidenceParams = {},
  late = false,
): SampleQuestion => ({
  collector,
  ...(netns === undefined ? {} : { netns }),
  params,
  ...(late ? { late } : {}),
});

export const SAMPLE_QUESTIONS: SampleQuestion[] = [
  one('qdisc', 3, { device: 'gpa', seconds: 3 }),
  one('qdisc', 3, { device: 'gpb', seconds: 3 }),
  one('qdisc', 3, { device: 'gtap0' }),
  one('qdisc', 3, { device: 'gbr0' }),
  one('link', 3, { device: 'gpb' }),
  one('firewall-rule', 2, { hook: 'INPUT' }),
  one('firewall-rule', 3, { family: 'bridge' }),
  one('conntrack', 2),
  one('snmp', 2, { counter: 'UdpRcvbufErrors' }),
  one('snmp', 2, { counter: 'Udp6NoPorts' }),
  one('snmp', 2, { counter: 'TcpExtListenOverflows' }),
  ...[7100, 7200, 7300, 7555].map((port) => one('socket', 2, { protocol: 'TCP', port })),
  ...[5500, 5777].map((port) => one('socket', 2, { protocol: 'UDP', port })),
  one('tap-owner', 3, { device: 'gtap0' }),
  one('bridge', 3, { device: 'gbr0', mac: '00:00:00:00:00:00', vlan: 1 }),
  one('ethtool', 3, { device: 'gpa' }),
  one('softnet', undefined),
  one('interrupts', undefined),
  one('softirqs', undefined),
  one('pressure', undefined),
  one('cpu', undefined),
  one('ovs', undefined),
  one('ovs-flow', undefined, { device: 'vma' }),
  one('sysctl', 2, { name: 'net.ipv4.conf.*.rp_filter', device: 'eth0' }),
  one('sysctl', 2, { name: 'ip_forward' }),
  one('sysctl', 2, { name: 'tcp_rmem' }),
  ...[
    '10.99.1.1',
    '10.99.2.1',
    '10.99.3.1',
    '10.99.4.1',
    '10.99.5.1',
    '10.98.0.1',
    '8.8.8.8',
    '10.92.0.2',
    'fd92::1',
    '2001:db8::1',
  ].map((dst) => one('route', 2, { dst }, true)),
  one('route', 2, { dst: '10.99.4.1', src: '10.92.0.1', iif: 'eth0' }, true),
  one('route', 2, { dst: '10.92.0.2', src: '10.92.0.1', iif: 'eth0' }, true),
  one('route', 2, { dst: '10.92.0.1', src: '10.92.0.2', iif: 'eth0' }, true),
  ...['10.92.0.66', '10.92.0.67', '10.92.0.68', '10.92.0.254', '10.99.4.1'].map((address) =>
    one('neighbour', 2, { address }, true),
  ),
];
