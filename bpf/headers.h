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

#include "transport.h"

/* Behind a network header: nothing to read, or not the header it should be. */
#define VD_NO_TRANSPORT 0
#define VD_BAD_HEADER 0xffffffff

/* All fragments of a datagram have its number; nothing else of what identifies a packet is in each of them. */
static __always_inline void vd_identify_fragments(struct vd_walk *walk, __u32 id, __u32 proto)
{
	walk->found.other_identity = id ? vd_mix(vd_mix(1, id), proto) | 1 : 0;
}

/* A fragment is known by what all of its datagram have; the first also has what the whole was known by. */
static __always_inline void vd_be_fragment(struct vd_walk *walk, bool first)
{
	__u32 whole = walk->found.identity;

	walk->found.identity = walk->found.other_identity | 1;
	walk->found.other_identity = first ? whole : 0;
	walk->found.strength = VD_UNIQUE;
	walk->found.traits = VD_FRAGMENT;
}

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
	vd_identify_fragments(walk, ip.id, ip.protocol);
	walk->found.identity = walk->found.other_identity | 1;
	walk->found.strength = ip.id ? VD_UNIQUE : VD_WEAK;
	if (ip.frag & bpf_htons(0x3fff))
		walk->found.traits = VD_FRAGMENT;
	*length = total - header;
	return ip.frag & bpf_htons(0x1fff) ? VD_NO_TRANSPORT : walk->offset + header;
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
			if (out->frag & bpf_htons(0xfff9)) {
				out->ip_id = *(__u16 *)&extension[6];
				vd_identify_fragments(walk, *(__u32 *)&extension[4], extension[0]);
				walk->found.traits = VD_FRAGMENT;
			}
			offset += 8;
		} else {
			offset += (extension[1] + 1) * 8;
		}
		next = extension[0];
	}
	out->proto = next;
	walk->found.identity = 1;
	*length = end - offset;
	return out->frag & bpf_htons(0xfff8) ? VD_NO_TRANSPORT : offset;
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
	__u32 transport, fragment, length = 0;

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
	fragment = walk->found.traits & VD_FRAGMENT;
	if (transport != VD_NO_TRANSPORT)
		vd_read_transport(walk, out, transport, length);
	if (fragment)
		vd_be_fragment(walk, transport != VD_NO_TRANSPORT);
	return 1;
}

/* A header that should be there was not read. */
static __always_inline bool vd_is_unread(const struct vd_walk *walk)
{
	return !walk->found.identity &&
	       (walk->ethertype == ETH_P_IP || walk->ethertype == ETH_P_IPV6 || walk->ethertype == ETH_P_ARP);
}

static __always_inline bool vd_is_tag(__u32 ethertype)
{
	return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD;
}

/*
 * VLAN tags in the data. On the way in they stand at the offset, to be stepped over; on the way out the kernel has put
 * them before the network header, which still is where it was: the last one says what follows.
 */
static __always_inline void vd_step_over_tags(struct vd_walk *walk)
{
	__u16 tag[2];

	if (!vd_is_tag(walk->ethertype) ||
	    !vd_read(walk, tag, sizeof(tag), walk->received ? walk->offset : walk->offset - VLAN_LEN))
		return;
	walk->vlan = bpf_ntohs(tag[0]) & 0xfff;
	walk->ethertype = bpf_ntohs(tag[1]);
	if (!walk->received)
		return;
	walk->offset += VLAN_LEN;
	if (vd_is_tag(walk->ethertype) && vd_read(walk, tag, sizeof(tag), walk->offset)) {
		walk->ethertype = bpf_ntohs(tag[1]);
		walk->offset += VLAN_LEN;
	}
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

	walk->head = BPF_CORE_READ(skb, head);
	data = BPF_CORE_READ(skb, data) - walk->head;
	network = BPF_CORE_READ(skb, network_header);
	mac = BPF_CORE_READ(skb, mac_header);
	walk->limit = data + BPF_CORE_READ(skb, len) - BPF_CORE_READ(skb, data_len);
	walk->ethertype = bpf_ntohs(BPF_CORE_READ(skb, protocol));
	walk->mac = mac;
	walk->vlan = 0;
	/* Just received (eth_type_trans): data is at the network header, whatever network_header says. */
	walk->received = mac != VD_NO_HEADER && mac + ETH_LEN == data;
	walk->offset = walk->received ? data : network;
	vd_step_over_tags(walk);
	if (walk->received && data != network && !vd_reads_as(walk, walk->offset))
		walk->offset = network;
	if (!walk->ethertype && network)
		walk->ethertype = vd_guess_ethertype(walk, network);
	vd_read_headers(walk, out);
	if (walk->mac != VD_NO_HEADER && (walk->mac + ETH_LEN > walk->offset || walk->mac + ETH_LEN + 2 * VLAN_LEN < walk->offset))
		walk->mac = VD_NO_HEADER; /* left over from an outer or inner frame */
	return 0;
}

/* Which two hosts. */
static __always_inline __u32 vd_hosts_signature(const struct vd_headers *headers)
{
	const __u32 *from = (const __u32 *)headers->saddr;
	const __u32 *to = (const __u32 *)headers->daddr;
	__u32 hash = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		hash = vd_mix(vd_mix(hash, from[i]), to[i]);
	return hash;
}

static __always_inline __u32 vd_ports(const struct vd_headers *headers)
{
	return headers->sport | (__u32)headers->dport << 16;
}

#endif
