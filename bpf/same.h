/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What is remembered of the packets under way, and whether an skb that reads differently still is the same packet. */
#ifndef VDIAG_SAME_H
#define VDIAG_SAME_H

#include "view.h"

#define VD_MAX_PATHS 32768
#define VD_MAX_KNOWN 8192
/* ns after which the same identity is taken for a coincidence (16-bit counters come round). */
#define VD_KNOWN_FOR 1000000000ULL
/* ns within which a packet that was seen last must read as another for IPsec to be the cause. */
#define VD_SEALING_TAKES 50000000ULL

struct vd_track {
	__u64 path;
	__u64 ts;    /* when it was last seen */
	__u32 outer; /* vd_found.identity of the outer and of the inner header */
	__u32 inner;
	__u32 addresses; /* vd_view.addresses, and of the inner header */
	__u32 inner_addresses;
	__u32 other; /* vd_found.other_identity */
	__u32 hosts;
	__u32 first_probe;
	__u32 first_ifindex;
	__u32 netns; /* where it was last seen */
	__u8 first_ttl;
	__u8 strength;
	__u8 traits; /* enum vd_trait */
	__u8 merged; /* into another packet (GRO): its skb's end is no end of a packet */
};

/*
 * Packets by what identifies them: a copy that no probe saw being made (for a raw socket, for another bridge port) is
 * known again by it.
 */
struct vd_known {
	__u64 path;
	__u64 skb;
	__u64 ts;
};

/* The last packet whose life ended on this CPU: an exit probe of the function that freed it comes just after. */
struct vd_freed {
	__u64 skb;
	struct vd_track track;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VD_MAX_PATHS);
	__type(key, __u64);
	__type(value, struct vd_track);
} paths SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VD_MAX_KNOWN);
	__type(key, __u64);
	__type(value, struct vd_known);
} known SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} path_numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vd_freed);
} last_freed SEC(".maps");

/* Entries of `paths` so far made and taken out: what is missing beside them was pushed out by newer ones. */
enum vd_tally {
	VD_TRACKS_BEGUN = 0,
	VD_TRACKS_ENDED = 1,
	VD_TALLIES = 2,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VD_TALLIES);
	__type(key, __u32);
	__type(value, __u64);
} tallies SEC(".maps");

static __always_inline void vd_tally(__u32 which)
{
	__u64 *count = bpf_map_lookup_elem(&tallies, &which);

	if (count)
		(*count)++;
}

/*
 * Nothing new: the headers read as before, or there are none to read here, as in the midst of encapsulation. Without a
 * device either, it is the message of a local socket that has got the address.
 */
static __always_inline bool vd_reads_as_before(const struct vd_hit *hit, const struct vd_track *track,
					       const struct vd_view *view)
{
	if (!view->outer_identity)
		return !track->outer || hit->ifindex;
	if (view->outer_identity != track->outer || view->addresses != track->addresses)
		return false;
	/* Back where it began, and not by a loop: another packet that reads the same. */
	return track->strength != VD_WEAK || hit->probe != track->first_probe || hit->ifindex != track->first_ifindex ||
	       view->outer.ttl < track->first_ttl;
}

#define VD_NAT_DONE 0x30 /* enum ip_conntrack_status: IPS_SRC_NAT, IPS_DST_NAT */

/*
 * Whether somebody is there who may have changed the packet's addresses: a connection under NAT, or IPVS. Without, an
 * address that was used again for a packet with the same number would look like one that was rewritten.
 */
static __always_inline bool vd_may_be_rewritten(const struct vd_hit *hit)
{
	const struct sk_buff___nfct *tracked = (const void *)hit->skb;
	const struct sk_buff___ipvs *balanced = (const void *)hit->skb;
	const struct nf_conn *connection;

	if (bpf_core_field_exists(balanced->ipvs_property) && BPF_CORE_READ_BITFIELD_PROBED(balanced, ipvs_property))
		return true;
	if (!bpf_core_field_exists(tracked->_nfct))
		return false;
	connection = (const void *)(BPF_CORE_READ(tracked, _nfct) & ~7UL); /* below: enum ip_conntrack_info */
	if (!connection)
		return false;
	return !bpf_core_field_exists(connection->status) || BPF_CORE_READ(connection, status) & VD_NAT_DONE;
}

/* One layer of headers more or less than before, around the same packet. */
static __always_inline bool vd_is_same_inside(const struct vd_track *track, const struct vd_view *view)
{
	if (view->inner_identity &&
	    ((view->inner_identity == track->outer && view->inner_addresses == track->addresses) ||
	     (view->inner_identity == track->inner && view->inner_addresses == track->inner_addresses)))
		return true;
	return view->outer_identity == track->inner && view->addresses == track->inner_addresses;
}

/* A whole packet that was cut to this fragment, or fragments that were put together to this whole. */
static __always_inline bool vd_is_same_datagram(const struct vd_track *track, const struct vd_view *view)
{
	if (view->hosts != track->hosts || !((view->traits ^ track->traits) & VD_FRAGMENT))
		return false;
	if (view->other_identity == track->outer || (track->other && view->outer_identity == track->other))
		return true;
	/* IPv6 numbers only the fragments; a device would have handed over another packet. */
	return track->traits & VD_FRAGMENT && view->outer.version == 6 && !view->walk.received;
}

/* Whether the kernel has noted something on the skb, such as the security associations that it came through. */
static __always_inline bool vd_was_unsealed(const struct vd_hit *hit)
{
	const struct sk_buff___extensions *extended = (const void *)hit->skb;
	const struct sk_buff___sp *old = (const void *)hit->skb;

	if (bpf_core_field_exists(extended->active_extensions))
		return BPF_CORE_READ(extended, active_extensions) != 0;
	return bpf_core_field_exists(old->sp) && BPF_CORE_READ(old, sp);
}

/* IPsec: nothing that can be read is the same before and after, but the skb is, and it happens at once. */
static __always_inline bool vd_is_same_sealed(const struct vd_hit *hit, const struct vd_track *track,
					      const struct vd_view *view)
{
	if (bpf_ktime_get_ns() - track->ts > VD_SEALING_TAKES)
		return false;
	if (view->traits & VD_SEALED)
		return !view->walk.received;
	return track->traits & VD_SEALED && vd_was_unsealed(hit);
}

/* The headers read differently: whether it can still be the same packet. */
static __always_inline bool vd_is_same_packet(struct vd_hit *hit, const struct vd_track *track, const struct vd_view *view)
{
	if (!track->outer)
		return true; /* it had no IP header: a socket's packet */
	if (!view->outer_identity)
		return false;
	if (view->outer_identity == track->outer) {
		if (view->addresses == track->addresses || !(view->traits & VD_CERTAIN || vd_may_be_rewritten(hit)))
			return false;
		hit->flags |= VD_FLAG_REWRITTEN;
		return true;
	}
	if (vd_is_same_datagram(track, view))
		return true;
	if (!vd_is_same_inside(track, view) && !vd_is_same_sealed(hit, track, view))
		return false;
	hit->flags |= VD_FLAG_TUNNEL;
	return true;
}

#endif
