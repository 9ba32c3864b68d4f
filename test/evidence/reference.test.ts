import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import { COLLECTORS } from '../../src/evidence/index.js';
import { evidenceReference } from '../../src/evidence/reference.js';

describe('reference of evidence', () => {
  it('in docs/evidence.md is what the collectors say (npx tsx test/evidence/write-reference.ts)', () => {
    expect(readFileSync(packagePath('docs', 'evidence.md'), 'utf8')).to.contain(evidenceReference());
  });

  it('names each collector as its file and its rules do', () => {
    for (const [name, collector] of COLLECTORS) {
      expect(collector.name).to.equal(name);
      expect(name).to.match(/^[a-z]+(-[a-z]+)*$/);
    }
  });
});
