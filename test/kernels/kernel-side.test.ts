import { rmSync } from 'node:fs';
import { expect } from 'chai';
import type { AttachedProbe, AttachRequest, FailedProbe, TraceCounters } from '../../src/bpf/types.js';
import { decodeRecord, type RingRecord } from '../support/ring-records.js';
import { forKernels, KERNELS, runInVm } from './harness.js';

/** Runs in the VM, on the built project: attaches the requests of its argument, runs the traffic, prints the records. */
const JOB = `
import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { openTrace } from '/vdiag/dist/bpf/trace-session.js';
import { KernelBtf } from '/vdiag/dist/bpf/btf.js';
import { RingReader } from '/vdiag/dist/bpf/ring.js';
import { HostKernelNames } from '/vdiag/dist/probes/kernel-names.js';

const { requests, filter } = JSON.parse(readFileSync('trace.json', 'utf8'));
const session = openTrace({ requests, filter, ringBytes: 4 << 20 });
execFileSync('sh', ['traffic.sh'], { stdio: ['ignore', 'ignore', 'inherit'] });
session.detach();
const records = [];
new RingReader(session.ring).drain(({ u8, u32, start, end }) => {
  for (let at = start; at < end; ) {
    const header = u32[at >> 2];
    const length = header & 0x3fffffff;
    if (!(header & 0x40000000)) records.push(Buffer.from(u8.slice(at + 8, at + 8 + length)).toString('base64'));
    at += (length + 15) & ~7;
  }
});
const { attached, failed } = session;
const reasons = Object.fromEntries(Object.entries(new HostKernelNames(KernelBtf.load()).dropReasons()).map(([number, name]) => [name, Number(number)]));
console.log(JSON.stringify({ attached, failed, counters: session.counters(), records, reasons }));
session.close();
`;

/** a (10.191.1.2) — router — b (10.191.2.2); the router drops TCP to port 81 with iptables, to port 82 with nftables. */
const NETWORK = `
set -e
modprobe -a ip_tables iptable_filter nf_tables veth 2>/dev/null || true
for ns in a r b; do ip netns add $ns; ip -n $ns link set lo up; done
ip link add eth0 netns a type veth peer name ra netns r
ip link add eth0 netns b type veth peer name rb netns r
ip -n a addr add 10.191.1.2/24 dev eth0; ip -n r addr add 10.191.1.1/24 dev ra
ip -n b addr add 10.191.2.2/24 dev eth0; ip -n r addr add 10.191.2.1/24 dev rb
for link in "a eth0" "r ra" "r rb" "b eth0"; do set -- $link; ip -n $1 link set $2 up; done
ip -n a route add default via 10.191.1.1; ip -n b route add default via 10.191.2.1
ip netns exec r sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip netns exec r iptables-legacy -A FORWARD -p tcp --dport 81 -j DROP
ip netns exec r nft 'add table inet fw; add chain inet fw gate { type filter hook forward priority 10; }; add rule inet fw gate tcp dport 82 drop'
ip netns exec a ping -q -c2 -i0.3 -W5 10.191.2.2 >/dev/null
`;

const TRAFFIC = `
ip netns exec a ping -q -c1 -W5 10.191.2.2
for port in 80 81 82; do ip netns exec a timeout 2 busybox nc 10.191.2.2 $port </dev/null; done
true
`;

const skb = (
  index: number,
  backend: AttachRequest['backend'],
  target: string,
  position: number,
  nargs: number,
): AttachRequest => ({
  index,
  program: 'skb',
  backend,
  target,
  args: { skb: position },
  nargs,
  wantReturn: backend === 'kretprobe' || backend === 'fexit',
});

