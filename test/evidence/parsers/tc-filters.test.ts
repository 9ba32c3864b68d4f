import { expect } from 'chai';
import { parseTcFilters, policeOf, redirectOf, verdictOf } from '../../../src/evidence/parsers/tc-filters.js';

/** As iproute2 6.1 prints them. */
const FLOWER = `filter protocol ip pref 50 flower chain 0 
filter protocol ip pref 50 flower chain 0 handle 0x1 
  eth_type ipv4
  ip_proto tcp
  dst_port 9
  not_in_hw
	action order 1: gact action pass
	 random type none pass val 0
	 index 1 ref 1 bind 1 installed 4 sec used 4 sec
 	Action statistics:
	Sent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0) 
	backlog 0b 0p requeues 0

filter protocol ip pref 100 flower chain 0 
filter protocol ip pref 100 flower chain 0 handle 0x2 
  eth_type ipv4
  ip_proto udp
  not_in_hw
	action order 1: gact action drop
	 random type none pass val 0
	 index 2 ref 1 bind 1 installed 4 sec used 0 sec
 	Action statistics:
	Sent 1840 bytes 20 pkt (dropped 20, overlimits 0 requeues 0) 
	backlog 0b 0p requeues 0
`;
const POLICE = `filter protocol ip pref 100 matchall chain 0 
filter protocol ip pref 100 matchall chain 0 handle 0x1 
  not_in_hw
	action order 1:  police 0x1 rate 200Kbit burst 5Kb mtu 2Kb action drop overhead 0b 
	ref 1 bind 1  installed 5 sec used 1 sec
	Action statistics:
	Sent 496800 bytes 400 pkt (dropped 310, overlimits 310 requeues 0) 
	backlog 0b 0p requeues 0
`;
const MIRRED = `filter protocol ip pref 100 flower chain 0 
filter protocol ip pref 100 flower chain 0 handle 0x1 
  eth_type ipv4
  ip_proto udp
  not_in_hw
	action order 1: mirred (Egress Redirect to device rb) stolen
 	index 1 ref 1 bind 1 installed 5 sec used 1 sec
 	Action statistics:
	Sent 9200 bytes 100 pkt (dropped 0, overlimits 20 requeues 0) 
	backlog 0b 0p requeues 0
`;

describe('parseTcFilters', () => {
  it('reads what a filter matches, what it does and how often, and passes over the heads of priorities', () => {
    const [pass, drop, ...more] = parseTcFilters(FLOWER);
    expect(more).to.deep.equal([]);
    expect(pass).to.deep.include({ pref: 50, keys: ['ip_proto tcp', 'dst_port 9'] });
    expect(verdictOf(pass!).verdict).to.equal('pass');
    expect(drop).to.deep.include({ protocol: 'ip', pref: 100, classifier: 'flower', chain: 0, handle: '0x2' });
    expect(verdictOf(drop!)).to.deep.include({ verdict: 'drop' });
    expect(verdictOf(drop!).action).to.include({ packets: 20, drops: 20, overlimits: 0 });
  });

  it('reads the limit of a policer', () => {
    const { verdict, action } = verdictOf(parseTcFilters(POLICE)[0]!);
    expect(verdict).to.equal('police');
    expect(action).to.include({ packets: 400, drops: 310 });
    expect(policeOf(action!)).to.deep.equal({ rate: 200_000, burst: '5Kb' });
  });

  it('reads where a redirection leads', () => {
    const { verdict, action } = verdictOf(parseTcFilters(MIRRED)[0]!);
    expect(verdict).to.equal('redirect');
    expect(redirectOf(action!)).to.deep.equal({ hook: 'egress', redirect: true, device: 'rb' });
    expect(action).to.include({ drops: 0, overlimits: 20 });
  });

  it('reads u32, whose handle is called fh, and BPF programs', () => {
    const [u32, bpf] = parseTcFilters(
      [
        'filter protocol ip pref 9 u32 chain 0 ',
        'filter protocol ip pref 9 u32 chain 0 fh 800: ht divisor 1 ',
        'filter protocol ip pref 9 u32 chain 0 fh 800::800 order 2048 key ht 800 bkt 0 *flowid :1 not_in_hw ',
        '  match 00110000/00ff0000 at 8',
        '\taction order 1: gact action drop',
        '\tSent 10 bytes 1 pkt (dropped 1, overlimits 0 requeues 0) ',
        'filter protocol all pref 1 bpf chain 0 handle 0x1 policy.o:[ingress] direct-action not_in_hw id 12 tag ab ',
      ].join('\n'),
    );
    expect(u32).to.deep.include({ classifier: 'u32', handle: '800::800', keys: ['match 00110000/00ff0000 at 8'] });
    expect(bpf).to.deep.include({ classifier: 'bpf', program: 'policy.o:[ingress]' });
    expect(verdictOf(bpf!).verdict).to.equal('bpf');
  });

  it('makes nothing of other text', () => {
    expect(parseTcFilters('')).to.deep.equal([]);
    expect(parseTcFilters('Cannot find device "x"\nfilter what\n  ip_proto udp')).to.deep.equal([]);
  });
});
