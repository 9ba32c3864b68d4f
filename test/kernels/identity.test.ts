import { expect } from 'chai';
import { rmSync } from 'node:fs';
import { type PacketPath, packetPaths } from '../support/packet-paths.js';
import { decodeRecord, type RingRecord } from '../support/ring-records.js';
import { IDENTITY_JOB, type IdentityCase, NETWORK, POINTS } from '../support/vm-identity.js';
import { type KernelName, runInVm } from './harness.js';

const ping = (to: string): Pick<IdentityCase, 'traffic'> => ({ traffic: `in_ a ping -q -c1 -W5 ${to}` });
const PING4 = { src: '10.2.0.1', dst: '10.2.0.2', proto: 'icmp' };

/** One stream from a to b; `server` reads it all. */
const stream = (to: string): string =>
  `in_ b socat -u TCP-LISTEN:99 OPEN:/dev/null & sleep 0.5; head -c 400000 /dev/zero | in_ a socat -u - TCP:${to}:99; wait`;

const CASES: IdentityCase[] = [
  {
    name: 'vxlan',
    setup: `joined; tunnel vxlan "id 42 dstport 4789 remote 10.1.0.2" "id 42 dstport 4789 remote 10.1.0.1"; warm 10.2.0.2`,
    filter: PING4,
    ...ping('10.2.0.2'),
  },
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

interface Outcome {
  name: string;
  probes: [name: string, backend: string | null][];
  failed: { index: number; why: string }[];
  counters?: Record<string, unknown>;
  error?: string;
  paths: PacketPath[];
  step: (record: RingRecord) => string;
}

/** Runs all cases in one boot. */
async function runCases(kernel: KernelName): Promise<Map<string, Outcome>> {
  const result = await runInVm({
    kernel,
    timeoutSeconds: 400,
    files: {
      'identity.mjs': IDENTITY_JOB,
      'network.sh': NETWORK,
      'cases.json': JSON.stringify({ cases: CASES, points: POINTS }),
    },
    job: 'modprobe -a veth vxlan; node identity.mjs',
  });
  expect(result.status, result.stderr).to.equal(0);
  const outcomes = result.stdout
    .trim()
    .split('\n')
    .map((line) => {
      const { records, ...outcome } = JSON.parse(line) as Outcome & { records: string[] };
      const step = ({ probe, dev }: RingRecord): string => `${outcome.probes[probe][0]} ${dev}`.trim();
      const read = records.map((record) => decodeRecord(Buffer.from(record, 'base64')));
      return { ...outcome, paths: packetPaths(read), step };
    });
  rmSync(result.artefacts, { recursive: true });
  return new Map(outcomes.map((outcome) => [outcome.name, outcome]));
}

for (const kernel of ['6.12'] as const) {
  describe(`packet identity on ${kernel}`, function () {
    this.timeout(600_000);
    let outcomes: Map<string, Outcome>;
    before(async () => {
      outcomes = await runCases(kernel);
    });
    const outcomeOf = (name: string): Outcome => {
      const outcome = outcomes.get(name)!;
      expect(outcome.error, name).to.equal(undefined);
      expect(outcome.failed, name).to.deep.equal([]);
      return outcome;
    };
    it('keeps the path of a packet in and out of VXLAN, GRO cells and a raw socket', () => {
      const { paths, step } = outcomeOf('vxlan');
      expect(paths).to.have.length(2);
      const tunnels = paths[0].records.filter(({ flags }) => flags.includes('TUNNEL')).map(step);
      expect(tunnels).to.deep.equal(['net_dev_queue eth0', 'napi_gro_receive_entry t0']);
      expect(paths[1].records.map(step)).to.include('skb_copy_datagram_iovec');
    });

    it('follows every segment of a large packet on the path of the whole', () => {
      const { paths, step } = outcomeOf('GSO');
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
      const { paths, step } = outcomeOf('GRO');
      const merged = paths.filter(({ records }) => records.some(({ flags }) => flags.includes('MERGED')));
      expect(merged.length).to.be.greaterThan(0);
      const [{ records }] = merged;
      const [absorbed] = records.filter(({ flags }) => flags.includes('MERGED'));
      const into = records.filter(({ skb, ts }) => skb === absorbed.aux && ts > absorbed.ts).map(step);
      expect(into.slice(0, 2)).to.deep.equal(['netif_receive_skb ra', 'net_dev_queue rb']);
      expect(records.some(({ skb, ts }) => skb === absorbed.skb && ts > absorbed.ts)).to.equal(false);
    });
  });
}
