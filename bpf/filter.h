/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Whether a packet or socket is what the user asked for. */
#ifndef VDIAG_FILTER_H
#define VDIAG_FILTER_H

#include "headers.h"

#define VD_WANT_HEADERS (VD_WANT_SRC | VD_WANT_DST | VD_WANT_PORT | VD_WANT_PROTO)

static __always_inline bool vd_in_prefix(const struct vd_prefix *prefix, const __u8 *address)
{
	const __u32 *word = (const __u32 *)address;

	return !(((word[0] & prefix->mask[0]) ^ prefix->addr[0]) | ((word[1] & prefix->mask[1]) ^ prefix->addr[1]) |
		 ((word[2] & prefix->mask[2]) ^ prefix->addr[2]) | ((word[3] & prefix->mask[3]) ^ prefix->addr[3]));
}

/* A listening socket has no peer, and often no address of its own: it may concern any. */
static __always_inline bool vd_any_address(const __u8 *address)
{
	const __u32 *word = (const __u32 *)address;

	return !(word[0] | word[1] | word[2] | word[3]);
}

static __noinline int vd_address_fits(const struct vd_prefix *prefix, const __u8 *address, int listening)
{
	return vd_in_prefix(prefix, address) || (listening && vd_any_address(address));
}

static __always_inline bool vd_addresses_match(const struct vd_config *config_now, const struct vd_headers *headers,
					       __u32 version, bool listening)
{
	const struct vd_prefix *src = &config_now->src;
	const struct vd_prefix *dst = &config_now->dst;

	if (config_now->want & VD_WANT_SRC) {
		if (src->version != version)
			return false;
		if (!(config_now->want & VD_WANT_DST))
			return vd_address_fits(src, headers->saddr, listening) ||
			       vd_address_fits(src, headers->daddr, listening);
		return (vd_address_fits(src, headers->saddr, listening) && vd_address_fits(dst, headers->daddr, listening)) ||
		       (vd_address_fits(dst, headers->saddr, listening) && vd_address_fits(src, headers->daddr, listening));
	}
	return dst->version == version && (vd_address_fits(dst, headers->saddr, listening) ||
					   vd_address_fits(dst, headers->daddr, listening));
}

/* Addresses, ports and protocol together, of one header. Ports are in network order, as in the header. */
static __noinline int vd_headers_match(const struct vd_config *config_now, const struct vd_headers *headers, int listening)
{
	__u32 want = config_now->want;
	__u32 version = headers->version;
	__u32 proto = headers->proto;

	if (headers->ethertype == bpf_htons(ETH_P_ARP)) {
		version = 4;
		proto = VD_PROTO_ARP;
	} else if (!version) {
		return 0;
	}
	if (want & VD_WANT_PROTO && config_now->proto != proto)
		return 0;
	if (want & VD_WANT_PORT) {
		if (proto == VD_PROTO_ARP || proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
			return 0;
		if (config_now->port != headers->sport && config_now->port != headers->dport)
			return 0;
	}
	return !(want & (VD_WANT_SRC | VD_WANT_DST)) || vd_addresses_match(config_now, headers, version, listening);
}

/* Where the packet is and who is at work. */
static __noinline int vd_place_matches(const struct vd_config *config_now, __u32 netns, __u32 ifindex, __u32 mark)
{
	__u32 want = config_now->want;

	if (want & VD_WANT_NETNS && !bpf_map_lookup_elem(&wanted_namespaces, &netns))
		return 0;
	if (want & VD_WANT_MARK && (mark & config_now->mark_mask) != config_now->mark)
		return 0;
	if (want & VD_WANT_PID && config_now->pid != bpf_get_current_pid_tgid() >> 32)
		return 0;
	return !(want & VD_WANT_IFINDEX) || bpf_map_lookup_elem(&wanted_devices, &ifindex);
}

#endif
