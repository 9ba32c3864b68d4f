import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { KernelBtf } from '../../src/bpf/btf.js';
import { namesOf } from '../../src/analysis/recorded-names.js';
import { HostKernelNames } from '../../src/probes/kernel-names.js';
import type { KernelTypes } from '../../src/probes/kernel-types.js';
import { skipBecause } from '../support/skip.js';

/** The enums of a kernel with subsystem reasons, as 6.12 has them (openvswitch's live in its module). */
const ENUMS: Record<string, [number, string][]> = {
  skb_drop_reason: [
    [0, 'SKB_NOT_DROPPED_YET'],
    [2, 'SKB_DROP_REASON_NOT_SPECIFIED'],
    [3, 'SKB_DROP_REASON_NO_SOCKET'],
    [72, 'SKB_DROP_REASON_SKB_CSUM'],
    [120, 'SKB_DROP_REASON_MAX'],
    [-65536, 'SKB_DROP_REASON_SUBSYS_MASK'],
  ],
  skb_drop_reason_subsys: [
    [0, 'SKB_DROP_REASON_SUBSYS_CORE'],
    [1, 'SKB_DROP_REASON_SUBSYS_MAC80211_UNUSABLE'],
    [3, 'SKB_DROP_REASON_SUBSYS_OPENVSWITCH'],
    [4, 'SKB_DROP_REASON_SUBSYS_NUM'],
  ],
  ovs_drop_reason: [
    [0x30000, '__OVS_DROP_REASON'],
    [0x30001, 'OVS_DROP_LAST_ACTION'],
    [0x30002, 'OVS_DROP_MAX'],
  ],
};
const typesWith = (enums: typeof ENUMS): KernelTypes => ({
  tracepointArgs: () => undefined,
  functionArgs: () => undefined,
  enumValues: (name) => new Map(enums[name] ?? []),
});

describe('names of drop reasons', () => {
  it('are those of the kernel, without the prefix', () => {
    const names = new HostKernelNames(typesWith(ENUMS));
    expect([0, 2, 3, 72].map((reason) => names.dropReason(reason))).to.deep.equal([
      'NOT_DROPPED_YET',
      'NOT_SPECIFIED',
      'NO_SOCKET',
      'SKB_CSUM',
    ]);
    expect(names.dropReason(120)).to.equal(undefined);
    expect(names.dropReason(0xffff0000)).to.equal(undefined);
  });

  it('include those of subsystems, by number where their names are in a module that is not loaded', () => {
    const names = new HostKernelNames(typesWith(ENUMS));
    expect(names.dropReason(0x30001)).to.equal('OVS_DROP_LAST_ACTION');
    expect(names.dropReason(0x30002)).to.equal('OPENVSWITCH_2');
    expect(names.dropReason(0x10007)).to.equal('MAC80211_UNUSABLE_7');
    expect(names.dropReason(0x90001)).to.equal(undefined);
  });

  it('are all there for the head of a recording', () => {
    expect(new HostKernelNames(typesWith(ENUMS)).dropReasons()).to.deep.equal({
      ...{ 0: 'NOT_DROPPED_YET', 2: 'NOT_SPECIFIED', 3: 'NO_SOCKET', 72: 'SKB_CSUM' },
      ...{ [0x10000]: 'MAC80211_UNUSABLE', [0x30000]: 'OPENVSWITCH' },
      [0x30001]: 'OVS_DROP_LAST_ACTION',
    });
  });

  it('of subsystems are the same for the analysis, which has them from the head of the recording', () => {
    const names = namesOf(() => undefined, new HostKernelNames(typesWith(ENUMS)).dropReasons());
    expect([0x30001, 0x30002, 0x10007, 0x90001, 3].map((reason) => names.dropReason(reason))).to.deep.equal([
      ...['OVS_DROP_LAST_ACTION', 'OPENVSWITCH_2', 'MAC80211_UNUSABLE_7', undefined, 'NO_SOCKET'],
    ]);
  });

  it('of mac80211 lose its underscores, and its marks are no reasons', () => {
    const mac80211: [number, string][] = [
      [1, '___RX_CONTINUE'],
      [0x10000, '___RX_DROP_UNUSABLE_START'],
      [0x10001, '___RX_DROP_U_MIC_FAIL'],
      [0x10002, '___RX_DROP_MAX'],
    ];
    const names = new HostKernelNames(typesWith({ ...ENUMS, ___mac80211_drop_reason: mac80211 }));
    expect(names.dropReason(0x10001)).to.equal('RX_DROP_U_MIC_FAIL');
    expect(names.dropReason(0x10002)).to.equal('MAC80211_UNUSABLE_2');
    expect(names.dropReason(1)).to.equal(undefined);
  });

  it('say why there are none', () => {
    expect(new HostKernelNames(undefined).reasonsWhy).to.contain('no BTF');
    expect(new HostKernelNames(typesWith({})).reasonsWhy).to.contain('gives no reason for drops');
  });

  it("are read from this machine's BTF", function () {
    if (!existsSync('/sys/kernel/btf/vmlinux')) skipBecause(this, 'this kernel has no BTF');
    const names = new HostKernelNames(KernelBtf.load());
    const all = Object.values(names.dropReasons());
    expect(all).to.include.members(['NO_SOCKET', 'NETFILTER_DROP', 'SOCKET_RCVBUFF']);
    expect(new Set(all).size).to.equal(all.length);
    for (const name of all) expect(name).to.not.match(/^SKB_(DROP|NOT|CONSUMED)/);
  });
});

describe('names of code addresses', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdiag-names-'));
  after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'kallsyms');

  it('are read when they are first asked for, and again when a module has come since', () => {
    const names = new HostKernelNames(undefined, file);
    writeFileSync(file, 'ffffffff81000000 T ip_rcv\n');
    expect(names.symbol(0xffff_8100_0004)).to.equal('ip_rcv+0x4');
    writeFileSync(file, 'ffffffff81000000 T ip_rcv\nffffffffc0000000 t br_forward\t[bridge]\n');
    expect(names.symbol(0xffff_c000_0008)).to.equal('br_forward+0x8 [bridge]');
    expect(names.symbolsWhy).to.equal(undefined);
  });

  it('are undefined, with the reason, when the kernel hides addresses', () => {
    writeFileSync(file, '0000000000000000 T ip_rcv\n');
    const names = new HostKernelNames(undefined, file);
    expect(names.symbol(0xffff_8100_0004)).to.equal(undefined);
    expect(names.symbolsWhy).to.equal(`${file} shows no addresses: kernel.kptr_restrict hides them`);
  });

  it('are undefined, with the reason, when the file cannot be read or is empty', () => {
    expect(new HostKernelNames(undefined, join(folder, 'none')).symbolsWhy).to.contain('cannot read');
    writeFileSync(file, '');
    expect(new HostKernelNames(undefined, file).symbolsWhy).to.contain('no code symbols');
  });
});
