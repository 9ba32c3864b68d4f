import { expect } from 'chai';
import fc from 'fast-check';
import { EventCursor } from '../../src/events/cursor.js';
import { FIELDS } from '../../src/events/fields.js';
import { FLAG, KIND } from '../../src/events/layout.js';
import { eventOf } from '../../src/events/normalise.js';
import { TEST_LAYOUT, TEST_NAMES, TEST_PLAN, WireWriter } from '../support/wire.js';

function cursorOver(writer: WireWriter): EventCursor {
  const cursor = new EventCursor({ wire: TEST_LAYOUT, plan: TEST_PLAN, names: TEST_NAMES });
  cursor.load(writer.batch());
  return cursor;
}

describe('event cursor', () => {
  it('reads a hop as it was written, kernel addresses and 64-bit times exactly', () => {
    const cursor = cursorOver(
      new WireWriter().hop({
        ...{ ts: 2 ** 45 + 12345, probe: 'net_dev_queue', path: 2 ** 40 + 7, skb: 0xffff_8881_2345_6700 % 2 ** 48 },
        ...{ cpu: 3, pid: 4711, tid: 4712, len: 98, ifindex: 5, netns: 4026531840, mark: 0x1f, queue: 2, dev: 'tap2' },
      }),
    );
    expect(cursor.next()).to.equal(true);
    expect(eventOf(cursor)).to.deep.equal({
      ...{ ts: 2 ** 45 + 12345, probe: 'net_dev_queue', group: 'l2', role: 'queue', kind: 'hop', path: 2 ** 40 + 7 },
      ...{ skb: 0xffff_8881_2345_6700 % 2 ** 48, device: 'tap2', ifindex: 5, netns: 4026531840, cpu: 3, pid: 4711 },
      ...{ tid: 4712, len: 98, mark: 0x1f, ret: 0 },
    });
    expect(cursor.next()).to.equal(false);
  });

  it('tells the payload by the skb where the IP header has no length yet', () => {
    const tcp = { probe: '__ip_local_out', src: '10.0.0.5', dst: '10.0.0.6', proto: 'tcp' } as const;
    const cursor = cursorOver(
      new WireWriter()
        .packet({ ...tcp, ts: 1, len: 60, payload: 0x10000 - 60 })
        .packet({ ...tcp, ts: 2, len: 152, payload: 0x10000 - 52 })
        .packet({ ...tcp, ts: 3, len: 152, payload: 100 }),
    );
    for (const payload of [0, 100, 100]) {
      expect(cursor.next()).to.equal(true);
      expect(cursor.packet.payload).to.equal(payload);
    }
  });

  it('reads negative return values, sign-extended or not', () => {
    const cursor = cursorOver(
      new WireWriter()
        .hop({ ts: 1, probe: '__ip_local_out', ret: -105, flags: FLAG.returned })
        .hop({ ts: 2, probe: '__ip_local_out', ret: 0xffffff97, flags: FLAG.returned }),
    );
    for (let i = 0; i < 2; i++) {
      expect(cursor.next()).to.equal(true);
      expect(cursor.ret).to.equal(-105);
      expect(FIELDS['event.errno'].read(cursor)).to.equal('ENOBUFS');
    }
  });

  it('passes over discarded records and stops at one that is still being written', () => {
    const hop = new Uint8Array(112);
    new DataView(hop.buffer).setUint16(44, KIND.hop, true);
    const cursor = cursorOver(new WireWriter().raw(hop, 0x40000000).raw(hop).raw(hop, 0x80000000).raw(hop));
    expect(cursor.next()).to.equal(true);
    expect(cursor.next()).to.equal(false);
    expect(cursor.counts).to.deep.include({ records: 1, truncated: 1 });
  });

  it('counts what it cannot understand and goes on', () => {
    const short = new Uint8Array(40);
    const kind = (value: number, length = 112): Uint8Array => {
      const bytes = new Uint8Array(length);
      new DataView(bytes.buffer).setUint16(44, value, true);
      return bytes;
    };
    const stranger = kind(KIND.hop);
    new DataView(stranger.buffer).setUint32(40, 999, true);
    const writer = new WireWriter().raw(short).raw(kind(77)).raw(kind(KIND.packet)).raw(stranger);
    const cursor = cursorOver(writer.hop({ ts: 9, probe: 'consume_skb' }));
    expect(cursor.next()).to.equal(true);
    expect(cursor.ts).to.equal(9);
    expect(cursor.counts).to.deep.equal({ records: 1, truncated: 2, unknownKind: 1, unknownProbe: 1 });
  });

  it('never throws and never goes on for ever, whatever the bytes; every field and view can be read', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2048 }), fc.array(fc.nat(271), { maxLength: 6 }), (noise, kinds) => {
        const writer = new WireWriter();
        kinds.forEach((size, i) => {
          const bytes = new Uint8Array(Math.max(size, 46));
          bytes.set(noise.subarray(i * 100, i * 100 + bytes.length));
          if (i % 2 === 0) new DataView(bytes.buffer).setUint32(40, i, true);
          if (i % 2 === 0) new DataView(bytes.buffer).setUint16(44, (i % 5) + 1, true);
          writer.raw(bytes);
        });
        writer.raw(noise);
        const whole = writer.batch();
        // Noise as frames, too: lengths that lead beyond the batch.
        const torn = new Uint8Array(whole.u8.buffer.slice(0));
        torn.set(noise, Math.min(64, torn.length - noise.length));
        for (const batch of [whole, { ...whole, u8: torn, u32: new Uint32Array(torn.buffer) }]) {
          const cursor = new EventCursor({ wire: TEST_LAYOUT, plan: TEST_PLAN, names: TEST_NAMES });
          cursor.load(batch);
          let steps = 0;
          while (cursor.next()) {
            for (const [name, field] of Object.entries(FIELDS)) {
              const value = field.read(cursor);
              if (value !== undefined) expect(typeof value, name).to.equal(field.type);
            }
            // Control characters are just what must not be there.
            expect(JSON.stringify(eventOf(cursor))).to.not.match(/\\u00[01]/);
            expect(++steps).to.be.at.most(batch.end / 8);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
