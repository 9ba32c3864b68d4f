import { rmSync } from 'node:fs';
import { expect } from 'chai';
import { forKernels, runInVm } from './harness.js';

/**
 * Runs in the VM, on the built project: attaches every point without a packet, and those that take the packet by
 * reference, and makes a little traffic: a ping over a bridge, a connection that is refused.
 */
const JOB = `
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { KernelBtf } from '/vdiag/dist/bpf/btf.js';
import { openReader } from '/vdiag/dist/bpf/reader.js';
import { kernelSupport } from '/vdiag/dist/bpf/support.js';
import { openTrace } from '/vdiag/dist/bpf/trace-session.js';
import { WIRE_LAYOUT } from '/vdiag/dist/events/wire.gen.js';
import { capabilitiesOf } from '/vdiag/dist/probes/capabilities.js';
import { loadCatalogue } from '/vdiag/dist/probes/catalogue.js';
import { afterAttach, planProbes } from '/vdiag/dist/probes/plan.js';

const catalogue = loadCatalogue();
const wanted = catalogue.points.filter(({ program, args }) =>
  ['point', 'count', 'failure'].includes(program) || args?.function?.pskb !== undefined);
const only = wanted.map(({ name }) => name);
let plan = planProbes(catalogue, { set: 'full', only }, capabilitiesOf(kernelSupport()), KernelBtf.load());
let session;
for (;;) {
  session = openTrace({ requests: plan.requests, filter: {}, ringBytes: 1 << 20 });
  plan = afterAttach(plan, session);
  if (plan.retry.length === 0) break;
  session.close();
}
const sh = (command) => spawnSync('sh', ['-ec', command], { stdio: ['ignore', 'ignore', 'inherit'] });
sh('ip netns exec a ping -c 2 -i 0.2 10.0.0.2');
await new Promise((done) => connect(1, '127.0.0.1').on('error', done));
const net = 'ip netns exec a';
sh(net + ' tc qdisc add dev eth0 root pfifo');
session.detach();
const name = new Map(plan.plan.probes.map(({ index, point }) => [index, point.name]));
const records = [];
const reader = openReader(session.ring);
reader.drain(({ u8, start, end }) => {
  const bytes = Buffer.from(u8.buffer, u8.byteOffset, u8.byteLength);
  const number = (at, member) => {
    const [offset, size] = WIRE_LAYOUT[member];
    return size === 8 ? Number(bytes.readBigInt64LE(at + offset)) : bytes.readUIntLE(at + offset, size);
  };
  for (let at = start; at < end; ) {
    const header = bytes.readUInt32LE(at);
    if (!(header & 0x40000000)) {
      const of = (member) => number(at + 8, 'vd_hop.' + member);
      records.push({ probe: name.get(of('probe')), kind: of('kind'), path: of('path'), ret: of('ret'), netns: of('netns') });
    }
    at += ((header & 0x3fffffff) + 15) & ~7;
  }
});
reader.close();
const hits = Object.fromEntries([...session.hits()].map(([index, count]) => [name.get(index), count]));
const missing = plan.plan.probes.filter(({ backend }) => !backend).map(({ point, reasons }) => [point.name, reasons]);
console.log(JSON.stringify({ hits, records, missing, attached: plan.plan.probes.length - missing.length }));
session.close();
`;

const NETWORK = `
modprobe -a bridge veth tun vhost_net kvm openvswitch macvlan ipvlan bonding virtio_net nf_conntrack nf_tables ip_gre ipip 2>/dev/null
set -e
ip link set lo up
ip netns add a; ip netns add b
ip link add br0 type bridge; ip link set br0 up
for n in a b; do
  ip link add eth0 netns $n type veth peer name p$n
  ip link set p$n master br0 up
done
ip -n a addr add 10.0.0.1/24 dev eth0; ip -n b addr add 10.0.0.2/24 dev eth0
ip -n a link set eth0 up; ip -n b link set eth0 up
node points.mjs
`;

interface Outcome {
  hits: Record<string, number>;
  records: { probe: string; kind: number; path: number; ret: number; netns: number }[];
  missing: [name: string, reasons: string[]][];
  attached: number;
}

const POINT = 6;
const ECONNREFUSED = -111;

forKernels(({ name, kernel }) => {
  describe(`points without a packet on kernel ${name}`, () => {
    it('are counted or told, failures alone where they are asked for; packets by reference are followed', async function () {
      this.timeout(400_000);
      const result = await runInVm({
        kernel,
        project: true,
        timeoutSeconds: 360,
        files: { 'points.mjs': JOB },
        job: NETWORK,
      });
      expect(result.status, result.stderr).to.equal(0);
      const { hits, records, missing, attached } = JSON.parse(result.stdout) as Outcome;
      expect(attached).to.be.above(60);
      for (const [point, reasons] of missing) expect(reasons, point).not.to.deep.equal([]);
      for (const counted of ['softirq_entry', 'process_backlog', 'sys_write', 'napi_poll']) {
        expect(hits[counted], counted).to.be.above(0);
        expect(records.filter(({ probe }) => probe === counted)).to.deep.equal([]);
      }
      const calls = records.filter(({ probe }) => probe === 'sys_connect');
      expect(calls.map(({ ret }) => ret)).to.satisfy((all: number[]) => all.every((ret) => ret < 0));
      const bridged = records.filter(({ probe }) => probe === 'br_handle_frame');
      expect(bridged.some(({ kind, path }) => kind !== POINT && path > 0)).to.equal(true);
      expect(
        records.some(({ probe, kind, netns }) => probe === 'qdisc_create' && kind === POINT && netns > 0),
      ).to.equal(true);
      expect(calls.every(({ kind }) => kind === POINT)).to.equal(true);
      expect(calls.some(({ ret }) => ret === ECONNREFUSED || ret === -115)).to.equal(true);
      rmSync(result.artefacts, { recursive: true });
    });
  });
});
