import { expect } from 'chai';
import fc from 'fast-check';
import { commandFrom, refusal, splitWords } from '../../src/lab/command-line.js';

describe('lab: a fault’s command line', () => {
  it('splits at blanks and keeps what is quoted together', () => {
    expect(splitWords(`nft add chain inet t c  { type filter ; }`)).to.deep.equal([
      'nft',
      'add',
      'chain',
      'inet',
      't',
      'c',
      '{',
      'type',
      'filter',
      ';',
      '}',
    ]);
    expect(splitWords(`iptables -m comment --comment "it's here" -j 'DR'OP ''`)).to.deep.equal([
      'iptables',
      '-m',
      'comment',
      '--comment',
      "it's here",
      '-j',
      'DROP',
      '',
    ]);
  });

  it('refuses what only a shell would understand', () => {
    for (const line of [
      'tc qdisc; echo $HOME',
      'ip link `id`',
      'ip link | cat',
      'ip link > /etc/x',
      'ip link && id',
      'ip link \\x',
    ]) {
      expect(() => splitWords(line), line).to.throw('means nothing here');
    }
    expect(() => splitWords('ip link "open')).to.throw('open "');
    expect(() => splitWords('ip link\nip route')).to.throw('control character');
  });

  it('gives back the words that were quoted', () => {
    const word = fc.string().filter((text) => !/['\u0000-\u001f\u007f]/.test(text));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), (words) => {
        expect(splitWords(words.map((text) => `'${text}'`).join('  '))).to.deep.equal(words);
      }),
    );
  });

  it('fills variables after splitting, so that a value stays one word and is never a program', () => {
    expect(
      commandFrom('tc qdisc add dev {{port}} root tbf rate {{rate}}', { port: 'eth0 x', rate: '1mbit; id' }),
    ).to.deep.equal([...['tc', 'qdisc', 'add', 'dev', 'eth0 x', 'root', 'tbf', 'rate', '1mbit; id']]);
    expect(() => commandFrom('{{program}} -c id', { program: 'sh' })).to.throw(
      '"sh" is not a program that a fault may run',
    );
  });

  it('allows what changes the network of the namespace', () => {
    for (const line of [
      'tc qdisc add dev vma root tbf rate 1mbit burst 4kb limit 100kb',
      'ip route del 10.0.0.0/24',
      'ip -6 route add blackhole fd00::/64',
      'iptables -A FORWARD -p tcp --dport 80 -m comment --comment x -j DROP',
      'nft add rule inet t c tcp dport 80 drop',
      'bridge link set dev vma state 0',
      'ethtool -K eth0 tso off',
      'sysctl -w net.ipv4.ip_forward=0',
      'sysctl -e -w net.netfilter.nf_conntrack_frag6_timeout=1',
      'conntrack -F',
    ]) {
      expect(refusal(splitWords(line)), line).to.equal(undefined);
    }
  });

  it('refuses what leaves the namespace, reads a file or starts a program', () => {
    for (const line of [
      '',
      'sh -c id',
      '/sbin/ip link',
      'ip netns exec x id',
      // iproute2 takes any beginning of a word: this is `ip netns exec`.
      'ip net exec x id',
      'ip -batch /tmp/x',
      'ip -b /tmp/x',
      'ip -n other link',
      'ip vrf exec x id',
      'ip link set dev eth0 netns 1',
      'ip link set dev eth0 xdp obj x.o',
      'tc exec bpf graft',
      'tc -b /tmp/x',
      'tc qdisc add dev eth0 root ../../tmp/evil',
      'tc filter add dev eth0 ingress bpf obj x.o',
      'bridge -batch x',
      'iptables --modprobe=/tmp/x -L',
      'iptables --modp /tmp/x',
      'nft -f /tmp/x',
      'nft include /tmp/x',
      'sysctl kernel.core_pattern=x',
      'sysctl -p /tmp/x',
      'sysctl -w kernel.modprobe=/tmp/x',
      'conntrack -R /tmp/x',
    ]) {
      expect(refusal(splitWords(line)), line).to.be.a('string');
    }
  });
});
