import { readFileSync, writeFileSync } from 'node:fs';
import { packagePath } from '../../src/base/package-root.js';
import { fetchKernel } from '../support/vm-kernel.js';
import { runVm } from '../support/vm-run.js';

// Makes test/evidence/samples/debian-6.1.txt anew: `npx tsx test/evidence/capture-vm-samples.ts`.
const job = readFileSync(packagePath('test', 'evidence', 'capture-vm-samples.sh'), 'utf8');
const result = await runVm(await fetchKernel('6.1'), { job, project: false, timeoutSeconds: 100 });
if (!result.stdout.includes('=== link.json')) throw new Error(`the job did not come to its end:\n${result.stderr}`);
writeFileSync(packagePath('test', 'evidence', 'samples', 'debian-6.1.txt'), result.stdout);
