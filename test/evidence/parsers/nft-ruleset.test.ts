import { expect } from 'chai';
import { parseNftRuleset, parseNftTexts } from '../../../src/evidence/parsers/nft-ruleset.js';

/** As nft 1.0.6 shows it: without the device. */
const chain = { family: 'netdev', table: 'edge', name: 'filter', handle: 1, type: 'filter', hook: 'ingress', prio: 0 };

function text(definition: string): string {
  return `table netdev edge { # handle 1\n\tchain filter { # handle 1\n\t\t${definition}\n\t\tudp dport 1 counter packets 3 bytes 9 drop # handle 2\n\t}\n}\n`;
}

describe('nft ruleset', () => {
  for (const [definition, devices] of [
    ['type filter hook ingress device "ra" priority filter; policy accept;', ['ra']],
    ['type filter hook ingress device ra priority filter; policy accept;', ['ra']],
    ['type filter hook ingress devices = { "ra", "rb" } priority filter; policy accept;', ['ra', 'rb']],
    ['type filter hook ingress devices = { ra, rb } priority filter; policy accept;', ['ra', 'rb']],
    ['type filter hook forward priority filter; policy accept;', undefined],
  ] as const) {
    it(`devices of a chain whose JSON has none: ${definition}`, () => {
      const json = JSON.stringify({ nftables: [{ chain }] });
      expect(parseNftRuleset(json, parseNftTexts(text(definition)))[0].devices).to.deep.equal(devices);
    });
  }

  it('devices that the JSON has, one or several', () => {
    const devicesOf = (dev: unknown): unknown =>
      parseNftRuleset(JSON.stringify({ nftables: [{ chain: { ...chain, dev } }] }))[0].devices;
    expect([devicesOf('ra'), devicesOf(['ra', 'rb'])]).to.deep.equal([['ra'], ['ra', 'rb']]);
  });

  it('texts of rules, without the values of their counters', () => {
    expect(
      parseNftTexts(text('type filter hook ingress device "ra" priority 0;')).get('netdev edge filter 2'),
    ).to.equal('udp dport 1 counter drop');
  });
});
