import { expect } from 'chai';
import { OPEN_VSWITCH, fetchOpenVswitch } from '../support/open-vswitch.js';
import type { PacketPath } from '../support/packet-paths.js';
import type { IdentityCase } from '../support/vm-identity.js';
import { forKernels } from './harness.js';
import { ran, runIdentityCases, type IdentityOutcome } from './identity-cases.js';

/**
 * Two namespaces on the ports pa and pb of a switch that does as a bridge does. `introduced` and `strangers` come back when
 * packets get through and the switch has forgotten them: in the first the hosts know each other, so that the first packet
 * is one of IP.
 */
const SWITCH = `
switched() {
  new a b
  for n in a b; do ip link add eth0 netns $n type veth peer name p$n; ip -n $n link set eth0 up; ip link set p$n up; done
  addr a eth0 10.1.0.1/24; addr b eth0 10.1.0.2/24
  switch_up
  ovs ovs-vsctl add-br br0 -- add-port br0 pa -- add-port br0 pb
}
mac_of() { ip -n $1 -br link show eth0 | tr -s ' ' | cut -d' ' -f3; }
introduced() {
  switched
  ip -n a neigh replace 10.1.0.2 lladdr $(mac_of b) dev eth0 nud permanent
  ip -n b neigh replace 10.1.0.1 lladdr $(mac_of a) dev eth0 nud permanent
  tries=0
  until in_ a ping -q -c1 -W1 10.1.0.2 >/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 20 ] || { tail -n 12 $OVS_LOGDIR/ovs-vswitchd.log; ovs ovs-vsctl show; ovs ovs-appctl dpctl/dump-flows; return 1; }
  done
  sleep 1
  ovs ovs-appctl fdb/flush
  ovs ovs-appctl revalidator/purge
}
strangers() { introduced; ip -n a neigh del 10.1.0.2 dev eth0; ip -n b neigh del 10.1.0.1 dev eth0; }
`;

const POINTS = ['ovs_vport_receive', 'ovs_dp_process_packet', 'ovs_dp_upcall', 'ovs_execute_actions', 'ovs_vport_send'];

const CASES: IdentityCase[] = [
  {
    name: 'ping',
    setup: 'introduced',
    filter: { src: '10.1.0.1', dst: '10.1.0.2', proto: 'icmp' },
    traffic: 'in_ a ping -q -c5 -i1 -W5 10.1.0.2',
    points: POINTS,
  },
  {
    // Requests all read alike, and so do the answers.
    name: 'ARP',
    setup: 'strangers',
    filter: { proto: 'arp' },
    traffic: 'in_ a ping -q -c1 -W5 10.1.0.2',
    points: POINTS,
  },
  {
    // The answer to a connection's first packet has no identification.
    name: 'TCP',
    setup: 'introduced',
    filter: { src: '10.1.0.1', dst: '10.1.0.2', proto: 'tcp' },
    traffic:
      'in_ b socat -u TCP-LISTEN:99 OPEN:/dev/null & echo hello | in_ a socat -u - TCP:10.1.0.2:99,retry=20,interval=0.5; wait',
    points: POINTS,
  },
];

/** What a path went through, of the points that matter here, each once. */
function stages(outcome: IdentityOutcome, path: PacketPath): string[] {
  const told = path.records.map(outcome.step).filter((step) => /^(ovs_|net_dev_queue|netif_receive_skb)/.test(step));
  return told.filter((step, i) => told.indexOf(step) === i);
}

/** From one host's device through the switch to the other's, by way of the daemon or not. */
function way(from: string, to: string, upcall: boolean): string[] {
  return [
    'net_dev_queue eth0',
    `netif_receive_skb p${from}`,
    `ovs_vport_receive p${from}`,
    `ovs_dp_process_packet p${from}`,
    ...(upcall ? [`ovs_dp_upcall p${from}`] : []),
    `ovs_execute_actions p${from}`,
    `ovs_vport_send p${from}`,
    `net_dev_queue p${to}`,
    'netif_receive_skb eth0',
  ];
}

const wentUp = (outcome: IdentityOutcome, { records }: PacketPath): boolean =>
  records.some((record) => outcome.step(record).startsWith('ovs_dp_upcall'));

forKernels(
  ({ name, kernel }) => {
    describe(`Open vSwitch on kernel ${name}`, function () {
      this.timeout(600_000);
      let outcomes: Map<string, IdentityOutcome>;
      before(async () => {
        outcomes = await runIdentityCases(kernel, CASES, {
          modules: 'veth openvswitch',
          network: OPEN_VSWITCH + SWITCH,
          folders: { openvswitch: await fetchOpenVswitch() },
        });
      });

      it('keeps the path of a packet that its daemon looked at and sent back', () => {
        const outcome = ran(outcomes, 'ping');
        expect(outcome.paths).to.have.length(10);
        const [request, reply] = outcome.paths;
        expect(stages(outcome, request)).to.include.members(way('a', 'b', true));
        expect(stages(outcome, reply)).to.include.members(way('b', 'a', true));
        const back = request.records.find((record) => outcome.step(record) === 'ovs_execute_actions pa')!;
        const up = request.records.find((record) => outcome.step(record) === 'ovs_dp_upcall pa')!;
        expect(back.flags).to.include('CLONED');
        expect([back.ts > up.ts, back.aux]).to.deep.equal([true, up.skb]);
      });

      it('sees that later packets go by the flow that the daemon left, without it', () => {
        const outcome = ran(outcomes, 'ping');
        for (const [i, path] of outcome.paths.slice(-4).entries()) {
          const [from, to] = i % 2 === 0 ? ['a', 'b'] : ['b', 'a'];
          expect(stages(outcome, path)).to.deep.equal(way(from, to, false));
        }
      });

      it('knows packets again that many others read like', () => {
        for (const which of ['ARP', 'TCP']) {
          const outcome = ran(outcomes, which);
          const up = outcome.paths.filter((path) => wentUp(outcome, path));
          expect(up.length, which).to.be.above(1);
          for (const path of up) {
            const [from, to] = stages(outcome, path).includes('ovs_vport_receive pa') ? ['a', 'b'] : ['b', 'a'];
            expect(stages(outcome, path), which).to.include.members(way(from, to, true));
          }
          const lost = outcome.paths.filter(({ first }) => !/^net_dev_queue eth0/.test(outcome.step(first)));
          expect(
            lost.map(({ records }) => records.map(outcome.step)),
            which,
          ).to.deep.equal([]);
        }
      });
    });
  },
  ['5.10', '6.1', '6.12'],
);
