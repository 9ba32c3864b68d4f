import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import { parseTracepointFormat } from '../../src/bpf/tracepoint-format.js';
import type { Catalogue } from '../../src/probes/catalogue.js';
import { coverageOf } from '../../src/probes/coverage.js';
import { type KernelFunctions, readKernelFunctions } from '../../src/probes/kernel-functions.js';
import { afterAttach, functionNames, planProbes, requireAttached, withoutRetries } from '../../src/probes/plan.js';
import type { PlannedProbe, ProbePoint } from '../../src/probes/types.js';
import { EVERYTHING, TRACEPOINTS_ONLY } from '../support/plan.js';
import { smallBtf } from '../support/small-btf.js';

const point = (more: Partial<ProbePoint> & { name: string }): ProbePoint => ({
  ...{
    group: 'l3',
    set: 'basic',
    role: 'other',
    program: 'skb',
    hides: `what ${more.name} shows`,
    hidesZh: `${more.name} 所见`,
  },
  ...more,
});

const catalogueOf = (...points: ProbePoint[]): Catalogue => ({
  points,
  get: (name) => points.find((one) => one.name === name),
});

/** A kernel as its files tell of it: symbols, what ftrace may trace, modules that are installed or loaded. */
function kernelWith(
  points: readonly ProbePoint[],
  kernel: { symbols: string[]; traceable?: string[]; installed?: string[]; loaded?: string[] },
): KernelFunctions {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-kernel-'));
  after(() => rmSync(folder, { recursive: true }));
  const symbols = kernel.symbols.map((name, i) => `ffffffff81${i.toString(16).padStart(6, '0')} T ${name}\n`);
  writeFileSync(join(folder, 'kallsyms'), symbols.join(''));
  writeFileSync(join(folder, 'modules'), (kernel.loaded ?? []).map((name) => `${name} 4096 0 - Live 0x0\n`).join(''));
  writeFileSync(
    join(folder, 'modules.dep'),
    (kernel.installed ?? []).map((name) => `kernel/net/${name}.ko.xz:\n`).join(''),
  );
  mkdirSync(join(folder, 'tracing'));
  if (kernel.traceable) {
    writeFileSync(
      join(folder, 'tracing', 'available_filter_functions'),
      kernel.traceable.map((name) => `${name}\n`).join(''),
    );
  }
  return readKernelFunctions(functionNames(points), {
    kallsyms: join(folder, 'kallsyms'),
    tracefs: [join(folder, 'tracing')],
    modules: join(folder, 'modules'),
    sysModule: join(folder, 'none'),
    libModules: folder,
  });
}

