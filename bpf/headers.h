/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Where an skb's headers are, and what they say.
 *
 * Not every header offset of an skb is valid at every point of its way: before netif_receive_skb network_header is not
 * set yet, in a socket's send path neither header nor skb->protocol is. So a place is only believed if what stands
 * there reads as the protocol that it should be.
 */
#ifndef VDIAG_HEADERS_H
#define VDIAG_HEADERS_H

#include <bpf/bpf_endian.h>
#include "config.h"

#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_TEB 0x6558
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8
#define ETH_P_IPV6 0x86dd
#define ETH_LEN 14
#define VLAN_LEN 4

#define IPPROTO_HOPOPTS 0
#define IPPROTO_ICMP 1
#define IPPROTO_IPIP 4
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_IPV6 41
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_GRE 47
#define IPPROTO_ICMPV6 58
#define IPPROTO_DSTOPTS 60

#define VD_TUNNEL_VXLAN 1
#define VD_TUNNEL_GENEVE 2
#define VD_IPV6_EXTENSIONS 4
#define VD_NO_HEADER 0xffff

struct vd_ipv4 {
	__u8 version_ihl;
	__u8 tos;
	__u16 tot_len;
	__u16 id;
	__u16 frag;
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__u32 saddr;
	__u32 daddr;
};

struct vd_ipv6 {
	__u32 version_class_flow;
	__u16 payload_len;
	__u8 next;
	__u8 hop_limit;
	__u8 saddr[16];
	__u8 daddr[16];
};

struct vd_arp {
	__u16 htype;
	__u16 ptype;
	__u8 hlen;
	__u8 plen;
	__u16 op;
	__u8 sha[6];
	__u8 spa[4];
	__u8 tha[6];
	__u8 tpa[4];
};

struct vd_tcp {
	__u16 source;
	__u16 dest;
	__u32 seq;
	__u32 ack;
	__u8 doff;
	__u8 flags;
	__u16 window;
};

/* The first eight bytes of UDP, ICMP and GRE. */
struct vd_short {
	__u16 word[4];
};

/* What reading a header tells beside the header itself. Offsets count from skb->head. */
struct vd_found {
	__u32 inner; /* of the header inside a tunnel or quoted by an ICMP error; 0: none */
	__u32 inner_ethertype;
	__u32 tunnel;
	__u32 tunnel_id;
	__u32 identity; /* does not change on the way of a packet, not even by NAT; 0: unknown */
	__u32 strength; /* enum vd_strength of that identity */
};

enum vd_strength {
	VD_WEAK = 0,   /* other packets of the flow may have it */
	VD_STRONG = 1, /* only a retransmission of the packet has it too */
	VD_UNIQUE = 2, /* only a clone of the packet has it too */
};

/* Where to read. */
struct vd_walk {
	const unsigned char *head;
	__u32 offset;    /* of the network header */
	__u32 limit;     /* end of the linear data */
	__u32 ethertype; /* host order */
	__u32 mac;       /* of the Ethernet header, or VD_NO_HEADER */
	__u32 vlan;      /* of a tag that stands in the data */
	struct vd_found found;
};

static __always_inline __u32 vd_mix(__u32 hash, __u32 value)
{
	hash = (hash ^ value) * 0x9e3779b1;
	return hash ^ (hash >> 15);
}

static __always_inline bool vd_read(const struct vd_walk *walk, void *to, __u32 size, __u32 offset)
{
	return offset + size <= walk->limit && !bpf_probe_read_kernel(to, size, walk->head + offset);
}

/* Inside an Ethernet frame at `offset`: where the network header is. */
static __always_inline void vd_inner_frame(struct vd_walk *walk, __u32 offset)
{
	__u16 type;

	if (vd_read(walk, &type, sizeof(type), offset + ETH_LEN - 2)) {
		walk->found.inner = offset + ETH_LEN;
		walk->found.inner_ethertype = bpf_ntohs(type);
	}
}

static __always_inline void vd_udp_tunnel(struct vd_walk *walk, __u16 port, __u32 offset)
{
	__u8 header[8];

	if (port != 4789 && port != 8472 && port != 6081)
		return;
	if (!vd_read(walk, header, sizeof(header), offset))
		return;
	walk->found.tunnel_id = header[4] << 16 | header[5] << 8 | header[6];
	if (port == 6081) {
		walk->found.tunnel = VD_TUNNEL_GENEVE;
		offset += sizeof(header) + (header[0] & 0x3f) * 4;
		walk->found.inner_ethertype = header[2] << 8 | header[3];
		if (walk->found.inner_ethertype == ETH_P_TEB)
			vd_inner_frame(walk, offset);
		else
			walk->found.inner = offset;
	} else if (header[0] & 0x08) {
		walk->found.tunnel = VD_TUNNEL_VXLAN;
		vd_inner_frame(walk, offset + sizeof(header));
	}
}

