import type { EvidenceSource } from '../../src/evidence/types.js';

/** A source for tests whose collectors answer by themselves: there is no host to ask. */
export const noHost: EvidenceSource = {
  run: async () => ({ status: 'missing', why: 'no host in this test' }),
  read: async () => ({ status: 'missing', why: 'no host in this test' }),
  list: async () => ({ status: 'missing', why: 'no host in this test' }),
};
