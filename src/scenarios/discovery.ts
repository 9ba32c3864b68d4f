import { KernelBtf } from '../bpf/btf.js';
import { MAX_PROBES } from '../bpf/types.js';
import { VdiagError } from '../base/errors.js';
import type { Catalogue } from '../probes/catalogue.js';
import { discover, type Discovery, type DiscoveryRequest, MOST_DISCOVERED } from '../probes/discover.js';
import { kernelFiles, readKernelFunctions } from '../probes/kernel-functions.js';
import type { KernelTypes } from '../probes/kernel-types.js';
import type { KernelCapabilities } from '../probes/types.js';

/** What a user asks of discovery: see {@link DiscoveryRequest}. */
export type DiscoveryWish = Omit<DiscoveryRequest, 'most'> & { most?: number };

/**
 * Functions of the running kernel that take a packet. How many are taken, if the user does not say: as many as fit, where
 * the kernel attaches them at once; else as many as are attached one by one in a reasonable time.
 * @param planned probes that are planned anyway
 * @throws VdiagError (2) for a wrong pattern or module; (3) where the kernel tells no types of its functions
 */
export function discoverFunctions(
  kernel: { capabilities: KernelCapabilities; types: KernelTypes | undefined },
  catalogue: Catalogue,
  wish: DiscoveryWish,
  planned: number,
): Discovery {
  const { capabilities, types } = kernel;
  if (!(types instanceof KernelBtf) || types.partial) {
    throw new VdiagError(
      {
        message: 'functions cannot be discovered: this kernel does not tell the arguments of its functions',
        expected: 'a kernel with BTF (CONFIG_DEBUG_INFO_BTF)',
        hint: 'the catalogue can still be used: vdiag probes list --available',
      },
      3,
    );
  }
  const room = MAX_PROBES - planned;
  const most = Math.min(wish.most ?? (capabilities.kprobeMulti ? room : MOST_DISCOVERED), room);
  return discover({ ...wish, most }, types, catalogue, (names) =>
    readKernelFunctions(names, kernelFiles(capabilities.release)),
  );
}