/** Probes by name; prototypes as of 6.1: see {@link requestsOn}. */
const REQUESTS: AttachRequest[] = [
  skb(0, 'kprobe', 'ip_rcv', 0, 4),
  skb(1, 'fentry', 'ip_forward', 0, 1),
  skb(2, 'kretprobe', 'ip_local_deliver', 0, 1),
  skb(3, 'fexit', 'ip_output', 2, 3),
  {
    index: 4,
    program: 'verdict',
    backend: 'kretprobe',
    target: 'ipt_do_table',
    args: { priv: 0, skb: 1, state: 2 },
    nargs: 3,
    wantReturn: true,
  },
  {
    index: 5,
    program: 'verdict',
    backend: 'fexit',
    target: 'nft_do_chain',
    args: { pkt: 0, priv: 1 },
    nargs: 2,
    wantReturn: true,
  },
  {
    index: 6,
    program: 'verdict',
    backend: 'fexit',
    target: 'nf_hook_slow',
    args: { skb: 0, state: 1 },
    nargs: 4,
    wantReturn: true,
  },
  { index: 7, program: 'clone', backend: 'fexit', target: 'skb_clone', args: { skb: 0 }, nargs: 2, wantReturn: true },
  {
    index: 8,
    program: 'drop',
    backend: 'raw-tracepoint',
    target: 'kfree_skb',
    args: { skb: 0, location: 1, reason: 2 },
    nargs: 3,
    wantReturn: false,
  },
  {
    index: 9,
    program: 'free',
    backend: 'raw-tracepoint',
    target: 'consume_skb',
    args: { skb: 0 },
    nargs: 1,
    wantReturn: false,
  },
  {
    index: 10,
    program: 'socket',
    backend: 'kprobe',
    target: 'tcp_set_state',
    args: { sk: 0, new: 1 },
    nargs: 2,
    wantReturn: false,
  },
  {
    index: 11,
    program: 'verdict',
    backend: 'kretprobe',
    target: 'nft_do_chain',
    args: { pkt: 0, chain: 1 },
    nargs: 2,
    wantReturn: true,
  },
  {
    index: 12,
    program: 'verdict',
    backend: 'fexit',
    target: 'ipt_do_table',
    args: { priv: 0, skb: 1, state: 2 },
    nargs: 3,
    wantReturn: true,
  },
  {
    index: 13,
    program: 'verdict',
    backend: 'kretprobe',
    target: 'nf_hook_slow',
    args: { skb: 0, state: 1 },
    nargs: 4,
    wantReturn: true,
  },
  {
    index: 14,
    program: 'icmp',
    backend: 'kprobe',
    target: '__icmp_send',
    args: { skb: 0, type: 1, code: 2 },
    nargs: 5,
    wantReturn: false,
  },
  {
    index: 15,
    program: 'clone',
    backend: 'kretprobe',
    target: 'skb_copy',
    args: { skb: 0 },
    nargs: 2,
    wantReturn: true,
  },
  {
    index: 16,
    program: 'skb',
    backend: 'kprobe',
    target: 'no_such_function',
    args: { skb: 0 },
    nargs: 1,
    wantReturn: false,
  },
  {
    index: 17,
    program: 'skb',
    backend: 'fentry',
    target: 'no_such_function',
    args: { skb: 0 },
    nargs: 1,
    wantReturn: false,
  },
  {
    index: 18,
    program: 'neigh',
    backend: 'fentry',
    target: 'neigh_update',
    args: { neigh: 0, new: 2 },
    nargs: 5,
    wantReturn: false,
  },
];

/** Arguments that these had in other releases, by probe index. */
const OLDER: Record<number, Partial<AttachRequest>> = {
  // ipt_do_table(skb, state, table) before 5.16 (net/ipv4/netfilter/ip_tables.c).
  4: { args: { skb: 0, state: 1, table: 2 } },
  12: { args: { skb: 0, state: 1, table: 2 } },
  // No reason before 5.17 (include/trace/events/skb.h).
  8: { args: { skb: 0, location: 1 }, nargs: 2 },
};
const NEWER: Record<number, Partial<AttachRequest>> = { 8: { nargs: 4 }, 9: { nargs: 2 } };

function requestsOn(kernel: string): AttachRequest[] {
  const changes = kernel === '5.10' ? OLDER : kernel === '6.1' ? {} : NEWER;
  return REQUESTS.map((request) => ({ ...request, ...changes[request.index] }));
}

const NF_DROP = 0;
const NF_ACCEPT = 1;
const HOOK_FORWARD = 2;

/** Modules have BTF from 5.11 on; besides, 5.10 lets no program read a pointer to a number among a function's arguments. */
const WITHOUT_MODULE_TYPES = {
  5: 'BTF does not know the function nft_do_chain',
  12: 'BTF does not know the function ipt_do_table',
  18: 'load vd_18_neigh_upd: EACCES (invalid bpf_context access off=8 size=8)',
};

