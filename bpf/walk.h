/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reading an skb's data: where, and what is to be learnt from the headers beside what they say. */
#ifndef VDIAG_WALK_H
#define VDIAG_WALK_H

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
#define IPPROTO_ESP 50
#define IPPROTO_AH 51
#define IPPROTO_ICMPV6 58
#define IPPROTO_DSTOPTS 60

#define VD_TUNNEL_VXLAN 1
#define VD_TUNNEL_GENEVE 2
#define VD_PORT_ESP 4500 /* ESP in UDP, to pass NAT (RFC 3948) */
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
	/*
	 * What the packet was, or will be, known by before or after fragmentation: of a whole one the identity of its
	 * fragments, of the first fragment that of the whole. 0: none.
	 */
	__u32 other_identity;
	__u32 traits; /* enum vd_trait */
};

enum vd_trait {
	VD_FRAGMENT = 1 << 0,
	VD_SEALED = 1 << 1,  /* encrypted or authenticated by IPsec */
	VD_CERTAIN = 1 << 2, /* the identity is so rare that two packets which have it are one */
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
	__u32 received;  /* a device has just handed it over: data is at the network header */
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

#endif
