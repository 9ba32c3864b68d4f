import { expect } from 'chai';
import { findSuspects, isCertain } from '../../../src/evidence/firewall/search.js';
import type { FirewallChain, PacketFacts } from '../../../src/evidence/firewall/model.js';
import { parseIptablesSave } from '../../../src/evidence/parsers/iptables-save.js';
import { parseNftRuleset } from '../../../src/evidence/parsers/nft-ruleset.js';

const origin = { backend: 'iptables-legacy', tool: 'iptables-legacy', family: 'ip' } as const;
const packet: PacketFacts = {
  src: '10.0.0.1',
  dst: '10.0.0.2',
  version: 4,
  proto: 6,
  sport: 40000,
  dport: 80,
  flags: 'S',
};
const tables = (...rules: string[]): FirewallChain[] =>
  parseIptablesSave(['*filter', ':FORWARD ACCEPT [0:0]', ':INPUT ACCEPT [0:0]', ...rules, 'COMMIT'].join('\n'), origin);
const nothing = tables().map((chain) => ({ ...chain, rules: [] }));
const certain = (after: FirewallChain[], drops: number, placeKnown = false): boolean =>
  isCertain(findSuspects(after, nothing, { packet }), drops, placeKnown);

const nft = (...rules: object[][]): FirewallChain[] =>
  parseNftRuleset(
    JSON.stringify({
      nftables: [
        { chain: { family: 'inet', table: 't', name: 'c', hook: 'forward', prio: 0, policy: 'accept' } },
        {
          set: {
            family: 'inet',
            table: 't',
            name: 's',
            elem: [{ concat: ['10.0.0.1', 80] }],
          },
        },
        {
          map: {
            family: 'inet',
            table: 't',
            name: 'm',
            elem: [
              [80, { drop: null }],
              [443, { goto: { target: 'x' } }],
            ],
          },
        },
        ...rules.map((expr, i) => ({ rule: { family: 'inet', table: 't', chain: 'c', handle: i + 1, expr } })),
      ],
    }),
  );
const port = { payload: { protocol: 'tcp', field: 'dport' } };
const counter = { counter: { packets: 4, bytes: 240 } };

describe('whether a rule is certain to have dropped', () => {
  it('is the only rule that may have, and counted what was dropped', () => {
    expect(certain(tables('[4:240] -A FORWARD -p tcp --dport 80 -j DROP'), 4)).to.equal(true);
    expect(certain(tables('[4:240] -A FORWARD -m conntrack --ctstate INVALID -j DROP'), 4)).to.equal(true);
  });

  it('did not drop what it did not count', () => {
    expect(certain(tables('[3:180] -A FORWARD -p tcp --dport 80 -j DROP'), 4)).to.equal(false);
  });

  it('is not certain beside another that may have as well', () => {
    const may = '[9:540] -A FORWARD -m limit --limit 5/sec -j DROP';
    expect(certain(tables('[9:540] -A FORWARD -m mark --mark 0x1 -j DROP', may), 4)).to.equal(false);
    expect(
      certain(tables('[4:240] -A FORWARD -p tcp --dport 80 -j DROP', '[4:240] -A INPUT -p tcp -j DROP'), 4),
    ).to.equal(false);
    // What surely fits and counted enough needs no other.
    expect(certain(tables(may, '[4:240] -A FORWARD -p tcp --dport 80 -j DROP'), 4)).to.equal(true);
  });

  it('needs no counter when it surely fits and no other may have, or the kernel named its chain', () => {
    const drop = { drop: null };
    expect(certain(nft([{ match: { op: '==', left: port, right: 80 } }, drop]), 4)).to.equal(true);
    const invalid = [{ match: { op: 'in', left: { ct: { key: 'state' } }, right: 'invalid' } }, drop];
    expect(certain(nft(invalid), 4)).to.equal(false);
    expect(certain(nft(invalid), 4, true)).to.equal(true);
    expect(findSuspects(nft(invalid), nothing, { packet })[0].rule?.states).to.deep.equal(['INVALID']);
  });

  it('does not take a counter before a condition for one of what was dropped', () => {
    const [rule] = findSuspects(
      nft([counter, { match: { op: '==', left: port, right: 80 } }, { drop: null }]),
      nothing,
      {
        packet,
      },
    );
    expect(rule.rule?.countsMore).to.equal(true);
  });
});

describe('named sets and verdict maps', () => {
  it('finds the element, also of several parts', () => {
    const left = { concat: [{ payload: { protocol: 'ip', field: 'saddr' } }, port] };
    const chains = nft([{ match: { op: '==', left, right: '@s' } }, counter, { drop: null }]);
    expect(findSuspects(chains, nothing, { packet })[0]).to.deep.include({
      fit: 'yes',
      entry: { kind: 'set', name: 's', text: '10.0.0.1 . 80' },
    });
    expect(findSuspects(chains, nothing, { packet: { ...packet, dport: 81 } })).to.deep.equal([]);
  });

  it('finds the entry of a map, with its verdict', () => {
    const [suspect] = findSuspects(nft([{ vmap: { key: port, data: '@m' } }]), nothing, { packet });
    expect(suspect.entry).to.deep.equal({ kind: 'map', name: 'm', text: '80 : drop' });
  });
});

describe('conditions about flags and ICMP', () => {
  const found = (rule: string, facts: PacketFacts): number =>
    findSuspects(tables(`[4:240] -A FORWARD ${rule} -j DROP`), nothing, { packet: facts }).length;

  it('asks a packet for its TCP flags', () => {
    const syn = '-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN';
    expect(found(syn, packet)).to.equal(1);
    expect(found(syn, { ...packet, flags: 'S.' })).to.equal(0);
    expect(found(syn.replace('--tcp-flags', '! --tcp-flags'), packet)).to.equal(0);
  });

  it('asks a packet for its ICMP type', () => {
    const echo = { ...packet, proto: 1, icmpType: 8 };
    expect(found('-p icmp -m icmp --icmp-type 8', echo)).to.equal(1);
    expect(found('-p icmp -m icmp --icmp-type 0', echo)).to.equal(0);
  });
});

describe('hooks and their order', () => {
  it('does not look for a packet that came in at the output', () => {
    const output = parseIptablesSave('*filter\n:OUTPUT DROP [9:9]\nCOMMIT', origin);
    expect(findSuspects(output, nothing, { packet, origin: 'received' })).to.deep.equal([]);
    expect(findSuspects(output, nothing, { packet })).to.have.length(1);
  });

  it('stops at the first drop that is certain, in the order of priorities', () => {
    const raw = parseIptablesSave(
      '*raw\n:PREROUTING ACCEPT [0:0]\n[4:240] -A PREROUTING -p tcp -j DROP\nCOMMIT',
      origin,
    );
    const mangle = parseIptablesSave(
      '*mangle\n:PREROUTING ACCEPT [0:0]\n[4:240] -A PREROUTING -p tcp -j DROP\nCOMMIT',
      origin,
    );
    const suspects = findSuspects([...mangle, ...raw], nothing, { packet });
    expect(suspects.map(({ chain }) => chain.table)).to.deep.equal(['raw']);
  });
});
