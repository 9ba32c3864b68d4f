import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import { reportSchema } from '../../scripts/generate-report-schema.js';

describe('the published schema of the report', () => {
  it('is the one made from the type (npm run generate)', () => {
    expect(readFileSync(packagePath('docs/schema/report.schema.json'), 'utf8')).to.equal(reportSchema());
  }).timeout(60_000);
});
