import { packagePath } from '../base/package-root.js';
import { Libbpf } from './libbpf.js';
import type { Flavour } from './types.js';

const OBJECTS: Record<Flavour, string> = { modern: 'vdiag.bpf.o', legacy: 'vdiag-legacy.bpf.o' };

/** The compiled object of a flavour, in this package. */
export function objectFile(flavour: Flavour): string {
  return packagePath('bpf', 'build', OBJECTS[flavour]);
}

/** What this kernel can run best: asked, by making a ring buffer, never derived from its version. */
export function flavourOfKernel(): Flavour {
  return Libbpf.get().hasRingBuffer() ? 'modern' : 'legacy';
}
