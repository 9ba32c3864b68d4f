import { expect } from 'chai';
import { virtualMachinesAtOnce } from '../support/vm-run.js';

describe('fault bench: virtual machines at the same time', () => {
  const gigabytes = (count: number): number => count * 1024 ** 3;

  it('are as many as processors and memory allow, and one at least', () => {
    expect(virtualMachinesAtOnce(1, { processors: 2, freeBytes: gigabytes(24) })).to.equal(2);
    expect(virtualMachinesAtOnce(2, { processors: 2, freeBytes: gigabytes(24) })).to.equal(1);
    expect(virtualMachinesAtOnce(1, { processors: 8, freeBytes: gigabytes(7) })).to.equal(3);
    expect(virtualMachinesAtOnce(1, { processors: 1, freeBytes: gigabytes(1) })).to.equal(1);
  });
});
