import { expect } from 'chai';
import { RememberedNames, namesOf } from '../../src/analysis/recorded-names.js';

describe('remembered kernel names', () => {
  it('answers alike for the whole run, though modules come and go', () => {
    const table = new Map([[1, 'kfree_skb_reason+0x10']]);
    const names = new RememberedNames({ symbol: (address) => table.get(address), dropReason: () => 'NO_SOCKET' });
    expect(names.symbol(1)).to.equal('kfree_skb_reason+0x10');
    expect(names.symbol(2)).to.equal(undefined);
    table.set(2, 'late [module]');
    table.delete(1);
    expect(names.symbol(1)).to.equal('kfree_skb_reason+0x10');
    expect(names.symbol(2)).to.equal(undefined);
    expect(names.dropReason(3)).to.equal('NO_SOCKET');
  });

  it('gives each symbol to the recording once', () => {
    const names = new RememberedNames({ symbol: (address) => `f${address}+0x0`, dropReason: () => undefined });
    names.symbol(281474976710655);
    names.symbol(5);
    names.symbol(5);
    expect(names.takeFresh()).to.deep.equal({ 5: 'f5+0x0', 281474976710655: 'f281474976710655+0x0' });
    names.symbol(5);
    expect(names.takeFresh()).to.deep.equal({});
  });

  it('out of plain data are what was put in; reasons of a subsystem have its name', () => {
    const symbols = new Map([[5, 'f5+0x0']]);
    const names = namesOf((address) => symbols.get(address), { 3: 'NO_SOCKET', 196608: 'OPENVSWITCH' });
    expect(names.symbol(5)).to.equal('f5+0x0');
    expect(names.symbol(6)).to.equal(undefined);
    expect(names.dropReason(3)).to.equal('NO_SOCKET');
    expect(names.dropReason(4)).to.equal(undefined);
    expect(names.dropReason(196610)).to.equal('OPENVSWITCH_2');
    expect(names.dropReason(262145)).to.equal(undefined);
  });
});
