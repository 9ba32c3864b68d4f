/** The lab: network namespaces with a fault in them, to try, to test and to learn. */
export {
  allVariants,
  chooseVariant,
  faultIds,
  injectFault,
  instantiate,
  loadFault,
  needsOf,
  topologyOf,
  variantName,
  variantsOf,
} from './faults.js';
export { labDown, labDownAll, labUp, listLabs, requireRoot } from './lab.js';
export { missingNeeds } from './needs.js';
export { loadTopology, topologyIds } from './topology.js';
export { prepareTraffic, runTraffic } from './traffic/run.js';
export { FAULT_FAMILIES } from './types.js';
export type * from './types.js';
