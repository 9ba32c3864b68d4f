import { expect } from 'chai';
import { invert, sumOfWords } from '../../src/lab/traffic/checksum.js';
import { planFrames } from '../../src/lab/traffic/frames-plan.js';
import { buildFrame } from '../../src/lab/traffic/frames.js';
import type { FrameDefaults, FrameSpec } from '../../src/lab/traffic/frame-types.js';
import { planTraffic } from '../../src/lab/traffic/plan.js';
import { endpointsOf, loadTopology } from '../../src/lab/topology.js';
import type { Traffic } from '../../src/lab/types.js';

const IPV4: FrameDefaults = {
  family: 4,
  src: '10.77.0.1',
  dst: '10.77.0.2',
  smac: '02:77:00:00:00:01',
  dmac: '02:77:00:00:00:02',
  sport: 40_000,
  dport: 53,
};
const IPV6: FrameDefaults = { ...IPV4, family: 6, src: 'fd77::1', dst: 'fd77::2' };

const hex = (spec: FrameSpec, defaults = IPV4, round = 0): string => buildFrame(spec, defaults, round).toString('hex');

describe('lab: raw frames', () => {
  it('a UDP datagram, byte for byte', () => {
    // The two checksums were computed by another program (Python's struct, RFC 1071).
    expect(hex({ udp: {}, payload: 4 })).to.equal(
      [
        '027700000002' + '027700000001' + '0800',
        '4500002040000000401126310a4d00010a4d0002',
        '9c400035000c6efe',
        '76646961',
      ].join(''),
    );
  });

  for (const [family, defaults] of [
    [4, IPV4],
    [6, IPV6],
  ] as const) {
    const start = family === 4 ? 34 : 54;
    const addresses = (frame: Buffer): Buffer => (family === 4 ? frame.subarray(26, 34) : frame.subarray(22, 54));
    const verifies = (frame: Buffer, protocol: number): boolean => {
      const segment = frame.subarray(start);
      return invert(sumOfWords(segment, sumOfWords(addresses(frame), protocol + segment.length))) === 0;
    };

    it(`IPv${family}: a receiver takes the good sums of TCP and UDP, and refuses the others`, () => {
      for (const payload of [0, 1, 7, 1400]) {
        expect(verifies(buildFrame({ tcp: {}, payload }, defaults, 0), 6)).to.equal(true);
        expect(verifies(buildFrame({ udp: {}, payload }, defaults, 0), 17)).to.equal(true);
        for (const checksum of ['bad', 'partial', 'zero'] as const) {
          expect(verifies(buildFrame({ tcp: { checksum }, payload }, defaults, 0), 6), checksum).to.equal(false);
        }
        expect(verifies(buildFrame({ udp: { checksum: 'bad' }, payload }, defaults, 0), 17)).to.equal(false);
      }
    });

    it(`IPv${family}: a partial sum is that of the pseudo header`, () => {
      const frame = buildFrame({ udp: { checksum: 'partial' }, payload: 100 }, defaults, 0);
      expect(frame.readUInt16BE(start + 6)).to.equal(sumOfWords(addresses(frame), 17 + 108));
    });

    it(`IPv${family}: fragments put together are the datagram`, () => {
      const whole = buildFrame({ udp: {}, payload: 2000 }, defaults, 3).subarray(start);
      const extension = family === 6 ? 8 : 0;
      const part = (offset: number, length?: number): Buffer =>
        buildFrame({ udp: {}, payload: 2000, fragment: { offset, length } }, defaults, 3).subarray(start + extension);
      expect(Buffer.concat([part(0, 1480), part(1480)]).equals(whole)).to.equal(true);
    });
  }

  it('says of a fragment where it lies, that more follow and to which datagram it belongs', () => {
    const first = buildFrame({ udp: {}, payload: 2000, fragment: { offset: 0, length: 1480 } }, IPV4, 7);
    const last = buildFrame({ udp: {}, payload: 2000, fragment: { offset: 1480 } }, IPV4, 7);
    expect(first.readUInt16BE(20)).to.equal(0x2000);
    expect(last.readUInt16BE(20)).to.equal(1480 / 8);
    expect(first.readUInt16BE(18)).to.equal(last.readUInt16BE(18)).and.to.equal(0x4007);
    const six = buildFrame({ udp: {}, payload: 2000, fragment: { offset: 0, length: 1480 } }, IPV6, 7);
    expect(six.readUInt8(20)).to.equal(44);
    expect(six.subarray(54, 62).toString('hex')).to.equal('1100000100004007');
  });

  it('IPv4: the header verifies, unless its sum is to be bad', () => {
    const header = (spec: FrameSpec): number => invert(sumOfWords(buildFrame(spec, IPV4, 0).subarray(14, 34)));
    expect(header({ udp: {} })).to.equal(0);
    expect(header({ udp: {}, ip: { ttl: 1, dontFragment: true, totalLength: 9000 } })).to.equal(0);
    expect(header({ udp: {}, ip: { checksum: 'bad' } })).to.not.equal(0);
  });

  it('TCP: flags, options and the lengths that a header may lie about', () => {
    const frame = buildFrame({ tcp: { flags: ['syn', 'ack'], mss: 1460, options: '0402' } }, IPV4, 0);
    expect(frame.readUInt8(47)).to.equal(0x12);
    expect(frame.readUInt8(46) >> 4).to.equal(7);
    expect(frame.subarray(54).toString('hex')).to.equal('020405b404020000');
    expect(buildFrame({ tcp: { headerLength: 12 } }, IPV4, 0).readUInt8(46) >> 4).to.equal(3);
  });

  it('changes the source port and the identification each time', () => {
    const at = (round: number): Buffer => buildFrame({ tcp: { sport: 65_535, sportStep: 1 } }, IPV4, round);
    expect(at(0).readUInt16BE(34)).to.equal(65_535);
    expect(at(1).readUInt16BE(34)).to.equal(0);
    expect(at(1).readUInt16BE(18) - at(0).readUInt16BE(18)).to.equal(1);
  });

  it('is cut where it shall be, but never inside the Ethernet header', () => {
    expect(buildFrame({ udp: {}, payload: 500, truncated: 40 }, IPV4, 0)).to.have.length(40);
    expect(buildFrame({ udp: {}, truncated: 3 }, IPV4, 0)).to.have.length(14);
  });

  describe('planned for a lab', () => {
    const router = loadTopology('two-behind-a-router');
    const plan = (more: Partial<Traffic>, topology = router) => {
      const traffic: Traffic = { from: 'a', to: 'b', kind: 'frames', frames: [{ udp: {} }], ...more };
      return planFrames(traffic, planTraffic(traffic, endpointsOf(topology), 0), topology);
    };

    it('goes to the gateway behind a router, to the other end on a bridge', () => {
      expect(plan({}).defaults).to.include({ src: '10.78.1.2', dst: '10.78.2.2', dmac: '02:78:01:00:00:01' });
      expect(plan({ family: 6 }).defaults).to.include({ src: 'fd78:1::2', dmac: '02:78:01:00:00:01' });
      expect(plan({}, loadTopology('two-vms-on-a-bridge')).defaults).to.include({ dmac: '02:77:00:00:00:02' });
    });

    it('starts no server', () => {
      const traffic: Traffic = { from: 'a', to: 'b', kind: 'frames', frames: [{ udp: {} }] };
      expect(planTraffic(traffic, endpointsOf(router), 0).server).to.equal(false);
    });

    it('refuses what a lab may not do, and what cannot be built', () => {
      expect(() => plan({ count: 10_000, frames: Array(64).fill({ udp: {} }) })).to.throw('more than a lab may send');
      expect(() => plan({ count: 100, interval: '0.1ms' })).to.throw('more than a lab may send');
      expect(() => plan({ frames: [{ udp: {}, ip: { src: 'fd00::1' } }] })).to.throw('not an IPv4 address');
      expect(() => plan({ frames: [{ udp: {}, fragment: { offset: 4 } }] })).to.throw('multiple of 8');
      expect(() => plan({ frames: [] })).to.throw('has no frames');
    });
  });
});
