import { expect } from 'chai';
import { readFirewall } from '../../../src/evidence/firewall/read.js';
import { findSuspects, type FirewallQuestion } from '../../../src/evidence/firewall/search.js';
import { protocolNumber, type FirewallChain } from '../../../src/evidence/firewall/model.js';
import { parseIptablesSave } from '../../../src/evidence/parsers/iptables-save.js';
import { parseNftRuleset } from '../../../src/evidence/parsers/nft-ruleset.js';
import { sampleSource } from '../samples.js';

const source = sampleSource();
const packet = (proto: string, dport: number, src = '10.92.0.1', dst = '10.92.0.2'): FirewallQuestion => ({
  hook: 'input',
  packet: {
    src,
    dst,
    proto: protocolNumber(proto),
    dport,
    sport: 40000,
    version: src.includes(':') ? 6 : 4,
    iif: 'eth0',
  },
});

describe('findSuspects, on a namespace with three firewalls at once', () => {
  let earlier: FirewallChain[];
  let after: FirewallChain[];
  before(async () => {
    earlier = (await readFirewall(source, 2, 'before')).chains;
    after = (await readFirewall(source, 2, 'after')).chains;
  });

  for (const [proto, dport, backend, route, verdict, text] of [
    ['udp', 5353, 'iptables-legacy', 'INPUT LOGDROP', 'DROP', '-j DROP'],
    ['udp', 5354, 'iptables-nft', 'INPUT', 'DROP', '-A INPUT -p udp -m udp --dport 5354 -j DROP'],
    ['udp', 5355, 'nft', 'input', 'DROP', 'udp dport { 5355, 6000-6010 } counter drop'],
    ['udp', 6001, 'nft', 'input', 'DROP', 'udp dport { 5355, 6000-6010 } counter drop'],
    ['udp', 5356, 'nft', 'input', 'DROP', 'udp dport 5356 drop'],
    ['udp', 5357, 'nft', 'input', 'REJECT', 'ip saddr @blocked udp dport 5357 counter reject'],
    ['udp', 5358, 'nft', 'input deep', 'DROP', 'ip protocol udp counter drop'],
    ['tcp', 7001, 'iptables-legacy', 'INPUT', 'REJECT', '--dports 7001,7003:7005'],
    ['tcp', 7010, 'iptables-nft', 'INPUT', 'REJECT', '--dport 7010'],
    ['tcp', 7020, 'nft', 'input', 'DROP', '7020 : drop'],
  ] as const) {
    it(`names the rule that ${verdict === 'DROP' ? 'drops' : 'rejects'} ${proto} ${dport}`, () => {
      const [suspect] = findSuspects(after, earlier, packet(proto, dport));
      expect(suspect.chain.backend).to.equal(backend);
      expect(suspect.route.join(' ')).to.equal(route);
      expect(suspect.verdict).to.equal(verdict);
      expect(suspect.rule?.text).to.contain(text);
    });
  }

  it('names the IPv6 rule for an IPv6 packet and no rule of IPv4', () => {
    const suspects = findSuspects(after, earlier, packet('udp', 5399, 'fd92::1', 'fd92::2'));
    expect(suspects[0].chain).to.include({ tool: 'ip6tables-legacy', family: 'ip6' });
    expect(suspects.map(({ chain }) => chain.family)).to.not.include('ip');
  });

  it('accuses nobody for a packet that every firewall lets through', () => {
    expect(findSuspects(after, earlier, packet('udp', 5777))).to.deep.equal([]);
  });

  it('does not follow what a rule does with loopback packets', () => {
    const question = packet('udp', 5355);
    expect(findSuspects(after, earlier, { ...question, packet: { ...question.packet, iif: 'lo' } })).to.deep.equal([]);
  });

  it('holds a counter that did not grow for an alibi', () => {
    expect(findSuspects(after, after, packet('udp', 5354))).to.deep.equal([]);
  });

  it('falls back on a counter above zero when nothing was read before', () => {
    const [suspect] = findSuspects(after, undefined, packet('udp', 5354));
    expect(suspect).to.deep.include({ counterDelta: null, packets: 20 });
  });

  it('finds the policy of a base chain, with a counter (iptables) or without (nft)', () => {
    const question: FirewallQuestion = { hook: 'forward', packet: { src: '10.92.0.1', dst: '10.92.0.9', version: 4 } };
    const [suspect] = findSuspects(after, earlier, question);
    expect(suspect.rule).to.equal(undefined);
    // iptables' own policy counted nothing, so it was not that one.
    expect(suspect.chain).to.include({ backend: 'nft', table: 'guard', name: 'forward' });
  });

  it('keeps to the table, chain and backend that the event named', () => {
    const asked = (more: Partial<FirewallQuestion>): string[] =>
      findSuspects(after, earlier, { ...packet('udp', 5353), ...more }).map(({ chain }) => chain.name);
    expect(asked({ table: 'filter', chain: 'INPUT' })).to.deep.equal(['LOGDROP']);
    expect(asked({ table: 'filter', chain: 'INPUT', backend: 'iptables-nft' })).to.deep.equal([]);
    expect(asked({ table: 'nat' })).to.deep.equal([]);
  });
});