static __always_inline void vd_gre(struct vd_walk *walk, const struct vd_short *gre, __u32 offset)
{
	__u16 flags = bpf_ntohs(gre->word[0]);
	__u16 type = bpf_ntohs(gre->word[1]);
	__u32 key = 0;

	if (flags & 0x7) /* version: only 0 carries packets this way */
		return;
	offset += 4;
	if (flags & 0x8000)
		offset += 4;
	if (flags & 0x2000) {
		vd_read(walk, &key, sizeof(key), offset);
		offset += 4;
	}
	if (flags & 0x1000)
		offset += 4;
	walk->found.tunnel = IPPROTO_GRE;
	walk->found.tunnel_id = bpf_ntohl(key);
	if (type == ETH_P_TEB) {
		vd_inner_frame(walk, offset);
	} else {
		walk->found.inner = offset;
		walk->found.inner_ethertype = type;
	}
}

/* `length`: bytes of the transport header and what follows, by the network header. */
static __always_inline void vd_read_transport(struct vd_walk *walk, struct vd_headers *out, __u32 offset, __u32 length)
{
	__u32 identity = vd_mix(vd_mix(0x5bd1e995, out->proto), out->ip_id);
	struct vd_tcp tcp;
	struct vd_short start;

	walk->found.identity = identity | 1;
	if (out->proto == IPPROTO_TCP) {
		if (!vd_read(walk, &tcp, sizeof(tcp), offset))
			return;
		out->sport = tcp.source;
		out->dport = tcp.dest;
		out->seq = tcp.seq;
		out->ack = tcp.ack;
		out->window = tcp.window;
		out->tcp_flags = tcp.flags;
		out->payload = length - (tcp.doff >> 4) * 4;
		walk->found.strength = out->ip_id ? VD_UNIQUE : VD_STRONG;
		walk->found.identity = vd_mix(vd_mix(identity, tcp.seq), tcp.ack) | 1;
		return;
	}
	if (out->proto == IPPROTO_IPIP || out->proto == IPPROTO_IPV6) {
		walk->found.tunnel = IPPROTO_IPIP;
		walk->found.inner = offset;
		walk->found.inner_ethertype = out->proto == IPPROTO_IPIP ? ETH_P_IP : ETH_P_IPV6;
		return;
	}
	if (!vd_read(walk, &start, sizeof(start), offset))
		return;
	if (out->proto == IPPROTO_UDP) {
		out->sport = start.word[0];
		out->dport = start.word[1];
		out->payload = length - sizeof(start);
		walk->found.identity = vd_mix(identity, start.word[2]) | 1;
		vd_udp_tunnel(walk, bpf_ntohs(out->dport), offset + sizeof(start));
	} else if (out->proto == IPPROTO_ICMP || out->proto == IPPROTO_ICMPV6) {
		__u8 type = start.word[0] & 0xff;

		out->icmp_type = type;
		out->icmp_code = start.word[0] >> 8;
		out->sport = start.word[2];
		out->dport = start.word[3];
		out->payload = length - sizeof(start);
		walk->found.identity = vd_mix(vd_mix(identity, start.word[0]), out->dport) | 1;
		if (out->dport) /* echo: counts up */
			walk->found.strength = VD_UNIQUE;
		if (out->proto == IPPROTO_ICMP && (type == 3 || type == 4 || type == 5 || type == 11 || type == 12)) {
			walk->found.inner = offset + sizeof(start);
			walk->found.inner_ethertype = ETH_P_IP;
		} else if (out->proto == IPPROTO_ICMPV6 && type >= 1 && type <= 4) {
			walk->found.inner = offset + sizeof(start);
			walk->found.inner_ethertype = ETH_P_IPV6;
		}
	} else if (out->proto == IPPROTO_GRE) {
		vd_gre(walk, &start, offset);
	}
}

/* Behind a network header: nothing to read, or not the header it should be. */
#define VD_NO_TRANSPORT 0
#define VD_BAD_HEADER 0xffffffff

