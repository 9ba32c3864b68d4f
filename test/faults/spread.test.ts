import { expect } from 'chai';
import { KERNELS } from '../support/vm-kernel.js';
import { benchCases } from './cases.js';
import { HERE } from './gate.js';
import { oneIn, spread } from './spread.js';

describe('fault bench: which kernel takes which case', () => {
  const cases = benchCases([], 1);
  const seeds = Array.from({ length: 24 }, (_, i) => 20_000 + i);

  it('five of six are for this machine, the others for the virtual machines in equal parts', () => {
    const pairs = spread(cases, 7, new Set());
    const share = (kernel: string): number => pairs.filter((pair) => pair.kernel === kernel).length / pairs.length;
    expect(share(HERE)).to.be.closeTo(5 / 6, 0.01);
    for (const kernel of KERNELS) expect(share(kernel), kernel).to.be.closeTo(1 / 24, 0.01);
  });

  it('within 24 seeds each case is with each kernel', () => {
    const met = cases.map(() => new Set<string>());
    for (const seed of seeds) spread(cases, seed, new Set()).forEach(({ kernel }, i) => met[i]!.add(kernel));
    for (const kernels of met) expect([...kernels].sort()).to.deep.equal([...KERNELS, HERE].sort());
  });

  it('what cannot be built here goes to a virtual machine at any seed', () => {
    const elsewhere = new Set(cases.slice(0, 5));
    for (const seed of seeds)
      for (const { kernel, one } of spread(cases, seed, elsewhere))
        if (elsewhere.has(one)) expect(kernel).not.to.equal(HERE);
  });

  it('the thirds of three seeds are all of it, and each has its share of every kernel', () => {
    for (const first of seeds) {
      const pairs = spread(cases, first, new Set());
      const thirds = [0, 1, 2].map((more) => oneIn(3, pairs, first + more));
      expect(new Set(thirds.flat()).size).to.equal(pairs.length);
      for (const third of thirds) {
        expect(third.length).to.be.closeTo(pairs.length / 3, 2);
        expect(third.filter(({ kernel }) => kernel === HERE).length / third.length).to.be.closeTo(5 / 6, 0.05);
        for (const kernel of KERNELS) expect(third.some((pair) => pair.kernel === kernel)).to.equal(true);
      }
    }
  });
});
