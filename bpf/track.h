/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which packet an skb is. A packet gets its path's number when it is first seen and keeps it through NAT, tunnels,
 * bridges and namespaces, for as long as its skb lives; clones inherit it.
 *
 * The skb's address is the key, but addresses are used again at once, and not every end of a life can be seen. So each
 * hop reads the headers again: if neither what identifies the outer nor what identifies the inner header is still
 * the same, this is another packet.
 */
#ifndef VDIAG_TRACK_H
#define VDIAG_TRACK_H

#include "filter.h"
#include "hit.h"

#define VD_MAX_PATHS 32768
#define VD_MAX_KNOWN 8192
/* ns after which the same identity is taken for a coincidence (16-bit counters come round). */
#define VD_KNOWN_FOR 1000000000ULL

struct vd_track {
	__u64 path;
	__u32 outer; /* vd_found.identity of the outer and of the inner header */
	__u32 inner;
	__u32 addresses; /* vd_address_signature of the outer header */
	__u32 first_probe;
	__u32 first_ifindex;
	__u32 netns; /* where it was last seen */
	__u8 first_ttl;
	__u8 strength;
	__u16 pad;
	__u32 pad2;
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

/*
 * Work space of one hit: a packet's headers, one layer at a time, and what was learnt of each. It is in a map rather
 * than on the stack, which is too small, and because the verifier does not keep track of what a map holds: on the stack
 * every combination of headers that are there or not is another state to it, and a probe takes a second to load.
 */
struct vd_view {
	struct vd_walk walk;
	struct vd_headers headers;
	__u32 outer_identity;
	__u32 inner_identity;
	__u32 addresses; /* vd_address_signature of the outer header */
	__u32 strength;
	__u32 ttl;
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
 * Takes a work space that no interrupted program of this CPU uses. An interrupt between the look and the claim gives it
 * back before we go on, so no atomic operation is needed (kernels before 5.12 have none that returns the old value).
 */
static __noinline struct vd_view *vd_claim_view(__u32 probe)
{
#pragma unroll
	for (__u32 i = 0; i < VD_VIEWS; i++) {
		__u32 slot = i;
		struct vd_view *view = bpf_map_lookup_elem(&views, &slot);

		if (view && !view->busy) {
			view->busy = 1;
			return view;
		}
	}
	vd_count_loss_of(VD_LOSS_NO_WORK_SPACE, probe);
	return NULL;
}

static __always_inline void vd_release_view(struct vd_view *view)
{
	view->busy = 0;
}

/*
 * A number that no other path has: the CPU in the upper bits, a count of its own below. An interrupt between the two
 * steps could be given the same number; the kernels before 5.12 have no fetch-and-add for BPF.
 */
static __always_inline __u64 vd_new_path(void)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&path_numbers, &zero);

	if (!count)
		return 0;
	return ((__u64)bpf_get_smp_processor_id() + 1) << 40 | ++*count;
}

static __always_inline bool vd_is_full_socket(const struct sock *sk)
{
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);

	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

/* Addresses and ports of a socket in the order in which its own packets carry them. */
static __noinline int vd_socket_headers(const struct sock *sk, struct vd_headers *out)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	__u16 proto = IPPROTO_TCP;
	__u16 port = bpf_htons(BPF_CORE_READ(sk, __sk_common.skc_num));

	__builtin_memset(out, 0, sizeof(*out));
	if (family == AF_INET) {
		__u32 from = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		__u32 to = BPF_CORE_READ(sk, __sk_common.skc_daddr);

		__builtin_memcpy(out->saddr, &from, 4);
		__builtin_memcpy(out->daddr, &to, 4);
		out->version = 4;
		out->ethertype = bpf_htons(ETH_P_IP);
	} else if (family == AF_INET6 && bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
		BPF_CORE_READ_INTO(&out->saddr, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&out->daddr, sk, __sk_common.skc_v6_daddr);
		out->version = 6;
		out->ethertype = bpf_htons(ETH_P_IPV6);
	} else {
		return false;
	}
	if (vd_is_full_socket(sk)) {
		const struct inet_sock *inet = (const struct inet_sock *)sk;

		proto = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol);
		port = BPF_CORE_READ(inet, inet_sport); /* a socket that closes has lost skc_num already */
	}
	out->proto = proto;
	out->sport = port;
	out->dport = BPF_CORE_READ(sk, __sk_common.skc_dport);
	return true;
}

/*
 * Device and namespace of the hit. skb->dev shares its place with other things while the skb waits in a socket's queue
 * (dev_scratch, rb_node), so a device that does not look like one is none.
 */
static __noinline int vd_find_device(struct vd_hit *hit, struct net_device *device)
{
	__u32 ifindex;
	char first = 0;

	if ((__u64)device >> 48 != 0xffff)
		return 0;
	ifindex = BPF_CORE_READ(device, ifindex);
	BPF_CORE_READ_INTO(&first, device, name[0]);
	if (!ifindex || ifindex > 0xffffff || first <= ' ' || first > '~')
		return 0;
	hit->device = device;
	hit->ifindex = ifindex;
	hit->netns = BPF_CORE_READ(device, nd_net.net, ns.inum);
	return 0;
}

