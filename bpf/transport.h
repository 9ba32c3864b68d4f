/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What follows a network header: TCP, UDP, ICMP, IPsec, and tunnels, which lead to another network header. */
#ifndef VDIAG_TRANSPORT_H
#define VDIAG_TRANSPORT_H

#include "walk.h"

/* Inside an Ethernet frame at `offset`: where the network header is. */
static __always_inline void vd_inner_frame(struct vd_walk *walk, __u32 offset)
{
	__u16 tag[3]; /* ethertype; of a tagged frame also the tag and the next ethertype */

	if (!vd_read(walk, tag, sizeof(tag), offset + ETH_LEN - 2))
		return;
	walk->found.inner = offset + ETH_LEN;
	if (tag[0] == bpf_htons(ETH_P_8021Q) || tag[0] == bpf_htons(ETH_P_8021AD)) {
		walk->found.inner += VLAN_LEN;
		tag[0] = tag[2];
	}
	walk->found.inner_ethertype = bpf_ntohs(tag[0]);
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

/* A header of IPsec: what is behind it cannot be read, but its parameters and sequence number tell the packet. */
static __always_inline void vd_ipsec(struct vd_walk *walk, struct vd_headers *out, __u32 offset)
{
	__u32 sa[2]; /* security parameters index, sequence number */

	if (!vd_read(walk, sa, sizeof(sa), offset) || !sa[0]) /* without an index it is a message of IKE */
		return;
	out->ack = sa[0];
	out->seq = sa[1];
	walk->found.identity = vd_mix(vd_mix(3, sa[0]), sa[1]) | 1;
	walk->found.strength = VD_UNIQUE;
	walk->found.traits = VD_SEALED | VD_CERTAIN;
}

/* `length`: bytes of the transport header and what follows, by the network header. */
static __always_inline void vd_read_transport(struct vd_walk *walk, struct vd_headers *out, __u32 offset, __u32 length)
{
	__u32 id = out->version == 4 ? out->ip_id : 0; /* IPv6 numbers fragments, not packets */
	__u32 identity = vd_mix(vd_mix(0x5bd1e995, out->proto), id);
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
		walk->found.strength = id ? VD_UNIQUE : VD_STRONG;
		walk->found.identity = vd_mix(vd_mix(identity, tcp.seq), tcp.ack) | 1;
		walk->found.traits = VD_CERTAIN;
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
		if (!id) /* the length changes when datagrams are aggregated or cut up, but better than nothing */
			walk->found.identity = vd_mix(identity, start.word[2]) | 1;
		if (out->dport == bpf_htons(VD_PORT_ESP) || out->sport == bpf_htons(VD_PORT_ESP))
			vd_ipsec(walk, out, offset + sizeof(start));
		else
			vd_udp_tunnel(walk, bpf_ntohs(out->dport), offset + sizeof(start));
	} else if (out->proto == IPPROTO_ICMP || out->proto == IPPROTO_ICMPV6) {
		__u8 type = start.word[0] & 0xff;

		out->icmp_type = type;
		out->icmp_code = start.word[0] >> 8;
		out->sport = start.word[2];
		out->dport = start.word[3];
		out->payload = length - sizeof(start);
		walk->found.identity = vd_mix(vd_mix(identity, start.word[0]), out->dport) | 1;
		if (out->dport) { /* echo: counts up */
			walk->found.strength = VD_UNIQUE;
			walk->found.traits = id ? VD_CERTAIN : 0;
		}
		if (out->proto == IPPROTO_ICMP && (type == 3 || type == 4 || type == 5 || type == 11 || type == 12)) {
			walk->found.inner = offset + sizeof(start);
			walk->found.inner_ethertype = ETH_P_IP;
		} else if (out->proto == IPPROTO_ICMPV6 && type >= 1 && type <= 4) {
			walk->found.inner = offset + sizeof(start);
			walk->found.inner_ethertype = ETH_P_IPV6;
		}
	} else if (out->proto == IPPROTO_GRE) {
		vd_gre(walk, &start, offset);
	} else if (out->proto == IPPROTO_ESP) {
		vd_ipsec(walk, out, offset);
	} else if (out->proto == IPPROTO_AH) {
		vd_ipsec(walk, out, offset + 4);
	}
}

#endif
