import { expect } from 'chai';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packagePath } from '../../src/base/package-root.js';
import { eventBatches } from '../../src/capture/recording/event-stream.js';
import { Recording } from '../../src/capture/recording/reader.js';
import { repacked } from './repack.js';

describe('fault bench: recordings made small', () => {
  const original = packagePath('fixtures', 'recordings', 'slow-bridge-port.vdiag');
  let folder: string;

  before(() => (folder = mkdtempSync(join(tmpdir(), 'vdiag-repack-'))));
  after(() => rmSync(folder, { recursive: true }));

  function contents(path: string): unknown {
    const recording = Recording.open(path);
    try {
      const events = Array.from(eventBatches(recording.events), ({ u8, end }) => Buffer.from(u8.slice(0, end)));
      return { meta: recording.meta, evidence: recording.json('evidence'), events: Buffer.concat(events) };
    } finally {
      recording.close();
    }
  }

  it('hold what they held, in less room', () => {
    const small = join(folder, 'small.vdiag');
    writeFileSync(small, repacked(original));
    expect(contents(small)).to.deep.equal(contents(original));
    expect(statSync(small).size).to.be.below(0.9 * statSync(original).size);
  });

  it('are not made of a file that is cut short', () => {
    const cut = join(folder, 'cut.vdiag');
    writeFileSync(cut, repacked(original).subarray(0, -1));
    expect(() => repacked(cut)).to.throw(/is not whole: see offset \d+/);
  });
});
