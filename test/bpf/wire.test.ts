import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { packagePath } from '../../src/base/package-root.js';
import { WIRE_LAYOUT, WIRE_SIZE } from '../../src/events/wire.gen.js';
import { generateWire } from '../../scripts/generate-wire.js';

describe('the generated layouts', () => {
  it('are those of the compiled object', () => {
    execFileSync('sh', [packagePath('scripts', 'build-bpf')]);
    for (const [file, text] of Object.entries(generateWire())) {
      expect(readFileSync(packagePath(file), 'utf8'), `${file}: run npx tsx scripts/generate-wire.ts`).to.equal(text);
    }
  });

  it('have no holes: every byte of a record belongs to a member', () => {
    for (const [struct, size] of Object.entries(WIRE_SIZE)) {
      const members = Object.entries(WIRE_LAYOUT)
        .filter(([name]) => name.startsWith(`${struct}.`) && name.split('.').length === 2)
        .map(([, place]) => place);
      let end = 0;
      for (const [offset, bytes] of [...members].sort(([a], [b]) => a - b)) {
        expect(offset, `${struct} has a hole before ${offset}`).to.equal(end);
        end += bytes;
      }
      expect(end, struct).to.equal(size);
    }
  });

  it('are built silently when nothing has changed', () => {
    execFileSync('sh', [packagePath('scripts', 'build-bpf')]);
    expect(execFileSync('sh', [packagePath('scripts', 'build-bpf')], { stdio: 'pipe' }).toString()).to.equal('');
  });
});
