import { expect } from 'chai';
import fc from 'fast-check';
import {
  endsThere,
  mayMatch,
  parseDatapaths,
  parseFlows,
  type FlowPacket,
} from '../../../src/evidence/parsers/open-vswitch.js';

const SHOWN = `system@ovs-system:
  lookups: hit:100 missed:20 lost:3
  flows: 7
  masks: hit:120 total:2 hit/pkt:1.00
  caches:
    masks-cache: size:256
  port 0: ovs-system (internal)
  port 1: br-int (internal)
  port 2: tap1
system@other:
  lookups: hit:1 missed:2 lost:0
  flows: 0
  port 0: other (internal)
  port 1: tap2
`;

describe('Open vSwitch', () => {
  it('tells its datapaths with their counters and ports', () => {
    const [one, other] = parseDatapaths(SHOWN);
    expect(one).to.deep.include({ name: 'system@ovs-system', hit: 100, missed: 20, lost: 3, flows: 7 });
    expect([...one.ports]).to.deep.equal([
      ['ovs-system', 0],
      ['br-int', 1],
      ['tap1', 2],
    ]);
    expect(other).to.deep.include({ name: 'system@other', missed: 2, flows: 0 });
    expect(other.ports.get('tap2')).to.equal(1);
  });

  it('tells its flows, with and without what -m adds', () => {
    const text = `recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),key32(00 00/00 00), packets:3, bytes:222, used:0.540s, flags:S, actions:drop
ufid:1f2e3d4c-0000-0000-0000-000000000001, recirc_id(0),in_port(2),eth(src=02:00:00:00:00:01),eth_type(0x0806), packets:0, bytes:0, used:never, actions:push_vlan(vid=5,pcp=0),3
2026-11-23T10:00:00Z|00001|dpif|WARN|something`;
    expect(parseFlows(text)).to.deep.equal([
      { match: 'recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no)', packets: 3, actions: 'drop' },
      {
        match: 'recirc_id(0),in_port(2),eth(src=02:00:00:00:00:01),eth_type(0x0806)',
        packets: 0,
        actions: 'push_vlan(vid=5,pcp=0),3',
      },
    ]);
  });

  it('takes a flow for that of a packet unless something that both name differs', () => {
    const may = (match: string, packet: FlowPacket): boolean =>
      mayMatch({ match, packets: 1, actions: 'drop' }, packet);
    const web: FlowPacket = { port: 1, src: '10.0.0.5', dst: '10.0.0.6', proto: 'TCP', sport: 40_000, dport: 80 };
    const http =
      'in_port(1),eth_type(0x0800),ipv4(src=10.0.0.0/255.255.255.0,dst=10.0.0.6,proto=6,frag=no),tcp(dst=80)';
    expect(may(http, web)).to.equal(true);
    expect(may(http, { ...web, src: '10.0.1.5' })).to.equal(false);
    expect(may(http, { ...web, dst: '10.0.0.7' })).to.equal(false);
    expect(may(http, { ...web, proto: 'UDP' })).to.equal(false);
    expect(may(http, { ...web, dport: 81 })).to.equal(false);
    expect(may(http, { ...web, port: 2 })).to.equal(false);
    expect(may(http, { port: 1 })).to.equal(true);
    expect(may('in_port(1),eth_type(0x0800),ipv4(proto=6),tcp(dst=0x50/0xfff0)', { ...web, dport: 95 })).to.equal(true);
    expect(may('in_port(1),eth_type(0x0800),ipv4(proto=6),tcp(dst=0x50/0xfff0)', { ...web, dport: 96 })).to.equal(
      false,
    );
    expect(may('in_port(1),eth_type(0x86dd),ipv6(proto=6)', web)).to.equal(false);
    const six: FlowPacket = { src: 'fd00::5', dst: 'fd00::6', proto: 'ICMPv6' };
    expect(may('eth_type(0x86dd),ipv6(src=fd00::/ffff:ffff::,proto=58)', six)).to.equal(true);
    expect(may('eth_type(0x86dd),ipv6(src=fd01::/ffff:ffff::,proto=58)', six)).to.equal(false);
    expect(may('eth_type(0x0806)', { src: '10.0.0.5', dst: '10.0.0.6', proto: 'ARP' })).to.equal(true);
    expect(may('eth_type(0x0806)', web)).to.equal(false);
  });

  it('knows of a flow whether it sends on what matches it', () => {
    const ends = (actions: string): boolean => endsThere({ match: '', packets: 0, actions });
    for (const actions of ['drop', 'pop_vlan', 'set(eth(src=02:00:00:00:00:01)),trunc(1500)', 'meter(3)'])
      expect(ends(actions), actions).to.equal(true);
    for (const actions of [
      '2',
      'tap1',
      'pop_vlan,3',
      'set(ipv4(ttl=63)),5',
      'userspace(pid=1,slow_path(action))',
      'ct,recirc(0x1)',
    ])
      expect(ends(actions), actions).to.equal(false);
  });

  it('passes over anything else', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (text, match) => {
        parseDatapaths(text);
        parseFlows(text);
        mayMatch(
          { match, packets: 0, actions: '' },
          { port: 1, src: '10.0.0.1', dst: 'fd00::1', proto: 'TCP', dport: 1 },
        );
      }),
    );
  });
});
