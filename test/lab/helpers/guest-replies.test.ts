import { expect } from 'chai';
import ipaddr from 'ipaddr.js';
import { replyTo } from '../../../src/lab/helpers/guest-replies.js';

const bytes = (address: string): number[] => ipaddr.parse(address).toByteArray();
const HOST_MAC = [2, 0, 0, 0, 0, 1];
const GUEST_MAC = [2, 0, 0, 0, 0, 2];
const SELF = {
  mac: Uint8Array.from(GUEST_MAC),
  address: Uint8Array.from(bytes('10.75.0.2')),
  address6: Uint8Array.from(bytes('fd75::2')),
};
const [HOST, GUEST] = [bytes('10.75.0.1'), bytes('10.75.0.2')];
const [HOST6, GUEST6] = [bytes('fd75::1'), bytes('fd75::2')];

const frame = (kind: number[], ...rest: number[][]): Buffer =>
  Buffer.from([...GUEST_MAC, ...HOST_MAC, ...kind, ...rest.flat()]);

/** The one's complement sum of 16-bit words: 0xffff over what holds its own right checksum. */
function sum(words: Buffer): number {
  let total = 0;
  for (let i = 0; i < words.length; i += 2) total += (words[i]! << 8) | (words[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

function ipv4(protocol: number, body: number[], flags = 0): number[] {
  const head = [0x45, 0, 0, 20 + body.length, 0, 7, flags, 0, 64, protocol, 0, 0, ...HOST, ...GUEST];
  const check = ~sum(Buffer.from(head)) & 0xffff;
  [head[10], head[11]] = [check >> 8, check & 255];
  return [...head, ...body];
}

function echo4(): number[] {
  const body = [8, 0, 0, 0, 0x12, 0x34, 0, 1, 9, 9];
  const check = ~sum(Buffer.from(body)) & 0xffff;
  [body[2], body[3]] = [check >> 8, check & 255];
  return body;
}

const pseudo6 = (packet: Buffer, protocol: number): Buffer =>
  Buffer.concat([
    packet.subarray(22, 54),
    Buffer.from([0, 0, 0, packet.length - 54, 0, 0, 0, protocol]),
    packet.subarray(54),
  ]);

describe('lab: what a guest answers', () => {
  it('ARP for its own address, and for no other', () => {
    const ask = (address: number[]): Buffer =>
      frame([8, 6], [0, 1, 8, 0, 6, 4, 0, 1], HOST_MAC, HOST, [0, 0, 0, 0, 0, 0], address);
    const reply = replyTo(ask(GUEST), SELF)!;
    expect([...reply]).to.deep.equal([
      ...[...HOST_MAC, ...GUEST_MAC, 8, 6],
      ...[0, 1, 8, 0, 6, 4, 0, 2, ...GUEST_MAC, ...GUEST, ...HOST_MAC, ...HOST],
    ]);
    expect(replyTo(ask(bytes('10.75.0.9')), SELF)).to.equal(undefined);
  });

  it('an echo request, with checksums that are right', () => {
    const reply = replyTo(frame([8, 0], ipv4(1, echo4())), SELF)!;
    expect([...reply.subarray(26, 34)]).to.deep.equal([...GUEST, ...HOST]);
    expect(reply[34]).to.equal(0);
    expect(sum(reply.subarray(14, 34))).to.equal(0xffff);
    expect(sum(reply.subarray(34))).to.equal(0xffff);
  });

  it('a datagram by the same one, its ports exchanged; without the padding of a short frame', () => {
    const reply = replyTo(
      Buffer.concat([frame([8, 0], ipv4(17, [0x10, 1, 0x20, 2, 0, 9, 0, 0, 65])), Buffer.alloc(9)]),
      SELF,
    )!;
    expect([...reply.subarray(34)]).to.deep.equal([0x20, 2, 0x10, 1, 0, 9, 0, 0, 65]);
  });

  it('a neighbour solicitation with its MAC address, and an echo request over IPv6', () => {
    const ip6 = (next: number, body: number[], to: number[]): number[] => [
      ...[0x60, 0, 0, 0, 0, body.length, next, 255],
      ...HOST6,
      ...to,
      ...body,
    ];
    const group = bytes('ff02::1:ff00:2');
    const asked = frame([0x86, 0xdd], ip6(58, [135, 0, 0, 0, 0, 0, 0, 0, ...GUEST6, 1, 1, ...HOST_MAC], group));
    const advertised = replyTo(asked, SELF)!;
    expect(advertised[54]).to.equal(136);
    expect([...advertised.subarray(78)]).to.deep.equal([2, 1, ...GUEST_MAC]);
    expect(sum(pseudo6(advertised, 58))).to.equal(0xffff);

    const request = frame([0x86, 0xdd], ip6(58, [128, 0, 0, 0, 1, 2, 0, 1], GUEST6));
    request.writeUInt16BE(~sum(pseudo6(request, 58)) & 0xffff, 56);
    const reply = replyTo(request, SELF)!;
    expect(reply[54]).to.equal(129);
    expect(sum(pseudo6(reply, 58))).to.equal(0xffff);
  });

  it('nothing to what is cut short, a fragment, TCP, or for others', () => {
    const whole = frame([8, 0], ipv4(1, echo4()));
    for (let length = 0; length < whole.length; length++)
      expect(replyTo(whole.subarray(0, length), SELF), `${length} bytes`).to.equal(undefined);
    expect(replyTo(frame([8, 0], ipv4(1, echo4(), 0x20)), SELF)).to.equal(undefined);
    expect(replyTo(frame([8, 0], ipv4(6, new Array<number>(20).fill(0))), SELF)).to.equal(undefined);
    expect(replyTo(whole, { mac: SELF.mac })).to.equal(undefined);
  });
});
