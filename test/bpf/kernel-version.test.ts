import { release } from 'node:os';
import { expect } from 'chai';
import { kernelVersionCode, versionOfRelease } from '../../src/bpf/kernel-version.js';

describe('the version that a kprobe program is loaded for', () => {
  it('is the running kernel’s, as its vDSO tells it', () => {
    const majorMinor = (code: number): string => `${code >> 16}.${(code >> 8) & 255}`;
    expect(majorMinor(kernelVersionCode())).to.equal(/^\d+\.\d+/.exec(release())![0]);
  });

  it('is read from a release, too', () => {
    expect(versionOfRelease('4.19.90-2003.4.0.0036.oe1.x86_64')).to.equal(0x04135a);
    expect(versionOfRelease('4.19.0-21-amd64')).to.equal(0x041300);
    expect(versionOfRelease('4.14.336')).to.equal(0x040eff);
    expect(versionOfRelease('6.18-rc1')).to.equal(0x061200);
    expect(versionOfRelease('none')).to.equal(0);
  });
});
