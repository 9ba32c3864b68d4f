import { AddressNames } from './address-names.js';
import type { ResolvedLayout } from './layout.js';
import { protocolName, tcpFlagsText, tunnelName } from './names.js';

export const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd, arp: 0x0806 } as const;
export const PROTO = { icmp: 1, tcp: 6, udp: 17, esp: 50, ah: 51, icmp6: 58 } as const;
export const TCP = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;
const DONT_FRAGMENT = 0x4000;
/** Bytes of an IP and a TCP header with all options. */
const MOST_HEADERS = 120;
/** Of an IPv6 fragment header: the offset, and with it the bit that more follow. */
const OFFSET6 = 0xfff8;
const FRAGMENT6 = 0xfff9;

/** ICMPv6 types of neighbour discovery (RFC 4861): router solicitation to redirect. */
const ND_FIRST = 133;
const ND_LAST = 137;

/**
 * A window on the headers of a packet record (struct vd_packet). Inside a tunnel it shows the inner headers, for these
 * are the traffic that was asked about; {@link tunnel} says what they travel in.
 */
export class PacketHeaders {
  u8: Uint8Array = new Uint8Array(0);
  u32: Uint32Array = new Uint32Array(0);
  /** Byte offset of the record; -1: there are no headers to see. */
  at = -1;
  /** Byte offset of the headers shown: inner where there are any, else outer. */
  headersAt = 0;
  private readonly h: ResolvedLayout['headers'];
  private readonly p: ResolvedLayout['packet'];
  private readonly lengthAt: number;
  private readonly addresses = new AddressNames();

  constructor(layout: ResolvedLayout) {
    this.h = layout.headers;
    this.p = layout.packet;
    this.lengthAt = layout.hop.len;
  }

  /** Shows the headers of the packet record at a byte offset (a multiple of 4). */
  point(u8: Uint8Array, u32: Uint32Array, at: number): void {
    this.u8 = u8;
    this.u32 = u32;
    this.at = at;
    const inner = at + this.p.inner;
    // An ICMP error's quotation stands there too, without a tunnel: that is another packet's.
    const tunnelled = u8[inner + this.h.version] !== 0 && u8[inner + this.h.tunnel] !== 0;
    this.headersAt = tunnelled ? inner : at + this.p.outer;
  }

  clear(): void {
    this.at = -1;
  }

  get present(): boolean {
    return this.at >= 0;
  }

