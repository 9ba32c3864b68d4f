import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import { loadDropRules } from '../../src/probes/drop-rules.js';
import { contradictions, dropsOf } from '../support/drop-table.js';

const FOLDER = packagePath('fixtures', 'recordings');

/** All rules, also where the kernel of the recordings gives the reason itself: what it says is the test. */
const RULES = loadDropRules().map((rule) => ({ ...rule, until: undefined }));

describe('reasons inferred where the kernel gives them as well', () => {
  const drops = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.vdiag'))
    .sort()
    .flatMap((name) => dropsOf(join(FOLDER, name), RULES));

  it('never contradict it', () => {
    expect(contradictions(drops)).to.deep.equal([]);
  });

  it('are the same for the faults of the lab', () => {
    const agreed = new Map<string, number>();
    for (const { given, inferred } of drops) {
      if (given !== undefined && inferred === given) agreed.set(given, (agreed.get(given) ?? 0) + 1);
    }
    expect([...agreed.keys()].sort()).to.include.members([
      ...['IP_INNOROUTES', 'NEIGH_FAILED', 'NETFILTER_DROP', 'NO_SOCKET', 'PKT_TOO_BIG', 'QDISC_DROP'],
    ]);
    expect([...agreed.values()].reduce((sum, count) => sum + count, 0)).to.be.at.least(80);
  });
});
