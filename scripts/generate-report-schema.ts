// Writes docs/schema/report.schema.json from the type Report, so that the published schema cannot drift from it.
import { writeFileSync } from 'node:fs';
import { createGenerator } from 'ts-json-schema-generator';
import { packagePath } from '../src/base/package-root.js';

/** The schema of a JSON report as text. */
export function reportSchema(): string {
  const schema = createGenerator({
    path: packagePath('src/report/types.ts'),
    tsconfig: packagePath('tsconfig.json'),
    type: 'Report',
    skipTypeCheck: true,
  }).createSchema('Report');
  return `${JSON.stringify({ title: 'A report of vdiag run --format json', ...schema }, null, 2)}\n`;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  writeFileSync(packagePath('docs/schema/report.schema.json'), reportSchema());
}
