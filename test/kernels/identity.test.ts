import { expect } from 'chai';
import type { IdentityCase } from '../support/vm-identity.js';
import { type KernelName, kernelsUnderTest } from './harness.js';
import { type IdentityOutcome, ran, runIdentityCases } from './identity-cases.js';

const ping = (to: string): Pick<IdentityCase, 'traffic'> => ({ traffic: `in_ a ping -q -c1 -W5 ${to}` });
const ICMP = 1;
const ESP = 50;

const PING4 = { src: '10.2.0.1', dst: '10.2.0.2', proto: 'icmp' };
const PING6 = { src: 'fd02::1', dst: 'fd02::2', proto: 'icmp6' };
const UNDERLAY = '"local 10.1.0.1 remote 10.1.0.2" "local 10.1.0.2 remote 10.1.0.1"';

/** One stream from a to b; `server` reads it all. */
const stream = (to: string): string =>
  `in_ b socat -u TCP-LISTEN:99 OPEN:/dev/null & sleep 0.5; head -c 400000 /dev/zero | in_ a socat -u - TCP:${to}:99; wait`;

/** Two hosts and a tunnel between them, through which one ping goes. */
const tunnelled = (name: string, device: string, version: 4 | 6 = 4): IdentityCase => {
  const to = version === 4 ? '10.2.0.2' : 'fd02::2';
  return { name, setup: `joined; tunnel ${device}; warm ${to}`, filter: version === 4 ? PING4 : PING6, ...ping(to) };
};

const TUNNELS = [
  tunnelled('VXLAN', 'vxlan "id 42 dstport 4789 remote 10.1.0.2" "id 42 dstport 4789 remote 10.1.0.1"'),
  tunnelled('Geneve', 'geneve "id 42 remote 10.1.0.2" "id 42 remote 10.1.0.1"'),
  tunnelled('GRE', `gre ${UNDERLAY}`),
  tunnelled('GRE with Ethernet', `gretap ${UNDERLAY}`),
  tunnelled('IP in IP', `ipip ${UNDERLAY}`),
  tunnelled('IPv6 in IPv4', `sit ${UNDERLAY}`, 6),
  tunnelled('IPv4 in IPv6', 'ip6tnl "mode any local fd01::1 remote fd01::2" "mode any local fd01::2 remote fd01::1"'),
  tunnelled(
    'IPv6 in IPv6',
    'ip6tnl "mode any local fd01::1 remote fd01::2" "mode any local fd01::2 remote fd01::1"',
    6,
  ),
];

/** Of the packet before it is encrypted, and after: the devices see it in between alone. */
const AROUND_IPSEC = ['__ip_local_out', 'ip_local_deliver', 'icmp_rcv'];

const IPSEC: IdentityCase[] = [
  {
    name: 'ESP, transport mode',
    setup: 'joined; sealed transport 10.1.0.1 10.1.0.2; warm 10.1.0.2',
    filter: { src: '10.1.0.1', dst: '10.1.0.2', proto: 'icmp' },
    ...ping('10.1.0.2'),
    points: AROUND_IPSEC,
  },
  {
    name: 'ESP, tunnel mode',
    setup:
      'joined; addr a lo 10.2.0.1/32; addr b lo 10.2.0.2/32; ip -n a route add 10.2.0.2 dev eth0 src 10.2.0.1; ' +
      'ip -n b route add 10.2.0.1 dev eth0 src 10.2.0.2; sealed tunnel 10.2.0.1 10.2.0.2; warm 10.2.0.2',
    filter: PING4,
    ...ping('10.2.0.2'),
    points: AROUND_IPSEC,
  },
];

const OTHERS: IdentityCase[] = [
  {
    name: 'two VLAN tags',
    setup:
      'joined; for n in a b; do tagged $n; done; addr a eth0.10.20 10.2.0.1/24; addr b eth0.10.20 10.2.0.2/24; warm 10.2.0.2',
    filter: PING4,
    ...ping('10.2.0.2'),
  },
  {
    name: 'fragments',
    setup: 'joined; warm 10.1.0.2',
    filter: { src: '10.1.0.1', dst: '10.1.0.2', proto: 'icmp' },
    traffic: 'in_ a ping -q -c1 -W5 -s 4000 10.1.0.2',
  },
];

const LARGE: IdentityCase[] = [
  {
    name: 'GSO',
    setup: `routed; in_ a ethtool -K eth0 tso off gso on >/dev/null; warm 10.2.0.2`,
    filter: { src: '10.1.0.1', dst: '10.2.0.2', proto: 'tcp' },
    traffic: stream('10.2.0.2'),
  },
  {
    name: 'GRO',
    setup: `routed; in_ a ethtool -K eth0 tso off >/dev/null; in_ r ethtool -K ra gro on >/dev/null; warm 10.2.0.2`,
    filter: { src: '10.1.0.1', dst: '10.2.0.2', proto: 'tcp' },
    traffic: stream('10.2.0.2'),
  },
];

const MODULES = 'veth vxlan geneve ip_gre ipip sit ip6_tunnel 8021q esp4 xfrm_user';

/**
 * Where a tunnelled packet reads differently: at the sender's device, and at the first point behind the receiver's tunnel,
 * which is where it goes through GRO, or where the tunnel's device has it.
 */