/* Returns the offset of the transport header; `length` becomes the bytes from there on. */
static __always_inline __u32 vd_read_ipv4(struct vd_walk *walk, struct vd_headers *out, __u32 *length)
{
	struct vd_ipv4 ip;
	__u32 header, total;

	if (!vd_read(walk, &ip, sizeof(ip), walk->offset))
		return VD_BAD_HEADER;
	header = (ip.version_ihl & 0xf) * 4;
	total = bpf_ntohs(ip.tot_len);
	if (ip.version_ihl >> 4 != 4 || header < sizeof(ip) || (total && total < header))
		return VD_BAD_HEADER; /* a length of 0 is right for packets over 64 KiB (BIG TCP) */
	__builtin_memcpy(out->saddr, &ip.saddr, 4);
	__builtin_memcpy(out->daddr, &ip.daddr, 4);
	out->ip_id = ip.id;
	out->frag = ip.frag;
	out->proto = ip.protocol;
	out->ttl = ip.ttl;
	out->tos = ip.tos;
	out->version = 4;
	walk->found.identity = vd_mix(vd_mix(1, ip.id), ip.frag) | 1;
	walk->found.strength = ip.id ? VD_UNIQUE : VD_WEAK;
	*length = total - header;
	return bpf_ntohs(ip.frag) & 0x1fff ? VD_NO_TRANSPORT : walk->offset + header;
}

static __always_inline bool vd_is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT || next == IPPROTO_DSTOPTS;
}

static __always_inline __u32 vd_read_ipv6(struct vd_walk *walk, struct vd_headers *out, __u32 *length)
{
	struct vd_ipv6 ip;
	__u32 offset = walk->offset + sizeof(ip);
	__u32 end;
	__u8 next;
	__u8 extension[8];

	if (!vd_read(walk, &ip, sizeof(ip), walk->offset) || (ip.version_class_flow & 0xf0) != 0x60)
		return VD_BAD_HEADER;
	__builtin_memcpy(out->saddr, ip.saddr, 16);
	__builtin_memcpy(out->daddr, ip.daddr, 16);
	out->ttl = ip.hop_limit;
	out->tos = bpf_ntohl(ip.version_class_flow) >> 20;
	out->version = 6;
	next = ip.next;
	end = offset + bpf_ntohs(ip.payload_len);
#pragma unroll
	for (int i = 0; i < VD_IPV6_EXTENSIONS; i++) {
		if (!vd_is_extension(next) || !vd_read(walk, extension, sizeof(extension), offset))
			break;
		if (next == IPPROTO_FRAGMENT) {
			out->frag = *(__u16 *)&extension[2];
			offset += 8;
		} else {
			offset += (extension[1] + 1) * 8;
		}
		next = extension[0];
	}
	out->proto = next;
	walk->found.identity = 1;
	*length = end - offset;
	return bpf_ntohs(out->frag) & 0xfff8 ? VD_NO_TRANSPORT : offset;
}

static __always_inline bool vd_read_arp(struct vd_walk *walk, struct vd_headers *out)
{
	struct vd_arp arp;

	if (!vd_read(walk, &arp, sizeof(arp), walk->offset) || arp.ptype != bpf_htons(ETH_P_IP) || arp.plen != 4 ||
	    arp.hlen != 6)
		return false;
	__builtin_memcpy(out->saddr, arp.spa, 4);
	__builtin_memcpy(out->daddr, arp.tpa, 4);
	out->proto = bpf_ntohs(arp.op);
	walk->found.identity = vd_mix(vd_mix(arp.op, *(__u32 *)out->saddr), *(__u32 *)out->daddr) | 1;
	return true;
}

/*
 * Reads the network header at walk->offset and the transport header behind it. Not inlined: it is used for the outer
 * and for the inner header, and its stack is free again for what comes after.
 * `out` is zero but for the ethertype, and walk->found too, if there is no header that we read.
 */
static __noinline int vd_read_headers(struct vd_walk *walk, struct vd_headers *out)
{
	__u32 transport, length = 0;

	__builtin_memset(out, 0, sizeof(*out));
	__builtin_memset(&walk->found, 0, sizeof(walk->found));
	out->ethertype = bpf_htons(walk->ethertype);
	if (walk->ethertype == ETH_P_IP)
		transport = vd_read_ipv4(walk, out, &length);
	else if (walk->ethertype == ETH_P_IPV6)
		transport = vd_read_ipv6(walk, out, &length);
	else
		return walk->ethertype == ETH_P_ARP && vd_read_arp(walk, out);
	if (transport == VD_BAD_HEADER)
		return 0;
	if (transport != VD_NO_TRANSPORT)
		vd_read_transport(walk, out, transport, length);
	return 1;
}

