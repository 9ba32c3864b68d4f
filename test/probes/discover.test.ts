import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import type { Catalogue } from '../../src/probes/catalogue.js';
import { discover, type FunctionTypes } from '../../src/probes/discover.js';
import type { KernelFunctions } from '../../src/probes/kernel-functions.js';
import type { ProbePoint } from '../../src/probes/types.js';

const FUNCTIONS: { name: string; position: number; module?: string }[] = [
  { name: 'tcp_v4_rcv', position: 0 },
  { name: 'tcp_add_backlog', position: 1 },
  { name: 'ip_forward', position: 0 },
  { name: 'skb_unshareable', position: 6 },
  { name: '__traceiter_kfree_skb', position: 1 },
  { name: '__probestub_kfree_skb', position: 1 },
  { name: '__bpf_trace_consume_skb', position: 1 },
  { name: 'eth_not_traceable', position: 0 },
  { name: 'eth_two_of_them', position: 0 },
  { name: 'ovs_vport_receive', position: 1, module: 'openvswitch' },
  { name: 'vxlan_rcv', position: 1, module: 'vxlan' },
];

const types: FunctionTypes = { functionsTaking: () => FUNCTIONS, modules: () => ['openvswitch', 'vxlan'] };

const catalogue: Catalogue = {
  points: [{ name: 'forwarding', function: 'ip_forward' } as ProbePoint],
  get: () => undefined,
};

const kernel: KernelFunctions = {
  status: (name) =>
    name === 'eth_not_traceable' ? 'not-traceable' : name === 'eth_two_of_them' ? 'ambiguous' : 'attachable',
  variant: () => undefined,
  module: () => 'present',
};

function names(wish: { pattern?: string; modules?: readonly string[] | 'all' }, most = 100): string[] {
  return discover({ ...wish, most }, types, catalogue, () => kernel).points.map(({ name }) => name);
}

describe('discovery of functions that take a packet', () => {
  it('finds them in the kernel and its modules, but for what no probe belongs on and what the catalogue has', () => {
    expect(names({})).to.deep.equal(['ovs_vport_receive', 'tcp_add_backlog', 'tcp_v4_rcv', 'vxlan_rcv']);
    const found = discover({ most: 100 }, types, catalogue, () => kernel);
    expect(found).to.include({ found: 4, inCatalogue: 1, notTraceable: 2 });
  });

  it('keeps to a pattern, to modules, and to a number, of which it says how many there were', () => {
    expect(names({ pattern: '^tcp_' })).to.deep.equal(['tcp_add_backlog', 'tcp_v4_rcv']);
    expect(names({ modules: ['vxlan'] })).to.deep.equal(['vxlan_rcv']);
    expect(names({ modules: 'all' })).to.deep.equal(['ovs_vport_receive', 'vxlan_rcv']);
    expect(names({ modules: ['vmlinux'], pattern: 'rcv$' })).to.deep.equal(['tcp_v4_rcv']);
    const few = discover({ most: 1 }, types, catalogue, () => kernel);
    expect([few.points.length, few.found]).to.deep.equal([1, 4]);
  });

  it('makes points of them that the kernel side has a program for, in the group that the name tells', () => {
    const points = discover({ most: 100 }, types, catalogue, () => kernel).points;
    expect(points.map(({ name, group }) => [name, group])).to.deep.equal([
      ['ovs_vport_receive', 'virt'],
      ['tcp_add_backlog', 'l4'],
      ['tcp_v4_rcv', 'l4'],
      ['vxlan_rcv', 'l2'],
    ]);
    expect(points[0]).to.include({ function: 'ovs_vport_receive', module: 'openvswitch', program: 'skb' });
  });

  it('refuses a pattern that is none, is too long, or never comes to an end', function () {
    this.timeout(20_000);
    const long: FunctionTypes = { ...types, functionsTaking: () => [{ name: `${'a'.repeat(60)}!`, position: 0 }] };
    const refused = (pattern: string, of = types): string => {
      try {
        discover({ pattern, most: 1 }, of, catalogue, () => kernel);
      } catch (error) {
        expect(error).to.be.instanceOf(VdiagError).and.include({ exitStatus: 2 });
        return (error as VdiagError).problems[0].message;
      }
      throw new Error(`${pattern} is taken`);
    };
    expect(refused('(')).to.include('--probe-discover (: ');
    expect(refused('x'.repeat(201))).to.include('longer than 200 characters');
    expect(refused('^(a+)+$', long)).to.include('takes more than');
  });

  it('names the nearest module to one that is not loaded', () => {
    expect(() => names({ modules: ['openvswich'] }))
      .to.throw(VdiagError)
      .with.nested.property('problems[0].hint', 'did you mean "openvswitch"?');
  });
});