static __noinline int vd_find_place(struct vd_hit *hit)
{
	const struct sk_buff *skb = (const struct sk_buff *)hit->skb;
	struct sock *sk;

	hit->mark = BPF_CORE_READ(skb, mark);
	if (hit->options & VD_OPT_DEVICE) {
		hit->len = hit->c;
		hit->c = 0;
		if (!(hit->options & VD_OPT_DEVICE_NAME))
			vd_find_device(hit, (struct net_device *)hit->object);
		return 0;
	}
	hit->len = BPF_CORE_READ(skb, len);
	vd_find_device(hit, BPF_CORE_READ(skb, dev));
	if (hit->netns)
		return 0;
	sk = BPF_CORE_READ(skb, sk);
	if (sk)
		hit->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	return 0;
}

static __always_inline void vd_read_outer(const struct vd_hit *hit, struct vd_view *view)
{
	vd_read_skb((const struct sk_buff *)hit->skb, &view->walk, &view->headers);
	view->outer_identity = view->walk.found.identity;
	view->inner_identity = 0;
	view->strength = view->walk.found.strength;
	view->ttl = view->headers.ttl;
	view->addresses = vd_address_signature(&view->headers);
}

/* Steps into the header inside the one just read; from then on view->headers is that one. */
static __always_inline bool vd_read_inner(struct vd_view *view)
{
	__u32 tunnel = view->walk.found.tunnel;

	if (!view->walk.found.inner)
		return false;
	view->walk.offset = view->walk.found.inner;
	view->walk.ethertype = view->walk.found.inner_ethertype;
	vd_read_headers(&view->walk, &view->headers);
	if (!view->walk.found.identity)
		return false;
	/* A header quoted by an ICMP error tells of another packet, it does not identify this one. */
	view->inner_identity = tunnel ? view->walk.found.identity : 0;
	return true;
}

/* A packet that its socket has not given an IP header yet: what the socket says. */
static __always_inline bool vd_read_from_socket(const struct vd_hit *hit, struct vd_headers *out)
{
	const struct sk_buff *skb = (const struct sk_buff *)hit->skb;
	struct sock *sk = BPF_CORE_READ(skb, sk);

	return sk && vd_is_full_socket(sk) && vd_socket_headers(sk, out);
}

/* Whether the user wants the packet. Reads the inner header too: afterwards view->headers may be that one. */
static __always_inline void vd_judge(const struct vd_config *config_now, const struct vd_hit *hit, struct vd_view *view)
{
	bool by_headers = config_now->want & VD_WANT_HEADERS;
	bool has_inner;

	view->wanted = !by_headers || vd_headers_match(config_now, &view->headers, 0);
	has_inner = vd_read_inner(view);
	if (!view->wanted && has_inner)
		view->wanted = vd_headers_match(config_now, &view->headers, 0);
	/* Messages of netlink and local sockets are skbs too. */
	if (!view->outer_identity && !view->headers.version && !hit->ifindex)
		view->wanted = 0;
	if (view->wanted)
		view->wanted = vd_place_matches(config_now, hit->netns, hit->ifindex, hit->mark);
}

static __always_inline void vd_note(struct vd_track *track, const struct vd_hit *hit, const struct vd_view *view)
{
	track->outer = view->outer_identity;
	track->inner = view->inner_identity;
	track->addresses = view->addresses;
	track->strength = view->strength;
	track->netns = hit->netns;
}

static __always_inline __u64 vd_known_key(const struct vd_view *view)
{
	return (__u64)view->outer_identity << 32 | view->addresses;
}

static __noinline int vd_make_known(const struct vd_hit *hit, const struct vd_view *view)
{
	__u64 key = vd_known_key(view);
	struct vd_known value = { hit->path, hit->skb, bpf_ktime_get_ns() };

	if (view->strength == VD_UNIQUE && bpf_map_update_elem(&known, &key, &value, BPF_ANY))
		vd_count_loss(VD_LOSS_COPIES_FORGOTTEN);
	return 0;
}

/* Gives a newly seen skb its path: that of the packet it is a copy of, else a new one. */
static __always_inline void vd_give_path(struct vd_hit *hit, const struct vd_view *view)
{
	__u64 key = vd_known_key(view);
	struct vd_known *same = view->strength == VD_UNIQUE ? bpf_map_lookup_elem(&known, &key) : NULL;

	if (same && bpf_ktime_get_ns() - same->ts < VD_KNOWN_FOR) {
		hit->path = same->path;
		hit->flags |= VD_FLAG_CLONED;
		if (!(hit->options & VD_OPT_FREE))
			hit->aux = same->skb;
		return;
	}
	hit->path = vd_new_path();
	hit->flags |= VD_FLAG_BORN;
	vd_make_known(hit, view);
}

