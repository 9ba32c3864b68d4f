/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* One skb becomes several, or several one: clones and copies, the segments of a large packet, packets merged by GRO. */
#ifndef VDIAG_LINEAGE_H
#define VDIAG_LINEAGE_H

#include "packet.h"

/*
 * Segments of one packet that are followed: BIG TCP has some 130. The verifier walks through each turn, so there a segment
 * is not looked at: it is known by what it reads first.
 */
#ifdef VDIAG_LEGACY
#define VD_MAX_SEGMENTS 48
#define VD_TURNS _Pragma("unroll")
#else
#define VD_MAX_SEGMENTS 160
#define VD_TURNS _Pragma("nounroll")
#endif

static __always_inline bool vd_is_pointer(__u64 value)
{
	return value >= 0x1000 && value <= -4096UL; /* beyond: an error's number */
}

static __noinline int vd_keep_child(__u64 child, const struct vd_track *track)
{
	bool known_address = bpf_map_lookup_elem(&paths, &child);

	if (bpf_map_update_elem(&paths, &child, track, BPF_ANY))
		vd_count_loss(VD_LOSS_PATHS_FORGOTTEN);
	else if (!known_address)
		vd_tally(VD_TRACKS_BEGUN);
	return 0;
}

/* What is known of the parent, even if it ended just now: some functions free what they replace. */
static __always_inline const struct vd_track *vd_track_of(__u64 skb)
{
	const struct vd_track *track = bpf_map_lookup_elem(&paths, &skb);
	__u32 zero = 0;
	const struct vd_freed *freed;

	if (track)
		return track;
	freed = bpf_map_lookup_elem(&last_freed, &zero);
	return freed && freed->skb == skb ? &freed->track : NULL;
}

/*
 * The child inherits the path of its parent. Not so when the parent has no IP header yet: a socket keeps that skb and
 * sends a clone each time it (re)transmits, and each of these is a packet of its own.
 */
static __always_inline void vd_inherit(struct vd_hit *hit, __u64 child)
{
	__u64 parent = hit->skb;
	const struct vd_track *track = vd_track_of(parent);
	struct vd_track copy;

	if (!track || !track->outer || !vd_is_pointer(child) || child == parent)
		return;
	copy = *track;
	copy.merged = 0;
	vd_keep_child(child, &copy);
	hit->aux = parent;
	hit->skb = child;
	hit->flags = VD_FLAG_CLONED;
	hit->path = copy.path;
	vd_emit_hop(hit);
}

/* One segment of a packet that is followed. Its headers are its own. Returns the next one. */
static __noinline __u64 vd_adopt(struct vd_hit *hit, __u64 skb)
{
	struct vd_track track = {};

	track.path = hit->path;
	track.ts = bpf_ktime_get_ns();
	track.netns = hit->netns;
	hit->skb = skb;
	hit->len = BPF_CORE_READ((const struct sk_buff *)skb, len);
	vd_keep_child(skb, &track);
	vd_emit_hop(hit);
	vd_forget_place(hit);
	return (__u64)BPF_CORE_READ((const struct sk_buff *)skb, next);
}

static __always_inline void vd_adopt_all(struct vd_hit *hit, __u64 child)
{
	__u64 parent = hit->skb;
	const struct vd_track *track = vd_track_of(parent);

	if (!track || !vd_is_pointer(child) || child == parent)
		return;
	hit->aux = parent;
	hit->flags = VD_FLAG_CLONED | VD_FLAG_SEGMENT;
	hit->path = track->path;
	VD_TURNS
	for (int i = 0; i < VD_MAX_SEGMENTS; i++) {
		if (vd_is_pointer(child))
			child = vd_adopt(hit, child);
	}
}

/* GRO: hit->skb was merged into hit->object, unless the function returned an error. */
static __always_inline void vd_merge(struct vd_hit *hit, __u64 ret)
{
	__u64 skb = hit->skb;
	struct vd_track *track = bpf_map_lookup_elem(&paths, &skb);

	if ((__s32)ret)
		return;
	if (track)
		track->merged = 1;
	hit->aux = hit->object;
	hit->flags = VD_FLAG_MERGED;
	vd_emit_hop(hit);
}

static __always_inline void vd_beget(struct vd_hit *hit, __u64 ret)
{
	if (hit->options & VD_OPT_MERGE)
		vd_merge(hit, ret);
	else if (hit->options & VD_OPT_LIST)
		vd_adopt_all(hit, ret);
	else
		vd_inherit(hit, ret);
}

static __always_inline int clone_hit(struct vd_hit *hit)
{
	__u64 ret = hit->ret;

	hit->ret = 0;
	hit->flags = 0;
	if (vd_follow_and_tell(hit, false))
		vd_beget(hit, ret);
	return 0;
}

static __always_inline bool clone_enter(struct vd_hit *hit, __u64 sp)
{
	return packet_enter(hit, sp);
}

static __always_inline int clone_leave(struct vd_hit *hit, __u64 sp)
{
	__u64 ret = hit->ret;

	hit->ret = 0;
	if (vd_config_now() && vd_resume(hit, sp))
		vd_beget(hit, ret);
	return 0;
}

#endif
