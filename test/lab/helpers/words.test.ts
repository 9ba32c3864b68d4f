import { expect } from 'chai';
import { commandFrom } from '../../../src/lab/command-line.js';
import { helperWords, msOf } from '../../../src/lab/helpers/words.js';

describe("lab: words of the lab's own programs", () => {
  it('are taken by name', () => {
    const told = helperWords(['lab-guest', 'tapb', 'read=20ms', 'after=1s', 'cpu=1', 'nice=19']);
    expect(told).to.deep.equal({ device: 'tapb', read: '20ms', after: '1s', cpu: '1', nice: '19' });
    expect([msOf(told, 'read'), msOf(told, 'after'), msOf(told, 'stop')]).to.deep.equal([20, 1000, 0]);
  });

  it('are refused when unknown, or out of their form', () => {
    for (const [line, why] of [
      ['lab-guest', 'is no device'],
      ['lab-guest ../tapb', 'is no device'],
      ['lab-guest tapb mac=02:00:00:00:00:01', 'is not known'],
      ['lab-guest tapb read=1h', 'is not known'],
      ['lab-hog seconds=600', 'is not known'],
      ['lab-hog policy=deadline', 'is not known'],
      ['lab-napi vma policy=fifo', 'is not known'],
      ['lab-unplug', 'is no device'],
      ['lab-unplug eth0 packets=all', 'is not known'],
      ['lab-host panic=1', 'is not known'],
      ['lab-host constructor=1', 'is not known'],
      ['lab-xdp eth0 protocol=any', 'is not known'],
    ]) {
      expect(() => commandFrom(line, {}), line).to.throw(why);
    }
    expect(commandFrom('lab-hog cpu={{cpu}} threads=2', { cpu: 1 })).to.deep.equal(['lab-hog', 'cpu=1', 'threads=2']);
  });
});
