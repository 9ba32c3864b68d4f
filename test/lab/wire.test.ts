import { expect } from 'chai';
import { isOfKind, setTimestampBack, tcpOf } from '../../src/lab/wire/frame.js';
import { Impairer, type Impairment } from '../../src/lab/wire/impairment.js';

/** An Ethernet frame with a TCP segment, its checksum right. */
function frame(options: { version?: 4 | 6; flags?: number; payload?: number; odd?: boolean } = {}): Buffer {
  const { version = 4, flags = 0x10, payload = 0, odd = false } = options;
  const ip = version === 4 ? 20 : 40;
  const tcp = 32;
  const bytes = Buffer.alloc(14 + ip + tcp + payload, 7);
  bytes.writeUInt16BE(version === 4 ? 0x0800 : 0x86dd, 12);
  if (version === 4) {
    bytes[14] = 0x45;
    bytes.writeUInt16BE(ip + tcp + payload, 16);
    bytes[23] = 6;
  } else {
    bytes[14] = 0x60;
    bytes.writeUInt16BE(tcp + payload, 18);
    bytes[20] = 6;
  }
  const at = 14 + ip;
  bytes[at + 12] = (tcp / 4) << 4;
  bytes[at + 13] = flags;
  bytes.set(odd ? [1, 8, 10, 0x20, 0, 0, 9, 0, 0, 0, 1, 1] : [1, 1, 8, 10, 0x20, 0, 0, 9, 0, 0, 0, 1], at + 20);
  bytes.writeUInt16BE(0, at + 16);
  bytes.writeUInt16BE(checksum(bytes, at), at + 16);
  return bytes;
}

/** Of TCP with its pseudo header (RFC 9293, 3.1); 0 when it is right. */
function checksum(bytes: Buffer, at: number): number {
  const [from, to] = bytes.readUInt16BE(12) === 0x0800 ? [26, 34] : [22, 54];
  const length = bytes.length - at;
  let sum = 6 + length;
  for (let i = from; i < to; i += 2) sum += bytes.readUInt16BE(i);
  for (let i = at; i < bytes.length; i += 2) sum += i + 1 < bytes.length ? bytes.readUInt16BE(i) : bytes[i]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return 0xffff - sum;
}

const impairment = (more: Partial<Impairment>): Impairment => ({
  ...{ direction: 0, of: 'data', does: 'lose', every: 1, after: 0, most: 100, holdMs: 5 },
  ...more,
});

describe("the lab's wire", () => {
  for (const version of [4, 6] as const) {
    it(`tells the segments of IPv${version} apart`, () => {
      const kinds = (bytes: Buffer): string[] =>
        (['data', 'acks', 'opening', 'tcp'] as const).filter((kind) => isOfKind(bytes, kind));
      expect(kinds(frame({ version, payload: 5 }))).to.deep.equal(['data', 'tcp']);
      expect(kinds(frame({ version }))).to.deep.equal(['acks', 'tcp']);
      expect(kinds(frame({ version, flags: 0x12 }))).to.deep.equal(['opening', 'tcp']);
      expect(kinds(frame({ version, flags: 0x11 }))).to.deep.equal(['tcp']);
      expect(tcpOf(frame({ version }).subarray(0, 50))).to.equal(undefined);
    });

    for (const odd of [false, true]) {
      it(`sets timestamps back and keeps the checksum right (IPv${version}, option at an ${odd ? 'odd' : 'even'} offset)`, () => {
        const bytes = frame({ version, payload: 9, odd });
        const at = bytes.indexOf(Buffer.from([8, 10, 0x20])) + 2;
        expect(checksum(bytes, version === 4 ? 34 : 54)).to.equal(0);
        setTimestampBack(bytes, 86_400_000);
        expect(bytes.readUInt32BE(at)).to.equal(0x20000009 - 86_400_000);
        expect(checksum(bytes, version === 4 ? 34 : 54)).to.equal(0);
      });
    }
  }

  it('does it to every so many, after so many, so often, in one direction', () => {
    const one = new Impairer(impairment({ every: 2, after: 1, most: 2 }));
    const data = frame({ payload: 5 });
    expect(one.apply(data, 1)).to.equal(undefined);
    const fates = Array.from({ length: 8 }, () => one.apply(data, 0));
    expect(fates.map((fate) => (fate ? 'lost' : '-'))).to.deep.equal(['-', '-', 'lost', '-', 'lost', '-', '-', '-']);
  });

  it('duplicates, holds, and leaves alone what it is not about', () => {
    const data = frame({ payload: 5 });
    expect(new Impairer(impairment({ does: 'duplicate' })).apply(data, 0)).to.deep.equal([0, 0]);
    expect(new Impairer(impairment({ does: 'hold' })).apply(data, 0)).to.deep.equal([5]);
    expect(new Impairer(impairment({ of: 'acks' })).apply(data, 0)).to.equal(undefined);
  });
});
