import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { Kallsyms, censusOf } from '../../src/probes/kallsyms.js';
import { skipBecause } from '../support/skip.js';

const BASE = 0xffff_8100_0000;
const text = (lines: string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''));

describe('kernel symbols', () => {
  it('name the function, the offset and the module of an address', () => {
    const symbols = new Kallsyms(
      text([
        'ffffffff81000000 T _stext',
        'ffffffff81000100 t ip_rcv',
        'ffffffff81000200 D some_data',
        'ffffffffc0000000 t br_forward\t[bridge]',
      ]),
    );
    expect(symbols.size).to.equal(3);
    expect(symbols.symbolise(0xffff_8100_011f)).to.equal('ip_rcv+0x1f');
    expect(symbols.symbolise(0xffff_8100_0100)).to.equal('ip_rcv+0x0');
    expect(symbols.symbolise(0xffff_c000_0010)).to.equal('br_forward+0x10 [bridge]');
  });

  it('find the right one among modules that are listed out of order', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 0xffff }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 0, max: 0x10000 }),
        (offsets, asked) => {
          const lines = offsets.map((offset) => `ffffffff81${offset.toString(16).padStart(6, '0')} t f${offset}`);
          const below = offsets.filter((offset) => offset <= asked);
          const nearest = Math.max(...below);
          expect(new Kallsyms(text(lines)).symbolise(BASE + asked)).to.equal(
            below.length === 0 ? undefined : `f${nearest}+0x${(asked - nearest).toString(16)}`,
          );
        },
      ),
    );
  });

  it('give no name to an address that is nobody’s', () => {
    const symbols = new Kallsyms(text(['ffffffff81000100 t ip_rcv']));
    expect(symbols.symbolise(0xffff_8100_00ff)).to.equal(undefined);
    expect(symbols.symbolise(0xffff_c800_0000)).to.equal(undefined);
    expect(symbols.symbolise(0)).to.equal(undefined);
  });

  it('know when their addresses are hidden', () => {
    const symbols = new Kallsyms(text(['0000000000000000 T ip_rcv', '0000000000000000 t br_forward\t[bridge]']));
    expect(symbols.hidden).to.equal(true);
    expect(symbols.symbolise(0xffff_8100_0000)).to.equal(undefined);
  });

  it('survive a text that is cut anywhere', () => {
    const whole = text(['ffffffff81000000 T _stext', 'ffffffffc0000000 t br_forward\t[bridge]']);
    for (let end = 0; end <= whole.length; end++) {
      const cut = whole.subarray(0, end);
      expect(() => new Kallsyms(cut).symbolise(0xffff_c000_0000)).not.to.throw();
      expect(() => censusOf(cut, new Set(['br_forward']))).not.to.throw();
    }
  });

  it("read this machine's own, which agree with a plain reading of the file", function () {
    const file = readFileSync('/proc/kallsyms');
    const symbols = new Kallsyms(file);
    expect(symbols.size).to.be.above(10_000);
    if (symbols.hidden) skipBecause(this, 'addresses are hidden: kernel.kptr_restrict');
    const plain = file
      .toString('latin1')
      .split('\n')
      .filter((line) => / [tTwW] tcp_v4_rcv$/.test(line));
    expect(plain).to.have.length(1);
    const address = Number(BigInt(`0x${plain[0].split(' ')[0]}`) & 0xffff_ffff_ffffn);
    expect(symbols.symbolise(address + 5)).to.equal('tcp_v4_rcv+0x5');
  });
});

describe('census of symbols', () => {
  it('counts what is asked for, and notices what the compiler made of it', () => {
    const census = censusOf(
      text([
        '0000000000000000 t ip_rcv',
        '0000000000000000 t start_xmit\t[virtio_net]',
        '0000000000000000 t start_xmit\t[hdlc]',
        '0000000000000000 t ip_fragment.constprop.0',
        '0000000000000000 t ip_rcv.cold',
        '0000000000000000 D udp_rcv',
      ]),
      new Set(['ip_rcv', 'start_xmit', 'ip_fragment', 'udp_rcv']),
    );
    expect(Object.fromEntries(census.count)).to.deep.equal({ ip_rcv: 1, start_xmit: 2 });
    expect(Object.fromEntries(census.variants)).to.deep.equal({ ip_fragment: 'ip_fragment.constprop.0' });
  });
});
