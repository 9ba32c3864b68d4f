/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What one hit reads of its packet: the work space, the outer and the inner headers, and whether the packet is wanted. */
#ifndef VDIAG_VIEW_H
#define VDIAG_VIEW_H

#include "place.h"

/*
 * Work space of one hit: a packet's headers, as its record will have them, and what was learnt of each. It is in a map rather
 * than on the stack, which is too small, and because the verifier does not keep track of what a map holds: on the stack
 * every combination of headers that are there or not is another state to it, and a probe takes a second to load.
 */
struct vd_view {
	struct vd_walk walk;
	struct vd_headers outer;
	struct vd_headers inner; /* next to the outer one, as in a record; version 0: none was read */
	__u32 outer_identity;
	__u32 inner_identity;
	__u32 other_identity; /* struct vd_found, of the outer header */
	__u32 hosts;          /* vd_hosts_signature of the outer header */
	__u32 ported;         /* vd_address_signature of the outer header */
	__u32 addresses;      /* the same, but of a fragment its hosts */
	__u32 inner_addresses;
	__u32 strength;
	__u32 traits;
	__u32 wanted;
	__u32 busy;
	__u32 pad;
};

/* One for each context that can interrupt another on a CPU: task, soft and hard interrupt, NMI. */
#define VD_VIEWS 4

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VD_VIEWS);
	__type(key, __u32);
	__type(value, struct vd_view);
} views SEC(".maps");

/*
 * Takes a work space of the map, of VD_VIEWS, that no interrupted program of this CPU uses; counts it if there is none. An
 * interrupt between the look and the claim gives it back before we go on, so no atomic operation is needed (kernels before
 * 5.12 have none that returns the old value).
 */
#define VD_CLAIM(map, type, probe)                                             \
	({                                                                     \
		type *claimed = NULL;                                          \
                                                                               \
		_Pragma("unroll")                                              \
		for (__u32 i = 0; i < VD_VIEWS; i++) {                         \
			__u32 slot = i;                                        \
			type *space = bpf_map_lookup_elem(&(map), &slot);      \
                                                                               \
			if (space && !space->busy) {                           \
				space->busy = 1;                               \
				claimed = space;                               \
				break;                                         \
			}                                                      \
		}                                                              \
		if (!claimed)                                                  \
			vd_count_loss_of(VD_LOSS_NO_WORK_SPACE, probe);        \
		claimed;                                                       \
	})

static __noinline struct vd_view *vd_claim_view(__u32 probe)
{
	return VD_CLAIM(views, struct vd_view, probe);
}

static __always_inline void vd_release_view(struct vd_view *view)
{
	view->busy = 0;
}

static __always_inline void vd_read_outer(const struct vd_hit *hit, struct vd_view *view)
{
	vd_read_skb((const struct sk_buff *)hit->skb, &view->walk, &view->outer);
	view->outer_identity = view->walk.found.identity;
	view->inner_identity = 0;
	view->inner_addresses = 0;
	view->other_identity = view->walk.found.other_identity;
	view->strength = view->walk.found.strength;
	view->traits = view->walk.found.traits;
	view->hosts = vd_hosts_signature(&view->outer);
	view->ported = vd_mix(view->hosts, vd_ports(&view->outer));
	view->addresses = view->traits & VD_FRAGMENT ? view->hosts : view->ported;
}

/* Steps into the header inside the outer one, if there is one. */
static __always_inline bool vd_read_inner(struct vd_view *view)
{
	__u32 tunnel = view->walk.found.tunnel;
	__u32 tunnel_id = view->walk.found.tunnel_id;

	view->walk.offset = view->walk.found.inner;
	view->walk.ethertype = view->walk.found.inner ? view->walk.found.inner_ethertype : 0;
	vd_read_headers(&view->walk, &view->inner);
	if (!view->walk.found.identity)
		return false;
	if (view->inner.version) {
		view->inner.tunnel = tunnel;
		view->inner.tunnel_id = tunnel_id;
	}
	/* A header quoted by an ICMP error tells of another packet, it does not identify this one. */
	view->inner_identity = tunnel ? view->walk.found.identity : 0;
	view->inner_addresses = vd_mix(vd_hosts_signature(&view->inner), vd_ports(&view->inner));
	return true;
}

/* A packet that its socket has not given an IP header yet: what the socket says. */
static __always_inline bool vd_read_from_socket(const struct vd_hit *hit, struct vd_headers *out)
{
	const struct sk_buff *skb = (const struct sk_buff *)hit->skb;
	struct sock *sk = BPF_CORE_READ(skb, sk);

	return sk && vd_is_full_socket(sk) && vd_socket_headers(sk, out);
}

static __always_inline bool vd_headers_wanted(const struct vd_config *config_now, const struct vd_headers *headers)
{
	return !(config_now->want & VD_WANT_HEADERS) || vd_headers_match(config_now, headers, 0);
}

/*
 * Whether the user wants the packet: by its outer or its inner header, or with VD_WANT_INNER by the header inside a
 * tunnel alone. Reads the inner header too.
 */
static __always_inline void vd_judge(const struct vd_config *config_now, const struct vd_hit *hit, struct vd_view *view)
{
	bool has_inner = vd_read_inner(view);

	view->wanted = 0;
	if (!(config_now->want & VD_WANT_INNER))
		view->wanted = vd_headers_wanted(config_now, &view->outer);
	if (!view->wanted && has_inner && (!(config_now->want & VD_WANT_INNER) || view->inner_identity))
		view->wanted = vd_headers_wanted(config_now, &view->inner);
	/* Messages of netlink and local sockets are skbs too. */
	if (!view->outer_identity && !view->outer.version && !hit->ifindex)
		view->wanted = 0;
	if (view->wanted)
		view->wanted = vd_place_matches(config_now, hit->netns, hit->ifindex, hit->mark);
}

#endif
