import { expect } from 'chai';
import type { BtfArgument } from '../../src/bpf/types.js';
import { findArguments } from '../../src/probes/arguments.js';

const pointer = (type: string, name = ''): BtfArgument => ({ name, type, pointer: true });
const number = (type: string, name = ''): BtfArgument => ({ name, type, pointer: false });

describe('argument positions', () => {
  it('come from the types, wherever the arguments stand', () => {
    const found = findArguments('skb', [pointer('net'), pointer('sock'), pointer('sk_buff')]);
    expect(found).to.deep.equal({ args: { skb: 2 }, nargs: 3, notes: [] });
  });

  it('take integers from the catalogue while the types agree with it', () => {
    const prototype = [pointer('Qdisc'), pointer('netdev_queue'), number('int'), pointer('sk_buff')];
    const found = findArguments('qdisc', prototype, { qdisc: 0, packets: 2, skb: 3 });
    expect(found).to.deep.equal({ args: { skb: 3, qdisc: 0, packets: 2 }, nargs: 4, notes: [] });
  });

  it('leave integers out, with a note, when the prototype changed: a wrong number must not pass for data', () => {
    const prototype = [
      pointer('Qdisc'),
      number('int', 'x'),
      number('int', 'y'),
      number('int', 'z'),
      pointer('sk_buff', 'skb'),
    ];
    const found = findArguments('qdisc', prototype, { qdisc: 0, packets: 2, skb: 3 });
    expect(found).to.have.property('args').that.deep.equals({ skb: 4, qdisc: 0 });
    expect(found).to.have.nested.property('notes[0].code', 'prototype-changed');
    expect(found).to.have.nested.property('notes[0].detail').that.contains('packets not recorded');
  });

  it('refuse a program whose integer has become a pointer', () => {
    const found = findArguments('icmp', [pointer('sk_buff'), pointer('flowi4'), number('int')], {
      skb: 0,
      type: 1,
      code: 2,
    });
    expect(found).to.have.nested.property('cause.code', 'prototype-changed');
  });

  it('refuse a program whose pointer has become a number', () => {
    const found = findArguments('skb', [pointer('nf_conn'), number('ip_conntrack_info'), number('unsigned int')], {
      skb: 2,
    });
    expect(found).to.have.nested.property('cause.code', 'prototype-changed');
  });

  it('do without what an older kernel does not have yet, and make no fuss', () => {
    const found = findArguments('drop', [pointer('sk_buff'), pointer('void')], { skb: 0, location: 1, reason: 2 });
    expect(found).to.deep.equal({ args: { skb: 0, location: 1 }, nargs: 2, notes: [] });
  });

  it("read iptables' arguments in both orders", () => {
    const expected = { priv: 0, skb: 1, state: 2 };
    const now = findArguments(
      'verdict',
      [pointer('void', 'priv'), pointer('sk_buff', 'skb'), pointer('nf_hook_state', 'state')],
      expected,
    );
    expect(now).to.deep.include({ args: { skb: 1, state: 2, priv: 0 }, notes: [] });
    const before = findArguments(
      'verdict',
      [pointer('sk_buff', 'skb'), pointer('nf_hook_state', 'state'), pointer('xt_table', 'table')],
      expected,
    );
    expect(before).to.deep.include({ args: { skb: 0, state: 1, table: 2 }, notes: [] });
  });

  it('tell the thread that leaves the CPU from the one that gets it', () => {
    const prototype = [number('_Bool'), pointer('task_struct'), pointer('task_struct'), number('unsigned int')];
    const found = findArguments('sched', prototype, { preempt: 0, prev: 1, next: 2 });
    expect(found).to.have.property('args').that.deep.equals({ prev: 1, next: 2, preempt: 0 });
    expect(findArguments('sched', [pointer('task_struct')], { task: 0 }))
      .to.have.property('args')
      .that.deep.equals({ task: 0 });
  });

  it('prefer the argument that has the name', () => {
    const found = findArguments('skb', [pointer('sk_buff', 'p'), pointer('sk_buff', 'skb')]);
    expect(found).to.have.nested.property('args.skb', 1);
  });

  it('take a packet that is passed by reference, where the program can', () => {
    const handler = [pointer('void *', 'pskb')];
    expect(findArguments('skb', handler)).to.deep.equal({ args: { pskb: 0 }, nargs: 1, notes: [] });
    expect(findArguments('free', handler)).to.have.nested.property('cause.code', 'by-reference');
    const both = [pointer('sk_buff', 'skb'), pointer('void *', 'pskb')];
    expect(findArguments('skb', both)).to.have.property('args').that.deep.equals({ skb: 0 });
  });

  it('take of a point without a packet the one argument that tells where it is', () => {
    const prototype = [
      pointer('net', 'net'),
      pointer('net_device', 'dev'),
      number('int', 'x'),
      pointer('kvm_vcpu', 'v'),
    ];
    expect(findArguments('point', prototype)).to.have.property('args').that.deep.equals({ dev: 1 });
    const args = findArguments('count', prototype, { object: 3, a: 2 });
    expect(args).to.have.property('args').that.deep.equals({ object: 3, a: 2 });
    expect(findArguments('point', prototype, { net: 0 }))
      .to.have.property('args')
      .that.deep.equals({ net: 0 });
    expect(findArguments('point', [number('int')]))
      .to.have.property('args')
      .that.deep.equals({});
  });

  it('say so when the packet is not there at all', () => {
    const gone = findArguments('skb', [pointer('nf_conn', 'ct'), number('int', 'bytes')]);
    expect(gone).to.have.nested.property('cause.detail', '(nf_conn *ct, int bytes) has no sk_buff');
  });

  it("need a socket or a packet for a socket's event", () => {
    expect(findArguments('socket', [pointer('sk_buff')]))
      .to.have.property('args')
      .that.deep.equals({ skb: 0 });
    expect(findArguments('socket', [number('int')])).to.have.property('cause');
  });
});
