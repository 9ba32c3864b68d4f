import { readFileSync, writeFileSync } from 'node:fs';
import { packagePath } from '../../src/base/package-root.js';
import { evidenceReference } from '../../src/evidence/reference.js';

// Writes the reference part of docs/evidence.md anew.
const file = packagePath('docs', 'evidence.md');
const text = readFileSync(file, 'utf8');
const end = text.indexOf('-->\n', text.indexOf('## Reference')) + '-->\n'.length;
writeFileSync(file, `${text.slice(0, end)}\n${evidenceReference()}\n`);
