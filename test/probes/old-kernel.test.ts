import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import type { ProgramName } from '../../src/bpf/types.js';
import { findArguments } from '../../src/probes/arguments.js';
import { loadCatalogue } from '../../src/probes/catalogue.js';
import { functionNames } from '../../src/probes/plan.js';
import { positionsOf } from '../../src/probes/positions.js';
import { readOldKernel } from '../support/old-kernel.js';

/** A kernel without BTF: the catalogue's own positions are all that there is, so they must be right. */
describe('the catalogue on 4.19.90', () => {
  const kernel = readOldKernel(packagePath('test', 'probes', 'kernel-4.19.90.txt'));
  const { points } = loadCatalogue();

  it('has the arguments where the prototypes have them', () => {
    const wrong: string[] = [];
    let compared = 0;
    for (const point of points) {
      for (const name of functionNames([point])) {
        const prototype = kernel.prototypes.get(name);
        if (!prototype) continue;
        const positions = positionsOf(point, name, '4.19.90');
        const found = findArguments(point.program as ProgramName, prototype, positions);
        if ('cause' in found) {
          // No positions: the catalogue knows that they are not to be had.
          if (positions === undefined || Object.keys(positions).length > 0) {
            wrong.push(
              `4.19.90: ${point.name}: expected program ${point.program} to fit, found ${kernel.texts.get(name)}`,
            );
          }
          continue;
        }
        for (const [argument, position] of Object.entries(found.args)) {
          compared++;
          if (positions?.[argument] === position) continue;
          wrong.push(
            `4.19.90: ${point.name}: expected ${argument} at ${positions?.[argument]}, found ${kernel.texts.get(name)}`,
          );
        }
      }
    }
    expect(wrong).to.deep.equal([]);
    expect(compared).to.be.above(100);
  });

  it('is said to be there only where it was seen', () => {
    const wrong = points.flatMap((point) => {
      const says = point.kernels?.startsWith('4.19') ?? false;
      const names = functionNames([point]);
      const seen =
        (point.tracepoint !== undefined && kernel.tracepoints.has(point.tracepoint)) ||
        names.some(
          (name) => kernel.prototypes.has(name) && Object.keys(positionsOf(point, name, '4.19.90') ?? {}).length > 0,
        );
      return says === seen ? [] : [`${point.name}: kernels "${point.kernels ?? ''}", seen on 4.19.90: ${seen}`];
    });
    expect(wrong).to.deep.equal([]);
  });

  it('has tracepoints that the catalogue names in the core of what is seen', () => {
    for (const tracepoint of [
      'skb:kfree_skb',
      'net:net_dev_queue',
      'net:netif_receive_skb',
      'sock:inet_sock_set_state',
    ]) {
      expect(kernel.tracepoints.has(tracepoint), tracepoint).to.equal(true);
    }
  });
});
