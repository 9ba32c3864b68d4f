import { existsSync } from 'node:fs';
import { expect } from 'chai';
import { KernelBtf } from '../../src/bpf/btf.js';
import { planProgram } from '../../src/bpf/programs.js';
import { loadCatalogue } from '../../src/probes/catalogue.js';
import { coverageOf } from '../../src/probes/coverage.js';
import { functionsOfHost, planProbes } from '../../src/probes/plan.js';
import { EVERYTHING, TRACEPOINTS_ONLY } from '../support/plan.js';
import { skipBecause } from '../support/skip.js';

describe("plan of the shipped catalogue with this machine's BTF", function () {
  const file = '/sys/kernel/btf/vmlinux';
  before(function () {
    if (!existsSync(file)) skipBecause(this, 'this kernel has no BTF');
  });
  const catalogue = loadCatalogue();

  it('watches the way from device to consumer with tracepoints alone', () => {
    const made = planProbes(
      catalogue,
      { set: 'standard' },
      TRACEPOINTS_ONLY,
      KernelBtf.load(),
      functionsOfHost(catalogue.points, 'none'),
    );
    const names = made.requests.map(({ index }) => made.plan.probes[index].point.name);
    expect(names).to.include.members([
      ...['netif_receive_skb', 'net_dev_queue', 'net_dev_start_xmit', 'net_dev_xmit', 'skb_copy_datagram_iovec'],
      ...['consume_skb', 'kfree_skb', 'inet_sock_set_state', 'sched_wakeup', 'sched_switch', 'qdisc_dequeue'],
    ]);
    expect(made.requests.every(({ backend }) => backend === 'raw-tracepoint')).to.equal(true);
    const { notSeen, missing } = coverageOf(made.plan);
    expect(notSeen).to.have.length(1);
    expect(notSeen[0]).to.match(/^This kernel has no kprobes, so not seen: /);
    expect(missing.map(({ probe }) => probe)).to.include.members(['ip_rcv', 'nft_do_chain']);
  });

  it('asks the kernel side for nothing but what it has programs for, whatever this kernel lacks', () => {
    const functions = functionsOfHost(catalogue.points, 'none');
    for (const lack of [
      {},
      { fentry: false },
      { kprobeSession: false },
      { kprobeMulti: false, kprobeSession: false },
      { kprobe: false, kretprobe: false, kprobeMulti: false, kprobeSession: false },
      { rawTracepoint: false },
    ]) {
      const made = planProbes(catalogue, { set: 'full' }, { ...EVERYTHING, ...lack }, KernelBtf.load(), functions);
      const kernel = { cookies: false, isReturn: 1 };
      for (const request of made.requests)
        expect(planProgram(request, kernel), request.target).not.to.have.property('why');
    }
  });

  it('would attach most of the full set if it had kprobes, and gives a reason for each that it would not', () => {
    const made = planProbes(
      catalogue,
      { set: 'full' },
      EVERYTHING,
      KernelBtf.load(),
      functionsOfHost(catalogue.points, 'none'),
    );
    expect(made.requests.length).to.be.above(150);
    for (const probe of made.plan.probes) if (!probe.backend) expect(probe.reasons, probe.point.name).not.to.be.empty;
    const kfree = made.requests.find(({ target }) => target === 'skb:kfree_skb');
    expect(kfree?.args).to.deep.include({ skb: 0, location: 1, reason: 2 });
  });
});