  /** 4, 6; 0: not IP. ARP has 0 too. */
  get version(): number {
    return this.u8[this.headersAt + this.h.version];
  }
  /** IP protocol; of ARP the operation. */
  get protocol(): number {
    return this.u8[this.headersAt + this.h.proto];
  }
  get ethertype(): number {
    return this.be16(this.headersAt + this.h.ethertype);
  }
  get isArp(): boolean {
    return this.ethertype === ETHERTYPE.arp;
  }
  get isTcp(): boolean {
    return this.protocol === PROTO.tcp && this.version !== 0;
  }
  get isIcmp(): boolean {
    const { protocol, version } = this;
    return (protocol === PROTO.icmp && version === 4) || (protocol === PROTO.icmp6 && version === 6);
  }
  /** ARP and neighbour discovery: about link addresses, and no question or answer of a program. */
  get isLinkTalk(): boolean {
    const type = this.version === 6 ? this.icmpType : 0;
    return this.isArp || (type >= ND_FIRST && type <= ND_LAST);
  }
  /** TCP or UDP: the ports are ports. */
  get hasPorts(): boolean {
    const { protocol } = this;
    return (protocol === PROTO.tcp || protocol === PROTO.udp) && this.version !== 0;
  }
  /** Word offsets of the addresses, each of four words, for those who compare them as numbers. */
  get saddrWord(): number {
    return (this.headersAt + this.h.saddr) >>> 2;
  }
  get daddrWord(): number {
    return (this.headersAt + this.h.daddr) >>> 2;
  }
  /** How many bytes of an address mean something: 16 (IPv6), 4 (IPv4, ARP), 0. */
  get addressBytes(): number {
    if (this.version === 6) return 16;
    return this.version === 4 || this.isArp ? 4 : 0;
  }
  get src(): string {
    return this.addressText(this.headersAt + this.h.saddr);
  }
  get dst(): string {
    return this.addressText(this.headersAt + this.h.daddr);
  }
  /** The two numbers in the ports' place: TCP and UDP ports; ICMP: identifier and sequence. */
  get first16(): number {
    return this.be16(this.headersAt + this.h.sport);
  }
  get second16(): number {
    return this.be16(this.headersAt + this.h.dport);
  }
  get sport(): number {
    return this.hasPorts ? this.first16 : 0;
  }
  get dport(): number {
    return this.hasPorts ? this.second16 : 0;
  }
  get icmpId(): number {
    return this.isIcmp ? this.first16 : 0;
  }
  get icmpSeq(): number {
    return this.isIcmp ? this.second16 : 0;
  }
  get ipId(): number {
    return this.be16(this.headersAt + this.h.ip_id);
  }
  /** Part of a packet that was split: more to come, or not the first. */
  get fragment(): boolean {
    const mask = this.version === 6 ? FRAGMENT6 : MORE_FRAGMENTS | FRAGMENT_OFFSET;
    return (this.be16(this.headersAt + this.h.frag) & mask) !== 0;
  }
  /** A fragment without a transport header. */
  get laterFragment(): boolean {
    const mask = this.version === 6 ? OFFSET6 : FRAGMENT_OFFSET;
    return (this.be16(this.headersAt + this.h.frag) & mask) !== 0;
  }
  get dontFragment(): boolean {
    return this.version === 4 && (this.be16(this.headersAt + this.h.frag) & DONT_FRAGMENT) !== 0;
  }
  get seq(): number {
    return this.be32(this.headersAt + this.h.seq);
  }
  get ack(): number {
    return this.be32(this.headersAt + this.h.ack);
  }
  /** IPsec (ESP, AH, ESP in UDP): the security parameters index; its sequence number is {@link seq}. 0: not IPsec. */
  get spi(): number {
    const { protocol } = this;
    const sealed = protocol === PROTO.esp || protocol === PROTO.ah || (protocol === PROTO.udp && this.version !== 0);
    return sealed ? this.ack : 0;
  }
  get window(): number {
    return this.be16(this.headersAt + this.h.window);
  }
  /**
   * By the IP header's length. Where a socket hands its packet over (__ip_local_out, net/ipv4/ip_output.c) that still is
   * 0, so that the headers are missing from the 16 bits: then it is by the skb's length.
   */
  get payload(): number {
    const payload = this.he16(this.headersAt + this.h.payload);
    const headers = 0x10000 - payload;
    if (headers > MOST_HEADERS) return payload;
    const length = this.u32[(this.at + this.lengthAt) >> 2];
    return length < 0x10000 && length >= headers ? length - headers : payload;
  }
  get ttl(): number {
    return this.u8[this.headersAt + this.h.ttl];
  }
  get tcpFlags(): number {
    return this.isTcp ? this.u8[this.headersAt + this.h.tcp_flags] : 0;
  }
  get flagsText(): string {
    return this.isTcp ? tcpFlagsText(this.u8[this.headersAt + this.h.tcp_flags]) : '';
  }
  get icmpType(): number {
    return this.isIcmp ? this.u8[this.headersAt + this.h.icmp_type] : 0;
  }
  get icmpCode(): number {
    return this.isIcmp ? this.u8[this.headersAt + this.h.icmp_code] : 0;
  }
  /** The MTU that an ICMP error tells its receiver (RFC 1191, RFC 8201); 0: it is no such error. */
  get nextHopMtu(): number {
    if (this.version === 4 && this.icmpType === 3 && this.icmpCode === 4) return this.second16;
    return this.version === 6 && this.icmpType === 2 ? this.first16 * 0x10000 + this.second16 : 0;
  }
  /** Of the packet that an ICMP error is about, as far as it was read; undefined for all others. */
  quoted<M extends 'src' | 'dst' | 'proto' | 'dport'>(member: M): this[M] | undefined {
    if (!this.isIcmp) return undefined;
    const outer = this.headersAt;
    this.headersAt = this.at + this.p.inner;
    const value = this.version === 0 || this.tunnel !== '' ? undefined : this[member];
    this.headersAt = outer;
    return value;
  }
  /** skb->ip_summed. */
  get summed(): number {
    return this.u8[this.at + this.p.ip_summed];
  }
  get proto(): string {
    return protocolName(this.version, this.protocol, this.ethertype);
  }
  /** `vxlan`, `geneve`, `gre`, `ipip`, or empty. */
  get tunnel(): string {
    return tunnelName(this.u8[this.headersAt + this.h.tunnel]);
  }
  get tunnelId(): number {
    const at = this.headersAt + this.h.tunnel_id;
    return this.u32[at >>> 2];
  }
  get gsoSize(): number {
    return this.he16(this.at + this.p.gso_size);
  }
  get gsoSegs(): number {
    return this.he16(this.at + this.p.gso_segs);
  }
  /** VLAN id (without priority bits), 0: none. */
  get vlan(): number {
    return this.he16(this.at + this.p.vlan) & 0xfff;
  }
  get smac(): string {
    return this.mac(this.at + this.p.smac);
  }
  get dmac(): string {
    return this.mac(this.at + this.p.dmac);
  }
  /** The destination is multicast or broadcast, by IP or by Ethernet. */
  get multicast(): boolean {
    const { u8 } = this;
    const daddr = this.headersAt + this.h.daddr;
    const { version } = this;
    if ((u8[this.at + this.p.dmac] & 1) !== 0) return true;
    if (version === 6) return u8[daddr] === 0xff;
    return version === 4 && (u8[daddr] >= 224 && u8[daddr] < 240 ? true : this.u32[daddr >>> 2] === 0xffffffff);
  }

  private addressText(at: number): string {
    const bytes = this.addressBytes;
    return bytes === 0 ? '' : this.addresses.read(this.u8, this.u32, at, bytes === 16 ? 6 : 4);
  }
  private mac(at: number): string {
    let text = '';
    let any = 0;
    for (let i = 0; i < 6; i++) {
      const octet = this.u8[at + i];
      any |= octet;
      text += (i === 0 ? '' : ':') + octet.toString(16).padStart(2, '0');
    }
    return any === 0 ? '' : text;
  }
  private be16(at: number): number {
    return (this.u8[at] << 8) | this.u8[at + 1];
  }
  private he16(at: number): number {
    return this.u8[at] | (this.u8[at + 1] << 8);
  }
  private be32(at: number): number {
    const { u8 } = this;
    return ((u8[at] << 24) | (u8[at + 1] << 16) | (u8[at + 2] << 8) | u8[at + 3]) >>> 0;
  }
}