describe('plan of probes', () => {
  const btf = smallBtf([
    'TRACEPOINT(net_dev_queue, struct sk_buff *skb)',
    'TRACEPOINT(kfree_skb, struct sk_buff *skb, void *location, enum skb_drop_reason reason)',
    'int __dev_queue_xmit(struct sk_buff *skb, struct net_device *sb_dev)',
    'int ip_rcv(struct sk_buff *skb, struct net_device *dev)',
    'int ip_output(struct net *net, struct sock *sk, struct sk_buff *skb)',
    'int br_handle_frame(struct sk_buff **pskb)',
    'int br_handle_frame_finish(struct net *net, struct sock *sk, struct sk_buff *skb)',
    'int nf_hook_slow(struct sk_buff *skb, struct nf_hook_state *state)',
    'int ip_fragment(struct net *net, int mtu)',
  ]);
  const plan = (points: ProbePoint[], kernel: Parameters<typeof kernelWith>[1], capabilities = EVERYTHING) =>
    planProbes(catalogueOf(...points), { set: 'full' }, capabilities, btf, kernelWith(points, kernel));
  const first = (
    points: ProbePoint[],
    kernel: Parameters<typeof kernelWith>[1],
    capabilities = EVERYTHING,
  ): PlannedProbe => plan(points, kernel, capabilities).plan.probes[0];

  it('prefers the raw tracepoint, then the classic one, then kprobe-multi, then kprobe', () => {
    const both = point({ name: 'net_dev_queue', tracepoint: 'net:net_dev_queue', function: '__dev_queue_xmit' });
    const kernel = { symbols: ['__dev_queue_xmit'], traceable: ['__dev_queue_xmit'] };
    expect(first([both], kernel)).to.deep.include({
      backend: 'raw-tracepoint',
      target: 'net:net_dev_queue',
      reasons: [],
    });
    const functions = kernelWith([both], kernel);
    const record = parseTracepointFormat('\tfield:void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;\n');
    const notRaw = { ...EVERYTHING, rawTracepoint: false };
    const classic = planProbes(catalogueOf(both), { set: 'full' }, notRaw, btf, functions, { fields: () => record });
    expect(classic.requests[0]).to.deep.include({
      ...{ backend: 'tracepoint', target: 'net:net_dev_queue', fields: { skb: { offset: 8, size: 8 } } },
    });
    expect(classic.plan.probes[0].reasons).to.deep.equal(['this kernel has no raw tracepoints']);
    const lacks = [{ capability: 'tracepoint', why: 'tracefs is not mounted', hides: '' }];
    const neither = { ...notRaw, tracepoint: false, lacks };
    expect(first([both], kernel, neither)).to.deep.include({
      backend: 'kprobe-multi',
      target: '__dev_queue_xmit',
      reasons: ['this kernel has no raw tracepoints', 'classic tracepoints cannot be used: tracefs is not mounted'],
    });
    expect(first([both], kernel, { ...neither, kprobeMulti: false })).to.include({
      backend: 'kprobe',
    });
  });

  it('takes the classic tracepoint when that is asked for, and says where a record has not what is needed', () => {
    const points = [
      point({ name: 'net_dev_queue', tracepoint: 'net:net_dev_queue', function: '__dev_queue_xmit' }),
      point({ name: 'kfree_skb', tracepoint: 'skb:kfree_skb', program: 'neigh' }),
      point({ name: 'lacking', tracepoint: 'skb:kfree_skb', program: 'drop' }),
    ];
    const functions = kernelWith(points, { symbols: ['__dev_queue_xmit'] });
    const records = {
      fields: (name: string) =>
        parseTracepointFormat(`field:void * ${name === 'skb:kfree_skb' ? 'other' : 'skbaddr'}; offset:8; size:8;`),
    };
    const selection = { set: 'full', backends: ['tracepoint'] } as const;
    const made = planProbes(catalogueOf(...points), selection, EVERYTHING, btf, functions, records);
    expect(made.plan.probes.map(({ backend }) => backend)).to.deep.equal(['tracepoint', undefined, undefined]);
    for (const { reasons } of made.plan.probes.slice(1)) {
      expect(reasons).to.include('the record of the classic tracepoint skb:kfree_skb lacks what is needed');
    }
  });

  it('asks for what the types say, position by position', () => {
    const output = point({ name: 'ip_output', function: 'ip_output' });
    expect(plan([output], { symbols: ['ip_output'] }).requests[0]).to.deep.equal({
      ...{
        index: 0,
        program: 'skb',
        backend: 'kprobe-multi',
        target: 'ip_output',
        args: { skb: 2 },
        nargs: 3,
        wantReturn: false,
      },
    });
  });

  it('takes fexit, then a kprobe session, then the return by kprobe-multi, then kretprobe, where the return value is wanted; a verdict without one is of no use', () => {
    const hook = point({ name: 'nf_hook_slow', function: 'nf_hook_slow', program: 'verdict', wantReturn: true });
    const kernel = { symbols: ['nf_hook_slow'] };
    expect(first([hook], kernel)).to.include({ backend: 'fexit' });
    const some = { ...EVERYTHING, fentry: false };
    expect(first([hook], kernel, some)).to.include({ backend: 'kprobe-session' });
    const noSession = { ...some, kprobeSession: false };
    expect(first([hook], kernel, noSession)).to.include({ backend: 'kprobe-multi' });
    expect(first([hook], kernel, { ...noSession, kprobeMulti: false })).to.include({ backend: 'kretprobe' });
    const none = first([hook], kernel, { ...EVERYTHING, fentry: false, kretprobe: false });
    expect(none).not.to.have.property('backend');
    expect(none.reasons).to.deep.equal(['this kernel allows no fentry programs', 'this kernel has no kretprobes']);
  });

  it('sees a passage without its result when only that can be had, and says so', () => {
    const rcv = point({ name: 'ip_rcv', function: 'ip_rcv', wantReturn: true });
    const made = plan([rcv], { symbols: ['ip_rcv'] }, { ...EVERYTHING, fentry: false, kretprobe: false });
    expect(made.requests[0]).to.include({ backend: 'kprobe-multi', wantReturn: false });
    expect(coverageOf(made.plan).notSeen).to.deep.equal(['Seen without their results: ip_rcv.']);
  });

  it('asks for return values that rules want', () => {
    const points = [point({ name: 'ip_rcv', function: 'ip_rcv' })];
    const functions = kernelWith(points, { symbols: ['ip_rcv'] });
    const made = planProbes(
      catalogueOf(...points),
      { set: 'full', wantReturn: ['ip_rcv'] },
      EVERYTHING,
      btf,
      functions,
    );
    expect(made.requests[0]).to.include({ backend: 'fexit', wantReturn: true });
  });

  it('keeps to the way of attaching that was asked for', () => {
    const points = [
      point({ name: 'ip_rcv', function: 'ip_rcv' }),
      point({ name: 'net_dev_queue', tracepoint: 'net:net_dev_queue' }),
    ];
    const functions = kernelWith(points, { symbols: ['ip_rcv'] });
    const made = planProbes(catalogueOf(...points), { set: 'full', backends: ['kprobe'] }, EVERYTHING, btf, functions);
    expect(made.plan.probes.map(({ backend }) => backend)).to.deep.equal(['kprobe', undefined]);
    expect(made.plan.probes[1].reasons).to.include('it cannot be attached by kprobe, which was asked for');
  });

  describe('of a point that this kernel does not have as the catalogue knows it', () => {
    const whyNot = (one: ProbePoint, kernel: Parameters<typeof kernelWith>[1]): string[] => {
      const probe = first([one], kernel);
      expect(probe).not.to.have.property('backend');
      return probe.reasons;
    };

    it('names a misspelt function, and the nearest that the kernel has', () => {
      const symbols = ['arp_rcv', 'ip_rcv_finish', 'ip_rcv', 'ip6_rcv'];
      expect(whyNot(point({ name: 'x', function: 'ip_rvc' }), { symbols })).to.deep.equal([
        'this kernel has no function ip_rvc',
        'the nearest name that it has is ip_rcv',
      ]);
      expect(whyNot(point({ name: 'x', function: 'tcp_rcv' }), { symbols })).to.deep.equal([
        'this kernel has no function tcp_rcv',
      ]);
    });

    it('names no other for a function that other kernels have', () => {
      const old = point({ name: 'x', function: 'ip_rvc', kernels: '4.19, 5.10' });
      expect(whyNot(old, { symbols: ['ip_rcv'] })).to.deep.equal(['this kernel has no function ip_rvc']);
    });

    it('names a misspelt tracepoint', () => {
      expect(whyNot(point({ name: 'x', tracepoint: 'net:net_dev_quue' }), { symbols: [] })).to.deep.equal([
        'this kernel has no tracepoint net:net_dev_quue',
      ]);
    });

    it('uses an alias, and says under which name it was found', () => {
      const probe = first([point({ name: 'x', function: 'old_rcv', aliases: ['ip_rcv'] })], { symbols: ['ip_rcv'] });
      expect(probe).to.include({ backend: 'kprobe-multi', target: 'ip_rcv' });
      expect(probe.reasons).to.deep.equal(['this kernel has no function old_rcv', 'found as ip_rcv']);
    });

    it('passes over a function that takes the packet by reference where its program cannot', () => {
      const bridge = point({
        name: 'br_handle_frame',
        function: 'br_handle_frame',
        aliases: ['br_handle_frame_finish'],
        program: 'free',
      });
      const probe = first([bridge], { symbols: ['br_handle_frame', 'br_handle_frame_finish'] });
      expect(probe).to.include({ target: 'br_handle_frame_finish' });
      expect(probe.reasons[0]).to.equal('br_handle_frame takes the packet by reference (struct sk_buff **)');
    });

    it('tells a module that is not loaded from one that is not there', () => {
      const one = point({ name: 'ovs_dp_upcall', function: 'ovs_dp_upcall', module: 'openvswitch' });
      expect(whyNot(one, { symbols: [], installed: ['openvswitch'] })).to.deep.equal([
        'module openvswitch is not loaded, so no packet passes there',
      ]);
      expect(whyNot(one, { symbols: [] })).to.deep.equal([
        'this kernel has no module openvswitch, so no packet passes there',
      ]);
      expect(whyNot(one, { symbols: [], loaded: ['openvswitch'] })).to.deep.equal([
        'this kernel has no function ovs_dp_upcall',
      ]);
    });

    it('does not call a module absent whose other functions are there', () => {
      const points = [
        point({ name: 'br_gone', function: 'br_gone', module: 'bridge' }),
        point({ name: 'br_handle_frame_finish', function: 'br_handle_frame_finish', module: 'bridge' }),
      ];
      const made = plan(points, { symbols: ['br_handle_frame_finish'] });
      expect(made.plan.probes[0].reasons).to.deep.equal(['this kernel has no function br_gone']);
    });

    it('shows a prototype that changed', () => {
      expect(
        whyNot(point({ name: 'ip_fragment', function: 'ip_fragment' }), { symbols: ['ip_fragment'] }),
      ).to.deep.equal(['its arguments changed: (net *net, int mtu) has no sk_buff']);
    });

    it('does not guess the arguments of what the compiler made of it, nor of what BTF leaves out', () => {
      const one = point({ name: 'tcp_ack', function: 'tcp_ack' });
      expect(whyNot(one, { symbols: ['tcp_ack.constprop.0'] })).to.deep.equal([
        'the compiler turned it into tcp_ack.constprop.0, whose arguments are not known',
      ]);
      expect(whyNot(one, { symbols: ['tcp_ack'] })).to.deep.equal(['BTF does not tell the arguments of tcp_ack']);
    });

    it('does not choose between two functions of one name', () => {
      expect(whyNot(point({ name: 'ip_rcv', function: 'ip_rcv' }), { symbols: ['ip_rcv', 'ip_rcv'] })).to.deep.equal([
        'several functions are called ip_rcv',
      ]);
    });

    it('uses a kprobe on a function that ftrace may not touch', () => {
      const probe = first([point({ name: 'ip_rcv', function: 'ip_rcv' })], {
        symbols: ['ip_rcv'],
        traceable: ['ip_output'],
      });
      expect(probe).to.include({ backend: 'kprobe' });
    });
  });

  it('goes by the catalogue on a kernel without BTF, and by nothing where that is silent', () => {
    const points = [
      point({
        name: 'net_dev_xmit',
        tracepoint: 'net:net_dev_xmit',
        program: 'xmit',
        args: { tracepoint: { skb: 0, rc: 1 } },
      }),
      point({ name: 'ip_rcv', function: 'ip_rcv' }),
    ];
    const functions = kernelWith(points, { symbols: ['ip_rcv'] });
    const made = planProbes(
      catalogueOf(...points),
      { set: 'full' },
      { ...EVERYTHING, btf: false },
      undefined,
      functions,
    );
    expect(made.requests).to.deep.equal([
      {
        index: 0,
        program: 'xmit',
        backend: 'raw-tracepoint',
        target: 'net:net_dev_xmit',
        args: { skb: 0, rc: 1 },
        nargs: 2,
        wantReturn: false,
      },
    ]);
    expect(made.plan.probes[1].reasons).to.deep.equal(['there is no BTF for this kernel']);
  });

  describe('after attaching', () => {
    const points = [
      point({ name: 'ip_rcv', function: 'ip_rcv' }),
      point({ name: 'kfree_skb', tracepoint: 'skb:kfree_skb' }),
    ];
    const kernel = { symbols: ['ip_rcv'] };

    it('goes on to the next way, with the refusal among the reasons, until none is left', () => {
      let now = afterAttach(plan(points, kernel), {
        attached: [{ index: 1, backend: 'raw-tracepoint', target: 'skb:kfree_skb' }],
        failed: [{ index: 0, why: 'not supported' }],
      });
      expect(now.retry.map(({ backend }) => backend)).to.deep.equal(['kprobe']);
      expect(now.requests.map(({ index, backend }) => [index, backend])).to.deep.equal([
        [0, 'kprobe'],
        [1, 'raw-tracepoint'],
      ]);
      expect(now.plan.probes[0].reasons).to.deep.equal([
        'the kernel refused it: ip_rcv by kprobe-multi: not supported',
      ]);
      now = afterAttach(now, { attached: [], failed: [{ index: 0, why: 'no such file' }] });
      expect(now.retry.map(({ backend }) => backend)).to.deep.equal(['fentry']);
      now = afterAttach(now, { attached: [], failed: [{ index: 0, why: 'argument list too long' }] });
      expect(now.retry).to.deep.equal([]);
      expect(now.plan.probes[0]).not.to.have.property('backend');
      expect(now.plan.probes[0].reasons).to.have.length(3);
      expect(now.requests.map(({ index }) => index)).to.deep.equal([1]);
    });

    it('claims no probe that was refused and not tried again', () => {
      const now = afterAttach(plan(points, kernel), { attached: [], failed: [{ index: 0, why: 'not supported' }] });
      const [refused, other] = withoutRetries(now).probes;
      expect(refused).not.to.have.property('backend');
      expect(refused.reasons).to.have.length(1);
      expect(other).to.include({ backend: 'raw-tracepoint' });
    });

    it('keeps what was attached as it is', () => {
      const before = plan(points, kernel);
      const attached = before.requests.map(({ index, backend, target }) => ({ index, backend, target }));
      const now = afterAttach(before, { attached, failed: [] });
      expect(now.plan).to.deep.equal(before.plan);
      expect(now.retry).to.deep.equal([]);
    });

    it('ends a run that needs what could not be attached', () => {
      const made = plan(points, kernel, TRACEPOINTS_ONLY);
      expect(() => requireAttached(made.plan, ['kfree_skb'])).not.to.throw();
      expect(() => requireAttached(made.plan, ['ip_rcv'])).to.throw(
        VdiagError,
        'probe "ip_rcv" is required and cannot be attached: this kernel has no kprobes; this kernel allows no fentry programs',
      );
    });
  });
});
