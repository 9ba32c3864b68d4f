import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { KernelBtf } from '../../../src/bpf/btf.js';
import { BtfData } from '../../../src/bpf/btf-data.js';
import { enumsOf } from '../../../src/bpf/synthesis/from-btf.js';
import { placeOf } from '../../../src/bpf/synthesis/layout.js';
import type { OffsetsMember, OffsetsTable } from '../../../src/bpf/synthesis/offsets-table.js';
import { synthesiseBtf } from '../../../src/bpf/synthesis/synthesise.js';
import { HostKernelNames } from '../../../src/probes/kernel-names.js';

const table = (more: Partial<OffsetsTable>): OffsetsTable => ({
  ...{ apiVersion: 'vdiag/v1', kind: 'KernelOffsets', kernel: 'test', arch: 'x86_64', structs: {} },
  ...more,
});

describe('synthesised BTF', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-synthesis-'));
  after(() => rmSync(folder, { recursive: true }));

  function written(from: OffsetsTable): string {
    const file = join(folder, 'kernel.btf');
    writeFileSync(file, synthesiseBtf(from));
    return file;
  }

  it('tells what was put in, to its own reader and to bpftool', () => {
    const file = written(
      table({
        structs: {
          sock: {
            size: 720,
            members: {
              '__sk_common.skc_net.net': { offset: 48, type: 'struct net *' },
              '__sk_common.skc_v6_daddr': { offset: 56, type: 'struct in6_addr', size: 16 },
              sk_protocol: { offset: 505, type: 'u32', bit: 0, bits: 8 },
              sk_mark: { offset: 436, type: 'u32' },
            },
          },
        },
        functions: ['int ip_rcv(struct sk_buff *skb, const struct net_device *dev)', 'bool icmp_echo(struct sk_buff *)'],
        tracepoints: ['kfree_skb(struct sk_buff *skb, void *location, enum skb_drop_reason reason)'],
      }),
    );
    const btf = KernelBtf.load(file);
    expect(btf.partial).to.equal(true);
    expect(btf.functionArgs('ip_rcv')).to.deep.equal([
      { name: 'skb', type: 'sk_buff', pointer: true },
      { name: 'dev', type: 'net_device', pointer: true },
    ]);
    expect(btf.returnType('icmp_echo')).to.deep.include({ type: 'bool', pointer: false });
    expect(btf.tracepointArgs('skb:kfree_skb')).to.deep.equal([
      { name: 'skb', type: 'sk_buff', pointer: true },
      { name: 'location', type: 'void', pointer: true },
      { name: 'reason', type: 'skb_drop_reason', pointer: false },
    ]);
    expect(btf.hasMember('sock', 'sk_mark')).to.equal(true);
    const dump = execFileSync('bpftool', ['btf', 'dump', 'file', file], { encoding: 'utf8' });
    expect(dump).to.match(/'sk_protocol' type_id=\d+ bits_offset=4040 bitfield_size=8/);
    expect(dump).to.match(/'skc_v6_daddr' type_id=\d+ bits_offset=64/);
    expect(dump).to.match(/FUNC 'ip_rcv' type_id=\d+ linkage=global/);
    expect(dump).to.match(/TYPEDEF 'btf_trace_kfree_skb'/);
  });

  it('has the enums of a table, by which a kernel’s drop reasons are named', () => {
    const enums = { skb_drop_reason: { SKB_DROP_REASON_NO_SOCKET: 3, SKB_DROP_REASON_SUBSYS_MASK: 0xffff0000 } };
    const tracepoints = ['kfree_skb(struct sk_buff *skb, void *location, enum skb_drop_reason reason)'];
    const file = written(table({ enums, tracepoints }));
    const btf = KernelBtf.load(file);
    expect(btf.tracepointArgs('kfree_skb')?.[2]?.type).to.equal('skb_drop_reason');
    expect(new HostKernelNames(btf).dropReasons()).to.deep.equal({ 3: 'NO_SOCKET' });
    expect(enumsOf(new BtfData(readFileSync(file)), ['skb_drop_reason', 'none']).enums?.skb_drop_reason).to.include({
      SKB_DROP_REASON_NO_SOCKET: 3,
    });
    const dump = execFileSync('bpftool', ['btf', 'dump', 'file', file], { encoding: 'utf8' });
    expect(dump).to.contain("'SKB_DROP_REASON_NO_SOCKET' val=3");
  });

  it('keeps every place of every member', () => {
    const plain = fc.record({
      offset: fc.integer({ min: 0, max: 4000 }),
      type: fc.constantFrom('u8', 'u16', 's32', 'u64', 'void *', 'struct x *', 'u8[16]', 'u8[0]', 'struct y *[3]'),
    });
    const bitfield = fc
      .record({ offset: fc.integer({ min: 0, max: 4000 }), bit: fc.integer({ min: 0, max: 7 }), bits: fc.integer({ min: 1, max: 8 }) })
      .map((one) => ({ ...one, type: 'u32' }));
    const name = fc.stringMatching(/^[a-z]{1,4}(\.[a-z]{1,4}){0,2}$/);
    const members = fc.dictionary(name, fc.oneof(plain, bitfield), { minKeys: 1, maxKeys: 12 });
    fc.assert(
      fc.property(members, (given: Record<string, OffsetsMember>) => {
        const names = Object.keys(given);
        // A member with members of its own is a structure, which these are not.
        fc.pre(!names.some((one) => names.some((other) => other.startsWith(`${one}.`))));
        const data = new BtfData(synthesiseBtf(table({ structs: { thing: { size: 8192, members: given } } })));
        for (const [member, { offset, bit, bits }] of Object.entries(given)) {
          const place = placeOf(data, 'thing', member);
          expect(place?.offset, member).to.equal(offset * 8 + (bit ?? 0));
          expect(place?.bits, member).to.equal(bits);
        }
      }),
    );
  });
});
