import { expect } from 'chai';
import { VdiagError } from '../../src/base/errors.js';
import { encodeConfig, encodeKeys, MAX_FILTER_ENTRIES } from '../../src/bpf/filter.js';
import { MAP_LAYOUT, VD_WANT } from '../../src/bpf/kernel-side.gen.js';
import type { KernelFilter } from '../../src/bpf/types.js';

const part = (config: Buffer, member: keyof typeof MAP_LAYOUT): string => {
  const [offset, size] = MAP_LAYOUT[member];
  return config.toString('hex', offset, offset + size);
};
const want = (config: Buffer): number => config.readUInt32LE(MAP_LAYOUT['vd_config.want'][0]);

describe('the filter, as the kernel side reads it', () => {
  it('is all zero when there is none', () => {
    expect(encodeConfig({}).every((byte) => byte === 0)).to.equal(true);
  });

  it('has addresses masked, in network order', () => {
    const config = encodeConfig({ src: '10.1.2.3/20', dst: 'fd00::5' });
    expect(part(config, 'vd_config.src.addr')).to.equal(`0a010000${'00'.repeat(12)}`);
    expect(part(config, 'vd_config.src.mask')).to.equal(`fffff000${'00'.repeat(12)}`);
    expect(part(config, 'vd_config.src.version')).to.equal('04000000');
    expect(part(config, 'vd_config.dst.addr')).to.equal(`fd00${'00'.repeat(13)}05`);
    expect(part(config, 'vd_config.dst.mask')).to.equal('ff'.repeat(16));
    expect(part(config, 'vd_config.dst.version')).to.equal('06000000');
    expect(want(config)).to.equal(VD_WANT.SRC | VD_WANT.DST);
  });

  it('takes a prefix of no bits for everything of that version', () => {
    expect(part(encodeConfig({ src: '0.0.0.0/0' }), 'vd_config.src.mask')).to.equal('00'.repeat(16));
  });

  it('has ports in network order, the rest in the host’s', () => {
    const config = encodeConfig({ port: 443, proto: 'tcp', pid: 77, mark: { value: 0x1f, mask: 0xf0 } });
    expect(part(config, 'vd_config.port')).to.equal('01bb0000');
    expect(part(config, 'vd_config.proto')).to.equal('06000000');
    expect(part(config, 'vd_config.pid')).to.equal('4d000000');
    expect(part(config, 'vd_config.mark'), 'masked').to.equal('10000000');
    expect(part(config, 'vd_config.mark_mask')).to.equal('f0000000');
    expect(want(config)).to.equal(VD_WANT.PORT | VD_WANT.PROTO | VD_WANT.PID | VD_WANT.MARK);
  });

  it('knows protocols by name and number; ARP is beyond the numbers of IP', () => {
    const proto = (value: KernelFilter['proto']): number =>
      encodeConfig({ proto: value }).readUInt32LE(MAP_LAYOUT['vd_config.proto'][0]);
    expect([proto('udp'), proto('icmp'), proto('icmp6'), proto(47), proto('arp')]).to.deep.equal([17, 1, 58, 47, 256]);
  });

  it('has devices and namespaces as keys of maps', () => {
    expect(encodeKeys('devices', [2, 258]).map((key) => key.toString('hex'))).to.deep.equal(['02000000', '02010000']);
    expect(want(encodeConfig({ ifindex: [2] }))).to.equal(VD_WANT.IFINDEX);
    expect(want(encodeConfig({ ifindex: [], netns: [] }))).to.equal(0);
    expect(encodeKeys('namespaces', [4026531833]).map((key) => key.toString('hex'))).to.deep.equal(['f9ffffef']);
    expect(want(encodeConfig({ netns: [4026531833] }))).to.equal(VD_WANT.NETNS);
  });

  it('says what cannot be', () => {
    for (const [filter, message] of [
      [{ src: '10.0.0' }, '"10.0.0" is not an address'],
      [{ dst: 'example.org' }, '"example.org" is not an address'],
      [{ src: '10.0.0.1/33' }, '"10.0.0.1/33" is not an address'],
      [{ src: '10.1/8' }, '"10.1/8" is not an address'],
      [{ port: 0 }, 'port 0 cannot be'],
      [{ port: 65536 }, 'port 65536 cannot be'],
      [{ proto: 256 }, 'protocol 256 cannot be'],
      [{ proto: 'toString' as 'tcp' }, 'unknown protocol "toString"'],
      [{ pid: 1.5 }, 'pid 1.5 cannot be'],
    ] as [KernelFilter, string][]) {
      expect(() => encodeConfig(filter), JSON.stringify(filter)).to.throw(VdiagError, message);
    }
    const many = Array.from({ length: MAX_FILTER_ENTRIES + 1 }, (_, i) => i + 1);
    expect(() => encodeKeys('devices', many)).to.throw(VdiagError, `at most ${MAX_FILTER_ENTRIES}`);
    expect(() => encodeKeys('namespaces', [-1])).to.throw(VdiagError, '-1');
  });
});