static __always_inline void vd_start_track(const struct vd_hit *hit, const struct vd_view *view)
{
	__u64 skb = hit->skb;
	struct vd_track track = {};

	vd_note(&track, hit, view);
	track.path = hit->path;
	track.first_probe = hit->probe;
	track.first_ifindex = hit->ifindex;
	track.first_ttl = view->ttl;
	if (bpf_map_update_elem(&paths, &skb, &track, BPF_ANY))
		vd_count_loss(VD_LOSS_PATHS_FORGOTTEN);
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
	       view->ttl < track->first_ttl;
}

/* The headers read differently: whether it can still be the same packet. */
static __always_inline bool vd_is_same_packet(struct vd_hit *hit, const struct vd_track *track, const struct vd_view *view)
{
	if (!track->outer)
		return true; /* it had no IP header: a socket's packet */
	if (!view->outer_identity)
		return false;
	if (view->outer_identity == track->outer) {
		if (view->addresses == track->addresses)
			return false;
		hit->flags |= VD_FLAG_REWRITTEN;
		return true;
	}
	if (view->inner_identity == track->outer || view->outer_identity == track->inner ||
	    (track->inner && view->inner_identity == track->inner)) {
		hit->flags |= VD_FLAG_TUNNEL;
		return true;
	}
	return false;
}

static __always_inline void vd_end(struct vd_hit *hit, const struct vd_track *track)
{
	__u64 skb = hit->skb;
	__u32 zero = 0;
	struct vd_freed *freed = bpf_map_lookup_elem(&last_freed, &zero);

	if (freed) {
		freed->skb = hit->skb;
		freed->track = *track;
	}
	bpf_map_delete_elem(&paths, &skb);
}

/* A packet that ended on this CPU just now, for the exit probe of the function that ended it. */
static __always_inline bool vd_recall_freed(struct vd_hit *hit)
{
	__u32 zero = 0;
	struct vd_freed *freed = bpf_map_lookup_elem(&last_freed, &zero);

	if (!freed || freed->skb != hit->skb)
		return false;
	hit->path = freed->track.path;
	hit->netns = hit->netns ?: freed->track.netns;
	return true;
}

/* The address was another packet's, that nobody followed: what was recalled of it no longer holds. */
static __always_inline void vd_forget_freed(const struct vd_hit *hit)
{
	__u32 zero = 0;
	struct vd_freed *freed = bpf_map_lookup_elem(&last_freed, &zero);

	if (freed && freed->skb == hit->skb)
		freed->skb = 0;
}

/* The hit is one of the packet that is followed; it may be its last. */
static __noinline int vd_go_on(struct vd_hit *hit, struct vd_track *track)
{
	hit->path = track->path;
	hit->netns = hit->netns ?: track->netns;
	track->netns = hit->netns;
	if (hit->options & VD_OPT_FREE)
		vd_end(hit, track);
	return 0;
}

/* For a hit after which the skb may be gone: which packet it is, or was until just now, without looking into it. */
static __always_inline bool vd_follow_gone(struct vd_hit *hit, bool recall)
{
	__u64 skb = hit->skb;
	struct vd_track *track = bpf_map_lookup_elem(&paths, &skb);

	if (!track && !recall)
		return false;
	vd_find_place(hit);
	if (!track)
		return vd_recall_freed(hit);
	vd_go_on(hit, track);
	return true;
}

/*
 * Finds out which packet hit->skb is, and whether it is wanted. On true hit->path is set; hit->changed says that user
 * space does not know the headers yet.
 */
static __always_inline bool vd_follow(const struct vd_config *config_now, struct vd_hit *hit, struct vd_view *view)
{
	__u64 skb = hit->skb;
	struct vd_track *track = bpf_map_lookup_elem(&paths, &skb);

	if (!track && hit->options & VD_OPT_FREE)
		vd_forget_freed(hit);
	if (!track && hit->options & VD_OPT_NO_BEGIN)
		return false;
	vd_find_place(hit);
	vd_read_outer(hit, view);
	if (track && vd_reads_as_before(hit, track, view)) {
		vd_go_on(hit, track);
		return true;
	}
	if (!view->outer_identity && !vd_read_from_socket(hit, &view->headers) && vd_is_unread(&view->walk))
		vd_count_loss(VD_LOSS_PARSE_FAILURES);
	vd_judge(config_now, hit, view);
	if (track) {
		if (vd_is_same_packet(hit, track, view)) {
			hit->changed = true;
			vd_go_on(hit, track);
			vd_note(track, hit, view);
			vd_make_known(hit, view);
			return true;
		}
		bpf_map_delete_elem(&paths, &skb);
		hit->flags |= VD_FLAG_REUSED;
		if (hit->options & VD_OPT_NO_BEGIN)
			return false;
	}
	hit->changed = true;
	if (!view->wanted) {
		vd_forget_freed(hit);
		return false;
	}
	vd_give_path(hit, view);
	if (!(hit->options & VD_OPT_FREE)) /* else it ends as it begins: nothing to remember */
		vd_start_track(hit, view);
	return true;
}

#endif
