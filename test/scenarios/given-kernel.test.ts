import { expect } from 'chai';
import type { KernelTypes } from '../../src/probes/kernel-types.js';
import { HostKernelNames } from '../../src/probes/kernel-names.js';
import { withEnumsOf } from '../../src/scenarios/given-kernel.js';

const typesWith = (enums: Record<string, [number, string][]>): KernelTypes => ({
  partial: true,
  tracepointArgs: (name) => (name === 'kfree_skb' ? [{ name: 'skb', type: 'sk_buff', pointer: true }] : undefined),
  functionArgs: () => undefined,
  enumValues: (name) => new Map(enums[name] ?? []),
});

describe('types that are given for a kernel which has its own', () => {
  it('leave it the names of its drop reasons, unless they have them themselves', () => {
    const own = typesWith({ skb_drop_reason: [[5, 'SKB_DROP_REASON_NO_SOCKET']] });
    const table = withEnumsOf(typesWith({}), own);
    expect(new HostKernelNames(table).dropReasons()).to.deep.equal({ 5: 'NO_SOCKET' });
    expect(table.partial).to.equal(true);
    expect(table.tracepointArgs('kfree_skb')).to.have.length(1);
    const whole = withEnumsOf(typesWith({ skb_drop_reason: [[7, 'SKB_DROP_REASON_NOMEM']] }), own);
    expect(new HostKernelNames(whole).dropReasons()).to.deep.equal({ 7: 'NOMEM' });
  });
});
