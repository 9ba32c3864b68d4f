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

const ip6 = (next: number, body: number[], to: number[]): number[] => [
  ...[0x60, 0, 0, 0, 0, body.length, next, 255],
  ...HOST6,
  ...to,
  ...body,
];

/** From port 4097 to 443, with an option of four bytes. */
const tcp = (flags: number): number[] => [
  ...[0x10, 1, 1, 0xbb, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x60, flags, 0xff, 0xff, 0, 0, 0, 0],
  ...[2, 4, 5, 0xb4],
];
const SYN = 2;

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

  it('a request for a TCP connection with the RST that refuses it, as long as its headers', () => {
    const refusal = [1, 0xbb, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x14, 0, 0];
    const reply = replyTo(frame([8, 0], ipv4(6, tcp(SYN))), SELF)!;
    expect([...reply.subarray(34, 50)]).to.deep.equal(refusal);
    expect(reply.readUInt16BE(16)).to.equal(40);
    expect(sum(reply.subarray(14, 34))).to.equal(0xffff);
    const pseudo = Buffer.from([...GUEST, ...HOST, 0, 6, 0, 20]);
    expect(sum(Buffer.concat([pseudo, reply.subarray(34)]))).to.equal(0xffff);

    const reply6 = replyTo(frame([0x86, 0xdd], ip6(6, tcp(SYN), GUEST6)), SELF)!;
    expect([...reply6.subarray(54, 70)]).to.deep.equal(refusal);
    expect(reply6.readUInt16BE(18)).to.equal(20);
    expect(sum(pseudo6(reply6, 6))).to.equal(0xffff);
  });

  it('a datagram with the ICMP error that it is told, which quotes it', () => {
    const datagram = [0x10, 1, 0x20, 2, 0, 9, 0, 0, 65];
    const refuses = { ...SELF, udp: 'port-unreachable' as const };
    const asked = frame([8, 0], ipv4(17, datagram));
    const error = replyTo(asked, refuses)!;
    expect([...error.subarray(26, 36)]).to.deep.equal([...GUEST, ...HOST, 3, 3]);
    expect([...error.subarray(42)]).to.deep.equal([...asked.subarray(14)]);
    expect(error.readUInt16BE(16)).to.equal(error.length - 14);
    expect(sum(error.subarray(14, 34))).to.equal(0xffff);
    expect(sum(Buffer.concat([error.subarray(34), Buffer.alloc(1)]))).to.equal(0xffff);

    const asked6 = frame([0x86, 0xdd], ip6(17, [...datagram, 66], GUEST6));
    const error6 = replyTo(asked6, { ...SELF, udp: 'prohibited' })!;
    expect([...error6.subarray(54, 56)]).to.deep.equal([1, 1]);
    expect([...error6.subarray(62)]).to.deep.equal([...asked6.subarray(14)]);
    expect(sum(pseudo6(error6, 58))).to.equal(0xffff);
  });

  it('nothing to what is cut short, a fragment, other TCP, or for others', () => {
    const whole = frame([8, 0], ipv4(1, echo4()));
    for (let length = 0; length < whole.length; length++)
      expect(replyTo(whole.subarray(0, length), SELF), `${length} bytes`).to.equal(undefined);
    expect(replyTo(frame([8, 0], ipv4(1, echo4(), 0x20)), SELF)).to.equal(undefined);
    for (const flags of [0, 16, 4, 18, 20])
      expect(replyTo(frame([8, 0], ipv4(6, tcp(flags))), SELF), `flags ${flags}`).to.equal(undefined);
    expect(replyTo(frame([8, 0], ipv4(6, tcp(SYN).slice(0, 16))), SELF)).to.equal(undefined);
    expect(replyTo(whole, { mac: SELF.mac })).to.equal(undefined);
  });
});
