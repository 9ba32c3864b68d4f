import { rmSync } from 'node:fs';
import { expect } from 'chai';
import type { AttachedProbe, AttachRequest, FailedProbe, ProbeCost, TraceCounters } from '../../src/bpf/types.js';
import { type KernelName, runInVm } from './harness.js';

/** Runs in the VM, on the built project: attaches by each backend, then all that is discovered, and takes the times. */
const ATTACH = `
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { openTrace } from '/vdiag/dist/bpf/trace-session.js';
import { loadCatalogue } from '/vdiag/dist/probes/catalogue.js';
import { attachProbes, examineKernel } from '/vdiag/dist/scenarios/kernel.js';

const ms = (since) => Math.round(performance.now() - since);
const programs = () => Number(execFileSync('sh', ['-c', 'bpftool prog list | grep -c " name vd_"; true'], { encoding: 'utf8' }));
const gone = async () => {
  const since = performance.now();
  while (programs() > 0 && ms(since) < 60000) await delay(200);
  return programs() === 0 ? ms(since) : 'never';
};
const ping = (count) => execFileSync('ping', ['-q', '-c', String(count), '-i', '0.05', '127.0.0.1'], { stdio: 'ignore' });

const { requests, later } = JSON.parse(readFileSync('requests.json', 'utf8'));
const session = openTrace({ requests, filter: {}, ringBytes: 1 << 20 });
const more = session.attachMore(later);
ping(20);
const hits = [...session.hits()];
session.detach();
const { attached, failed } = session;
const counters = session.counters();
console.log(JSON.stringify({ what: 'backends', attached, failed, more, hits, counters, costs: session.costs() }));
session.close();
console.log(JSON.stringify({ what: 'gone', ms: await gone() }));

const kernel = examineKernel();
const selection = { set: 'basic', discover: {} };
const before = performance.now();
const discovered = attachProbes(kernel, loadCatalogue(), selection, { filter: {}, ringBytes: 1 << 20 });
const attachMs = ms(before);
ping(5);
const seen = [...discovered.session.hits().values()].filter((count) => count > 0).length;
const since = performance.now();
discovered.session.close();
console.log(JSON.stringify({
  what: 'discovery', attachMs, detachMs: ms(since), goneMs: await gone(), seen,
  ...discovered.plan.discovery, attached: discovered.session.attached.length,
  loadMs: Math.round(discovered.session.costs().reduce((sum, cost) => sum + cost.loadMs, 0)),
  linkMs: Math.round(discovered.session.costs().reduce((sum, cost) => sum + cost.attachMs, 0)),
}));
`;

/** A hundred kprobes and more, and the process is ended: when it is gone, and when its programs are. */
const INTERRUPT = `
now() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }
node /vdiag/dist/cli/main.js run --scenario packet-drop --set basic --backend kprobe --probe-discover '^(ip|tcp|udp|dev|skb)_' --duration 600s --fail-on never >report.txt 2>progress.txt &
pid=$!
while kill -0 $pid 2>/dev/null && ! grep -qs vdiag-links /proc/[0-9]*/cmdline; do sleep 0.2; done
sleep 5
held=$(grep -l link_type /proc/$pid/fdinfo/* | wc -l)
start=$(now)
KILL
wait $pid
ended=$(now)
left=$(bpftool prog list | grep -c ' name vd_')
for i in $(seq 200); do [ "$(bpftool prog list | grep -c ' name vd_')" = 0 ] && break; sleep 0.2; done
echo "{\\"what\\":\\"HOW\\",\\"held\\":$held,\\"endMs\\":$((ended - start)),\\"left\\":$left,\\"goneMs\\":$(($(now) - ended)),\\"still\\":$(bpftool prog list | grep -c ' name vd_')}"
`;
const interrupt = (how: string, signal: string): string =>
  INTERRUPT.replace('KILL', `kill -${signal} $pid`).replace('HOW', how);

