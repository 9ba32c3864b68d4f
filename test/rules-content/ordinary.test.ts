import { expect } from 'chai';
import { loadScenarios } from '../../src/scenarios/load.js';
import { rules } from './content.js';

describe('what a scenario calls ordinary', () => {
  const ids = rules.map(({ id }) => id);

  for (const { id, ordinary } of loadScenarios()) {
    it(`are rules that there are: ${id}`, () => {
      expect(ordinary.filter((rule) => !ids.includes(rule))).to.deep.equal([]);
    });
  }

  it('is a refused connection to every question but that about connections', () => {
    const calm = loadScenarios().filter(({ ordinary }) => ordinary.includes('l4.connection-refused'));
    expect(calm.map(({ id }) => id)).to.deep.equal(['packet-drop', 'vm-to-vm-latency']);
  });
});
