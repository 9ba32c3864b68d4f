import { expect } from 'chai';
import { dropReasonsOf } from '../../src/probes/drop-reasons.js';
import { dropReasons } from '../rules-content/content.js';
import { kernelFacts } from '../support/kernel-btf.js';
import { fetchKernel } from '../support/vm-kernel.js';

/** Values of the enum with which nothing is dropped. */
const NO_DROPS = ['NOT_DROPPED_YET', 'CONSUMED', 'NOT_SPECIFIED'];

/** No VM: the types are read out of the kernel's image and its module. mac80211 is known by its prefix only. */
describe('the drop reasons of the newest kernel', () => {
  it('are all in test/rules-content/drop-reasons.txt, which the rules and articles are held against', async function () {
    this.timeout(600_000);
    const { types, modules } = kernelFacts(await fetchKernel('newest'), ['openvswitch']);
    expect(modules).to.deep.equal(['openvswitch']);
    const names = [...dropReasonsOf(types).names.values()].filter((name) => !/^RX_DROP_/.test(name));
    expect(names).to.include.members(['NO_SOCKET', 'SKB_CSUM', 'OVS_DROP_METER', 'QDISC_DROP_CONGESTED']);
    expect(names.filter((name) => !dropReasons.includes(name) && !NO_DROPS.includes(name))).to.deep.equal([]);
  });
});