const TUNNEL_STEPS: Record<string, string[]> = {
  ...Object.fromEntries(TUNNELS.map(({ name }) => [name, ['net_dev_queue eth0', 'napi_gro_receive_entry t0']])),
  'IPv6 in IPv4': ['net_dev_queue eth0', 'netif_receive_skb t0'],
};

const CASES: Partial<Record<KernelName, IdentityCase[]>> = {
  '5.10': [...TUNNELS, ...OTHERS],
  '6.1': [...TUNNELS, ...IPSEC, ...OTHERS],
  '6.12': [...TUNNELS, ...IPSEC, ...OTHERS, ...LARGE],
};

for (const { name: kernel } of kernelsUnderTest()) {
  const cases = kernel === 'given' ? undefined : CASES[kernel];
  if (!cases || kernel === 'given') continue;
  const has = (name: string): boolean => cases.some((one) => one.name === name);
  describe(`packet identity on ${kernel}`, function () {
    this.timeout(700_000);
    let outcomes: Map<string, IdentityOutcome>;
    before(async () => {
      outcomes = await runIdentityCases(kernel, cases, { modules: MODULES });
    });

    for (const { name } of TUNNELS.filter((one) => has(one.name))) {
      it(`keeps the path of a packet in and out of a tunnel: ${name}`, () => {
        const { paths, step } = ran(outcomes, name);
        expect(paths).to.have.length(2);
        for (const { records } of paths) {
          const changes = records.filter(({ flags }) => flags.includes('TUNNEL')).map(step);
          expect(changes).to.deep.equal(TUNNEL_STEPS[name]);
        }
        expect(paths[1].records.map(step)).to.include('skb_copy_datagram_iovec');
      });
    }

    for (const { name } of IPSEC.filter((one) => has(one.name))) {
      it(`keeps the path of a packet that is encrypted on the way: ${name}`, () => {
        const { paths, step } = ran(outcomes, name);
        expect(paths).to.have.length(2);
        for (const { records } of paths) {
          const told = records.flatMap(({ outer, flags }) => (outer ? [[outer.proto, flags.includes('TUNNEL')]] : []));
          expect(told).to.deep.equal([
            [ICMP, false],
            [ESP, true],
            [ICMP, true],
          ]);
          expect(records.map(step)).to.include('net_dev_queue eth0');
        }
        expect(paths[1].records.map(step)).to.include('skb_copy_datagram_iovec');
      });
    }

    it('keeps the path of a packet that gets two VLAN tags and loses them', () => {
      const { paths, step } = ran(outcomes, 'two VLAN tags');
      expect(paths).to.have.length(2);
      for (const { records } of paths) {
        const devices = records.map(step).filter((each) => /^(net_dev_queue|netif_receive_skb) /.test(each));
        expect(devices).to.include.members([
          'net_dev_queue eth0.10.20',
          'net_dev_queue eth0',
          'netif_receive_skb eth0',
        ]);
      }
      expect(paths[1].records.map(step)).to.include('skb_copy_datagram_iovec');
    });

    it('follows the fragments of a datagram, and the whole that they are put together to, on one path', () => {
      const { paths, step } = ran(outcomes, 'fragments');
      expect(paths).to.have.length(2);
      for (const { records } of paths) {
        const sent = records.filter((record) => step(record) === 'net_dev_queue eth0');
        expect(new Set(sent.map(({ skb }) => skb)).size).to.equal(3);
      }
      expect(paths[1].records.map(step)).to.include('skb_copy_datagram_iovec');
    });

    if (has('GSO')) {
      it('follows every segment of a large packet on the path of the whole', () => {
        const { paths, step } = ran(outcomes, 'GSO');
        const cut = paths.filter(({ records }) => records.some(({ flags }) => flags.includes('SEGMENT')));
        expect(cut.length).to.be.greaterThan(0);
        for (const { records } of cut.slice(0, 3)) {
          const segments = records.filter(({ flags }) => flags.includes('SEGMENT')).map(({ skb }) => skb);
          expect(segments.length).to.be.greaterThan(1);
          const sent = records.filter((record) => step(record) === 'net_dev_start_xmit eth0').map(({ skb }) => skb);
          expect(sent).to.include.members(segments);
        }
        // No segment begins a path of its own behind the queue.
        const orphans = paths.filter(
          ({ first }) => first.outer!.src === '10.1.0.1' && step(first) === 'net_dev_start_xmit eth0',
        );
        expect(orphans).to.deep.equal([]);
      });

      it('tells which packets GRO merged, and goes on with the one that they are part of', () => {
        const { paths, step } = ran(outcomes, 'GRO');
        const merged = paths.filter(({ records }) => records.some(({ flags }) => flags.includes('MERGED')));
        expect(merged.length).to.be.greaterThan(0);
        const [{ records }] = merged;
        const [absorbed] = records.filter(({ flags }) => flags.includes('MERGED'));
        const into = records.filter(({ skb, ts }) => skb === absorbed.aux && ts > absorbed.ts).map(step);
        expect(into.slice(0, 2)).to.deep.equal(['netif_receive_skb ra', 'net_dev_queue rb']);
        expect(records.some(({ skb, ts }) => skb === absorbed.skb && ts > absorbed.ts)).to.equal(false);
      });
    }
  });
}
