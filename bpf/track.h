/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which packet an skb is. A packet gets its path's number when it is first seen and keeps it through NAT, tunnels,
 * IPsec, fragmentation, bridges and namespaces, for as long as its skb lives; clones, copies and segments inherit it.
 *
 * The skb's address is the key, but addresses are used again at once, and not every end of a life can be seen. So each
 * hop reads the headers again: if neither what identifies the outer nor what identifies the inner header is still
 * the same, and nothing explains the change (same.h), this is another packet.
 */
#ifndef VDIAG_TRACK_H
#define VDIAG_TRACK_H

#include "same.h"

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

static __always_inline void vd_note(struct vd_track *track, const struct vd_hit *hit, const struct vd_view *view)
{
	track->outer = view->outer_identity;
	track->inner = view->inner_identity;
	track->addresses = view->addresses;
	track->inner_addresses = view->inner_addresses;
	track->other = view->other_identity;
	track->hosts = view->hosts;
	track->strength = view->strength;
	track->traits = view->traits;
	track->netns = hit->netns;
}

static __always_inline __u64 vd_known_key(__u32 identity, __u32 addresses)
{
	return (__u64)identity << 32 | addresses;
}

/*
 * Makes a packet known again by what it reads: one that no other has, or, since it goes away, by what is not so rare.
 */
static __always_inline void vd_make_known(const struct vd_hit *hit, const struct vd_view *view)
{
	__u64 key = vd_known_key(view->outer_identity, view->addresses);
	struct vd_known value = { hit->path, hit->skb, bpf_ktime_get_ns() };

	if ((view->strength == VD_UNIQUE || hit->options & VD_OPT_AWAY) && bpf_map_update_elem(&known, &key, &value, BPF_ANY))
		vd_count_loss(VD_LOSS_COPIES_FORGOTTEN);
}

/*
 * The packet that a newly seen skb is a copy of, or a fragment of, or NULL. The first fragment is also looked for by
 * what the whole was known by, and so brings the others along.
 */
static __always_inline const struct vd_known *vd_find_known(const struct vd_hit *hit, const struct vd_view *view)
{
	__u64 key = vd_known_key(view->outer_identity, view->addresses);
	const struct vd_known *same = NULL;

	if (view->strength == VD_UNIQUE || hit->options & VD_OPT_BACK)
		same = bpf_map_lookup_elem(&known, &key);
	if (!same && view->traits & VD_FRAGMENT && view->other_identity) {
		key = vd_known_key(view->other_identity, view->ported);
		same = bpf_map_lookup_elem(&known, &key);
	}
	return same && bpf_ktime_get_ns() - same->ts < VD_KNOWN_FOR ? same : NULL;
}

/* Gives a newly seen skb its path: that of the packet it is a copy or fragment of, else a new one. */
static __always_inline void vd_give_path(struct vd_hit *hit, const struct vd_view *view)
{
	const struct vd_known *same = vd_find_known(hit, view);

	if (same) {
		hit->path = same->path;
		hit->flags |= VD_FLAG_CLONED;
		if (!(hit->options & VD_OPT_FREE))
			hit->aux = same->skb;
		if (!(view->traits & VD_FRAGMENT))
			return;
	} else {
		hit->path = vd_new_path();
		hit->flags |= VD_FLAG_BORN;
	}
	vd_make_known(hit, view);
}

static __always_inline void vd_drop_track(__u64 skb)
{
	if (!bpf_map_delete_elem(&paths, &skb))
		vd_tally(VD_TRACKS_ENDED);
}

static __always_inline void vd_start_track(const struct vd_hit *hit, const struct vd_view *view)
{
	__u64 skb = hit->skb;
	struct vd_track track = {};

	vd_note(&track, hit, view);
	track.path = hit->path;
	track.first_probe = hit->probe;
	track.first_ifindex = hit->ifindex;
	track.first_ttl = view->outer.ttl;
	track.ts = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&paths, &skb, &track, BPF_ANY))
		vd_count_loss(VD_LOSS_PATHS_FORGOTTEN);
	else
		vd_tally(VD_TRACKS_BEGUN);
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
	vd_drop_track(skb);
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
	track->ts = bpf_ktime_get_ns();
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

	if (hit->options & VD_OPT_NO_BEGIN && !track) {
		if (hit->options & VD_OPT_FREE)
			vd_forget_freed(hit);
		return false;
	}
	/* Whether there is a track is not asked before it matters: each answer is another way for the verifier to walk. */
	vd_find_place(hit);
	vd_forget_place(hit);
	vd_read_outer(hit, view);
	if (!track && hit->options & VD_OPT_FREE)
		vd_forget_freed(hit);
	if (track && vd_reads_as_before(hit, track, view)) {
		bool told = !(track->merged && hit->options & VD_OPT_FREE);

		vd_go_on(hit, track);
		return told;
	}
	if (!view->outer_identity && !vd_read_from_socket(hit, &view->outer) && vd_is_unread(&view->walk))
		vd_count_loss(VD_LOSS_PARSE_FAILURES);
	vd_judge(config_now, hit, view);
	track = bpf_map_lookup_elem(&paths, &skb); /* Again, so that up to here it is one way with a track and without. */
	if (track) {
		if (vd_is_same_packet(hit, track, view)) {
			hit->changed = true;
			vd_go_on(hit, track);
			vd_note(track, hit, view);
			vd_make_known(hit, view);
			return true;
		}
		vd_drop_track(skb);
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