forKernels(({ name, kernel }) => {
  const hasModuleTypes = name !== '5.10';
  describe(`the kernel side on kernel ${name}: functions`, function () {
    this.timeout(300_000);
    let outcome: {
      attached: AttachedProbe[];
      failed: FailedProbe[];
      counters: TraceCounters;
      records: string[];
      /** Numbers of the drop reasons, by name. */
      reasons: Record<string, number>;
    };
    let records: RingRecord[];
    const of = (index: number): RingRecord[] => records.filter(({ probe }) => probe === index);

    before(async () => {
      const result = await runInVm({
        kernel,
        project: true,
        timeoutSeconds: 150,
        files: {
          'trace.mjs': JOB,
          'trace.json': JSON.stringify({
            requests: requestsOn(name),
            filter: { src: '10.191.1.2', dst: '10.191.2.2' },
          }),
          'network.sh': NETWORK,
          'traffic.sh': TRAFFIC,
        },
        // A small process closes the links of functions after the run: each takes the kernel a grace period.
        job: `
          sh network.sh && node trace.mjs
          i=0; while [ "$(bpftool prog list | grep -c vd_)" -gt 0 ] && [ $i -lt 40 ]; do sleep 0.5; i=$((i + 1)); done
          bpftool prog list | grep -c vd_ >&2; true`,
      });
      expect(result.stdout, result.stderr).to.not.equal('');
      outcome = JSON.parse(result.stdout) as typeof outcome;
      records = outcome.records
        .map((record) => decodeRecord(Buffer.from(record, 'base64')))
        .sort((a, b) => a.ts - b.ts);
      expect(result.stderr.trim().split('\n').at(-1), 'programs left behind').to.equal('0');
      rmSync(result.artefacts, { recursive: true });
    });

    it('attaches what exists and says why the rest is not', () => {
      const there = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 18];
      const lacking = hasModuleTypes ? {} : WITHOUT_MODULE_TYPES;
      expect(outcome.attached.map(({ index }) => index).sort((a, b) => a - b)).to.deep.equal(
        there.filter((index) => !(index in lacking)),
      );
      expect(Object.fromEntries(outcome.failed.map(({ index, why }) => [index, why]))).to.deep.equal({
        ...lacking,
        16: 'open a perf event: ENOENT',
        17: 'BTF does not know the function no_such_function',
      });
      expect(outcome.counters).to.deep.equal({
        ...{ ringFull: 0, perfLost: 0, noWorkSpace: 0, pathsForgotten: 0, copiesForgotten: 0 },
        ...{ parseFailures: 0, missedReturns: 0 },
      });
    });

    it('follows a packet by kprobe, fentry, kretprobe and fexit', () => {
      const request = records.find(({ outer }) => outer?.icmpType === 8);
      const path = records.filter((record) => record.path === request?.path);
      const passed = new Set(path.map(({ probe }) => probe));
      for (const index of [0, 1, 2, 3]) expect(passed, REQUESTS[index].target).to.include(index);
      const delivered = path.find(({ probe }) => probe === 2);
      expect(delivered).to.deep.include({ ret: 0, flags: ['RETURN'], dev: 'eth0' });
    });

    for (const [way, index] of [['kretprobe', 4] as const, ...(hasModuleTypes ? [['fexit', 12] as const] : [])]) {
      it(`tells the iptables table that dropped, by ${way}`, () => {
        const drop = of(index).find(({ kind, ret }) => kind === 'VERDICT' && ret === NF_DROP);
        expect(drop).to.deep.include({ table: 'filter', chain: '', hook: HOOK_FORWARD, pf: 2, flags: ['RETURN'] });
        const packet = records.find(({ path, outer }) => path === drop?.path && outer);
        expect(packet?.outer).to.deep.include({ dport: 81, src: '10.191.1.2' });
        expect(of(index).some(({ kind, ret }) => kind === 'VERDICT' && ret === NF_ACCEPT)).to.equal(true);
      });
    }

    // Where modules have no types, the packet cannot be found in nft_do_chain's argument: the hook tells the drop (below).
    for (const [way, index] of hasModuleTypes ? [['kretprobe', 11] as const, ['fexit', 5] as const] : []) {
      it(`tells the nftables chain that dropped, by ${way}`, () => {
        const drop = of(index).find(({ kind, ret }) => kind === 'VERDICT' && ret === NF_DROP);
        const seen = of(index).map(({ kind, ret, table, chain, hook }) => ({ kind, ret, table, chain, hook }));
        expect(drop, JSON.stringify(seen)).to.deep.include({ table: 'fw', chain: 'gate', hook: HOOK_FORWARD });
        expect(records.find(({ path, outer }) => path === drop?.path && outer)?.outer).to.deep.include({ dport: 82 });
      });
    }

    for (const [way, index] of [
      ['kretprobe', 13],
      ['fexit', 6],
    ] as const) {
      it(`tells the hook that dropped, of packets that are freed by then, by ${way}`, () => {
        const drops = of(index).filter(({ kind, ret }) => kind === 'VERDICT' && ret === NF_DROP);
        const ports = drops.map(
          ({ path }) => records.find((record) => record.path === path && record.outer)?.outer?.dport,
        );
        expect(new Set(ports)).to.deep.equal(new Set([81, 82]));
        for (const drop of drops) expect(drop).to.deep.include({ hook: HOOK_FORWARD, pf: 2 });
      });
    }

    it('tells sockets and drops with their reason', () => {
      const states = of(10);
      expect(states.map(({ b }) => b)).to.include.members([2, 7]);
      expect(states[0].socket).to.deep.include({ dst: '10.191.2.2', protocol: 6 });
      const drops = of(8).filter(({ flags }) => flags.includes('DROPPED'));
      expect(drops.length).to.be.greaterThan(1);
      // Its number differs from kernel to kernel; before 5.17 there is none.
      const reason = outcome.reasons.NETFILTER_DROP;
      if (name === '5.10') expect(outcome.reasons).to.deep.equal({});
      else expect(drops.map(({ ret }) => ret)).to.include(reason);
    });

    it('gives the copy for a raw socket the path of the packet', () => {
      const clones = of(7).filter(({ flags }) => flags.includes('CLONED'));
      expect(clones.length).to.be.greaterThan(0);
      for (const clone of clones) {
        expect(records.some(({ path, skb }) => path === clone.path && skb === clone.aux)).to.equal(true);
      }
    });
  });
}, KERNELS);