describe('findSuspects, on rules made for it', () => {
  const legacy = (...rules: string[]): FirewallChain[] =>
    parseIptablesSave(['*filter', ':INPUT ACCEPT [0:0]', ':A - [0:0]', ':B - [0:0]', ...rules, 'COMMIT'].join('\n'), {
      backend: 'iptables-legacy',
      tool: 'iptables-legacy',
      family: 'ip',
    });
  const drops = (...rules: string[]): (string | undefined)[] =>
    findSuspects(legacy(...rules), undefined, packet('tcp', 80)).map(({ rule }) => rule?.words?.join(' '));

  it('stops at a rule that surely accepts', () => {
    expect(drops('[5:300] -A INPUT -p tcp -j ACCEPT', '[5:300] -A INPUT -j DROP')).to.deep.equal([]);
    expect(
      drops('[5:300] -A INPUT -p tcp -m conntrack --ctstate NEW -j ACCEPT', '[5:300] -A INPUT -j DROP'),
    ).to.deep.equal(['-j DROP']);
  });

  it('comes back after RETURN and after the end of a chain, and not after goto', () => {
    const rules = [
      '[1:60] -A A -p tcp -j RETURN',
      '[9:9] -A A -j DROP',
      '[1:60] -A INPUT -s 10.0.0.0/8 -p tcp -j DROP',
    ];
    expect(drops('[1:60] -A INPUT -j A', ...rules)).to.deep.equal(['-s 10.0.0.0/8 -p tcp -j DROP']);
    expect(drops('[1:60] -A INPUT -g A', ...rules)).to.deep.equal([]);
  });

  it('does not go round in circles', () => {
    expect(drops('[1:60] -A INPUT -j A', '[1:60] -A A -j B', '[1:60] -A B -j A', '[1:60] -A B -j DROP')).to.deep.equal([
      '-j DROP',
    ]);
  });

  it('understands negation, prefixes, port ranges and device patterns', () => {
    expect(drops('[1:60] -A INPUT ! -s 10.92.0.0/24 -j DROP')).to.deep.equal([]);
    expect(drops('[1:60] -A INPUT -i eth+ -p tcp -m tcp --dport 79:81 -j DROP')).to.have.length(1);
    expect(
      drops('[1:60] -A INPUT -i wlan+ -j DROP', '[1:60] -A INPUT -p tcp -m tcp ! --dport 80 -j DROP'),
    ).to.deep.equal([]);
  });

  it('prefers the rule that fits surely over one that may fit', () => {
    expect(
      drops('[900:9] -A INPUT -m limit --limit 1/s -j DROP', '[2:60] -A INPUT -p tcp -m tcp --dport 80 -j DROP')[0],
    ).to.contain('--dport 80');
  });

  it('tells equal rules apart by their order', () => {
    const before = legacy('[5:300] -A INPUT -p tcp -j DROP', '[0:0] -A INPUT -p tcp -j DROP');
    const after = legacy('[9:540] -A INPUT -p tcp -j DROP', '[0:0] -A INPUT -p tcp -j DROP');
    const suspects = findSuspects(after, before, packet('tcp', 80));
    expect(suspects.map(({ rule, counterDelta }) => [rule?.number, counterDelta])).to.deep.equal([[1, 4]]);
  });

  it('reads ranges, prefixes and inequality of nft', () => {
    const rule = (handle: number, ...expr: object[]): object => ({
      rule: { family: 'ip', table: 't', chain: 'c', handle, expr: [...expr, { drop: null }] },
    });
    const match = (protocol: string, field: string, right: unknown, op = '=='): object => ({
      match: { op, left: { payload: { protocol, field } }, right },
    });
    const ruleset = JSON.stringify({
      nftables: [
        {
          chain: {
            family: 'ip',
            table: 't',
            name: 'c',
            handle: 1,
            type: 'filter',
            hook: 'input',
            prio: 0,
            policy: 'accept',
          },
        },
        rule(2, match('tcp', 'dport', 80, '!=')),
        rule(3, match('udp', 'dport', 80)),
        rule(4, match('ip', 'saddr', { prefix: { addr: '10.93.0.0', len: 16 } })),
        rule(5, match('ip', 'saddr', { range: ['10.92.0.0', '10.92.0.9'] }), match('tcp', 'dport', { set: [22, 80] })),
      ],
    });
    const suspects = findSuspects(parseNftRuleset(ruleset), undefined, packet('tcp', 80));
    expect(suspects.map(({ rule: one, fit }) => [one?.handle, fit])).to.deep.equal([[5, 'yes']]);
  });
});