const skb = (index: number, backend: AttachRequest['backend'], target: string, over: Partial<AttachRequest> = {}) => ({
  ...{ index, program: 'skb', backend, target, args: { skb: 0 }, nargs: 1, wantReturn: false },
  ...over,
});

/** The assembly of the system call's entry: no tracer may touch it. */
const UNTRACEABLE = 'entry_SYSCALL_64';

const REQUESTS: AttachRequest[] = [
  skb(0, 'kprobe', 'ip_rcv', { nargs: 4 }),
  skb(1, 'kprobe', 'ip_local_deliver'),
  skb(2, 'kretprobe', 'icmp_rcv', { wantReturn: true }),
  skb(3, 'kretprobe', 'ip_rcv', { nargs: 4, wantReturn: true }),
  skb(4, 'kprobe', 'no_such_function'),
  skb(5, 'kprobe', UNTRACEABLE),
  skb(6, 'fexit', 'ip_output', { args: { skb: 2 }, nargs: 3, wantReturn: true }),
  skb(7, 'raw-tracepoint', 'net:netif_receive_skb'),
];
const MULTI: AttachRequest[] = [
  skb(10, 'kprobe-multi', 'ip_rcv', { nargs: 4 }),
  skb(11, 'kprobe-multi', 'ip_local_deliver'),
  skb(12, 'kprobe-multi', 'icmp_rcv'),
  skb(13, 'kprobe-multi', UNTRACEABLE),
  skb(14, 'kprobe-multi', 'no_such_function'),
  skb(15, 'kprobe-multi', 'ip_rcv', { nargs: 4, wantReturn: true }),
  skb(16, 'kprobe-multi', 'icmp_rcv', { wantReturn: true }),
  skb(17, 'kprobe-session', 'ip_rcv', { nargs: 4, wantReturn: true }),
  skb(18, 'kprobe-session', 'icmp_rcv', { wantReturn: true }),
  skb(19, 'kprobe-session', UNTRACEABLE, { wantReturn: true }),
];
const LATER: AttachRequest[] = [
  skb(5, 'kprobe', 'netif_rx'),
  skb(20, 'fentry', 'ip_local_deliver_finish', { args: { skb: 2 }, nargs: 3 }),
];

interface Outcome {
  backends: {
    attached: AttachedProbe[];
    failed: FailedProbe[];
    more: { attached: AttachedProbe[]; failed: FailedProbe[] };
    hits: [number, number][];
    counters: TraceCounters;
    costs: ProbeCost[];
  };
  gone: { ms: number | 'never' };
  discovery: {
    attachMs: number;
    detachMs: number;
    goneMs: number | 'never';
    found: number;
    taken: number;
    attached: number;
    seen: number;
  };
  interrupted: { held: number; endMs: number; left: number; goneMs: number; still: number };
  killed: { held: number; endMs: number; left: number; goneMs: number; still: number };
}