/* A header that should be there was not read. */
static __always_inline bool vd_is_unread(const struct vd_walk *walk)
{
	return !walk->found.identity &&
	       (walk->ethertype == ETH_P_IP || walk->ethertype == ETH_P_IPV6 || walk->ethertype == ETH_P_ARP);
}

/*
 * A VLAN tag in the data. On the way in it stands at the offset, to be stepped over; on the way out the kernel has put
 * it before the network header, which still is where it was.
 */
static __always_inline void vd_step_over_tag(struct vd_walk *walk, bool received)
{
	__u16 tag[2];

	if (walk->ethertype != ETH_P_8021Q && walk->ethertype != ETH_P_8021AD)
		return;
	if (!vd_read(walk, tag, sizeof(tag), received ? walk->offset : walk->offset - VLAN_LEN))
		return;
	walk->vlan = bpf_ntohs(tag[0]) & 0xfff;
	walk->ethertype = bpf_ntohs(tag[1]);
	if (received)
		walk->offset += VLAN_LEN;
}

static __always_inline __u8 vd_version_at(const struct vd_walk *walk, __u32 offset)
{
	__u8 first = 0;

	vd_read(walk, &first, sizeof(first), offset);
	return first >> 4;
}

/* Whether an IP header stands where one should. */
static __always_inline bool vd_reads_as(const struct vd_walk *walk, __u32 offset)
{
	if (walk->ethertype == ETH_P_IP)
		return vd_version_at(walk, offset) == 4;
	return walk->ethertype != ETH_P_IPV6 || vd_version_at(walk, offset) == 6;
}

/* A socket's packet before ip_output sets skb->protocol: an IP header may stand there already. */
static __always_inline __u32 vd_guess_ethertype(const struct vd_walk *walk, __u32 offset)
{
	__u8 version = vd_version_at(walk, offset);

	if (version == 4)
		return ETH_P_IP;
	return version == 6 ? ETH_P_IPV6 : 0;
}

/*
 * Finds and reads the skb's outer headers. `out` is zero but for the ethertype, and walk->found too, when there is
 * nothing that could be read.
 */
static __noinline int vd_read_skb(const struct sk_buff *skb, struct vd_walk *walk, struct vd_headers *out)
{
	__u32 data, network, mac;
	bool received;

	walk->head = BPF_CORE_READ(skb, head);
	data = BPF_CORE_READ(skb, data) - walk->head;
	network = BPF_CORE_READ(skb, network_header);
	mac = BPF_CORE_READ(skb, mac_header);
	walk->limit = data + BPF_CORE_READ(skb, len) - BPF_CORE_READ(skb, data_len);
	walk->ethertype = bpf_ntohs(BPF_CORE_READ(skb, protocol));
	walk->mac = mac;
	walk->vlan = 0;
	/* Just received (eth_type_trans): data is at the network header, whatever network_header says. */
	received = mac != VD_NO_HEADER && mac + ETH_LEN == data;
	walk->offset = received ? data : network;
	vd_step_over_tag(walk, received);
	if (received && data != network && !vd_reads_as(walk, walk->offset))
		walk->offset = network;
	if (!walk->ethertype && network)
		walk->ethertype = vd_guess_ethertype(walk, network);
	vd_read_headers(walk, out);
	if (walk->mac != VD_NO_HEADER && (walk->mac + ETH_LEN > walk->offset || walk->mac + ETH_LEN + 2 * VLAN_LEN < walk->offset))
		walk->mac = VD_NO_HEADER; /* left over from an outer or inner frame */
	return 0;
}

/* What would be different after NAT. */
static __always_inline __u32 vd_address_signature(const struct vd_headers *headers)
{
	const __u32 *from = (const __u32 *)headers->saddr;
	const __u32 *to = (const __u32 *)headers->daddr;
	__u32 hash = headers->sport | (__u32)headers->dport << 16;

#pragma unroll
	for (int i = 0; i < 4; i++)
		hash = vd_mix(vd_mix(hash, from[i]), to[i]);
	return hash;
}

#endif
