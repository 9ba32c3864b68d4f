import { readFileSync, writeFileSync } from 'node:fs';
import { packagePath } from '../src/base/package-root.js';
import { FIELD_SPECS } from '../src/events/field-names.js';
import { referenceTables } from '../src/rules/reference.js';

/** Writes the tables of docs/rules.md anew from the definitions: `npx tsx scripts/generate-rule-docs.ts`. */
const page = packagePath('docs', 'rules.md');
const tables = referenceTables(FIELD_SPECS);
writeFileSync(
  page,
  readFileSync(page, 'utf8').replace(/(<!-- table: (\S+) -->)\n+(?:\|.*\n)*/g, (_, mark: string, name: string) => {
    if (!(name in tables)) throw new Error(`docs/rules.md asks for the table "${name}", which there is not`);
    return `${mark}\n\n${tables[name]}\n`;
  }),
);