for (const [kernel, multi] of [
  ['6.1', false],
  ['6.12', true],
  ['newest', true],
] as const satisfies readonly (readonly [KernelName, boolean])[]) {
  describe(`backends on ${kernel}`, function () {
    this.timeout(900_000);
    let outcome: Outcome;
    const hitsOf = (index: number): number => outcome.backends.hits.find(([probe]) => probe === index)?.[1] ?? 0;
    const failure = (index: number): string =>
      outcome.backends.failed.find((probe) => probe.index === index)?.why ?? '';

    before(async () => {
      const result = await runInVm({
        kernel,
        project: true,
        timeoutSeconds: 800,
        files: {
          'attach.mjs': ATTACH,
          'requests.json': JSON.stringify({ requests: multi ? [...REQUESTS, ...MULTI] : REQUESTS, later: LATER }),
          'interrupt.sh': interrupt('interrupted', 'INT') + interrupt('killed', 'KILL'),
        },
        job: 'ip link set lo up; node attach.mjs && bash interrupt.sh; cat progress.txt >&2',
      });
      expect(result.stdout, result.stderr).to.include('discovery');
      const lines = result.stdout.split('\n').filter((line) => line.startsWith('{'));
      outcome = Object.fromEntries(
        lines.map((line) => {
          const { what, ...rest } = JSON.parse(line) as { what: string };
          return [what, rest];
        }),
      ) as unknown as Outcome;
      const { discovery, interrupted, killed } = outcome;
      console.log(`      ${JSON.stringify({ gone: outcome.gone, discovery, interrupted, killed })}`);
      rmSync(result.artefacts, { recursive: true });
    });

    it('attaches by each, and says of the rest why not', () => {
      const indices = outcome.backends.attached.map(({ index }) => index).sort((a, b) => a - b);
      expect(indices).to.deep.equal(
        multi ? [0, 1, 2, 3, 5, 6, 7, 10, 11, 12, 15, 16, 17, 18, 20] : [0, 1, 2, 3, 5, 6, 7, 20],
      );
      expect(failure(4)).to.match(/ENOENT|EINVAL/);
      if (multi) {
        expect(failure(13), 'refused with its group, then by itself').to.match(/attach: E/);
        expect(failure(14)).to.include('no function no_such_function');
        expect(failure(19)).to.match(/attach: E/);
      }
    });

    it('sees the same packets by each', () => {
      const requests = hitsOf(0);
      expect(requests).to.be.at.least(40);
      for (const index of [1, 2, 3, 6, 7, 20]) expect(hitsOf(index), `probe ${index}`).to.be.at.least(20);
      if (!multi) return;
      expect(hitsOf(10)).to.equal(requests);
      expect(hitsOf(11)).to.equal(hitsOf(1));
      expect(hitsOf(12)).to.be.at.least(20);
      expect(hitsOf(15), 'returns of ip_rcv').to.be.at.least(20);
      expect(hitsOf(16), 'returns of icmp_rcv').to.be.at.least(20);
      expect(hitsOf(17), 'returns of ip_rcv in a session').to.be.at.least(40);
      expect(hitsOf(18), 'returns of icmp_rcv in a session').to.equal(hitsOf(16));
    });

    it('misses no returns', () => {
      expect(outcome.backends.counters).to.include({ missedReturns: 0, ringFull: 0 });
    });

    it('attaches further probes in the same session, in the place of what was refused', () => {
      expect(outcome.backends.more.failed).to.deep.equal([]);
      expect(outcome.backends.more.attached.map(({ index }) => index)).to.deep.equal([5, 20]);
      expect(failure(5)).to.equal('');
    });

    it('tells what each cost; probes that differ in their number alone share a program', () => {
      const cost = (index: number): ProbeCost => outcome.backends.costs.find((probe) => probe.index === index)!;
      expect(cost(0).instructions).to.be.above(1000);
      expect(cost(0).verifiedInstructions).to.be.above(1000);
      expect(cost(0).loadMs).to.be.above(0);
      expect(cost(1)).to.include({ instructions: 0, loadMs: 0 });
      expect(cost(1).attachMs).to.be.above(0);
    });

    it('leaves nothing behind, though it does not wait', () => {
      expect(outcome.gone.ms).to.be.a('number');
      expect(outcome.discovery.goneMs).to.be.a('number');
    });

    it('attaches what it discovers, in one go where the kernel can', () => {
      const { found, taken, attached, seen, attachMs, detachMs } = outcome.discovery;
      expect(found).to.be.above(500);
      expect(taken).to.equal(multi ? found : 400);
      expect(attached).to.be.above(taken * 0.9);
      expect(seen).to.be.above(20);
      expect(attachMs).to.be.below(120_000);
      expect(detachMs).to.be.below(3000);
    });

    for (const how of ['interrupted', 'killed'] as const) {
      it(`ends soon when ${how} with a hundred kprobes attached, and its programs go by themselves`, () => {
        const { held, endMs, still } = outcome[how];
        expect(held, 'links').to.be.above(100);
        // With its evidence and its report, in an emulated VM on a busy machine; killed, it has nothing more to do.
        expect(endMs).to.be.below(how === 'killed' ? 3000 : 120_000);
        expect(still).to.equal(0);
      });
    }
  });
}
