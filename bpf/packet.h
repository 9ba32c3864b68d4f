/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A packet passes a probe: the generic hit, the end of a life, a queue, a consumer. */
#ifndef VDIAG_PACKET_H
#define VDIAG_PACKET_H

#include "emit.h"
#include "sched.h"

#define VD_MAX_ENTRIES 16384

/* What an entry probe leaves for its return probe. */
struct vd_entry_key {
	__u64 sp;
	__u64 probe;
};

struct vd_entry {
	__u64 skb;
	__u64 path;
	__u64 object;
	__u64 other;
	__u64 ts;
	struct net_device *device;
	__u32 ifindex;
	__u32 netns;
	__u32 len;
	__u32 mark;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VD_MAX_ENTRIES);
	__type(key, struct vd_entry_key);
	__type(value, struct vd_entry);
} entries SEC(".maps");

/* qdisc->q.qlen is zero for a queue without a lock, which counts per CPU. */
static __always_inline void vd_read_qdisc(struct vd_hit *hit, const struct Qdisc *qdisc)
{
	if (!qdisc)
		return;
	hit->a = BPF_CORE_READ(qdisc, handle);
	hit->b = BPF_CORE_READ(qdisc, parent);
	hit->c = BPF_CORE_READ(qdisc, q.qlen);
}

/*
 * Follows the hit's packet; if it is wanted and user space does not know its headers yet, tells them. With `whole` the
 * hit is told as well, in the same record where there is one.
 */
static __always_inline bool vd_follow_and_tell(struct vd_hit *hit, bool whole)
{
	const struct vd_config *config_now = vd_config_now();
	struct vd_view *view;
	bool followed;

	if (!config_now || !hit->skb)
		return false;
	if (hit->options & VD_OPT_GONE) {
		if (!vd_follow_gone(hit, hit->options & VD_OPT_RECALL))
			return false;
		if (whole)
			vd_emit_hop(hit);
		return true;
	}
	view = vd_claim_view(hit->probe);
	if (!view)
		return false;
	followed = vd_follow(config_now, hit, view);
	if (followed && whole && hit->options & VD_OPT_QDISC)
		vd_read_qdisc(hit, (const struct Qdisc *)hit->object);
	if (followed && hit->changed)
		vd_emit_packet(hit, view);
	if (followed && hit->options & VD_OPT_AWAY)
		vd_make_known(hit, view);
	vd_release_view(view);
	if (followed && whole && !hit->changed)
		vd_emit_hop(hit);
	if (followed && hit->options & VD_OPT_DELIVER)
		vd_watch_current(config_now);
	return followed;
}

static __always_inline int packet_hit(struct vd_hit *hit)
{
	vd_follow_and_tell(hit, true);
	return 0;
}

/* Leaves for the return probe what it needs. */
static __always_inline void vd_leave_entry(const struct vd_hit *hit, __u64 sp)
{
	struct vd_entry_key key = { sp, hit->probe };
	struct vd_entry entry = {};

	entry.skb = hit->skb;
	entry.path = hit->path;
	entry.object = hit->object;
	entry.other = hit->other;
	entry.ts = bpf_ktime_get_ns();
	entry.device = hit->device;
	entry.ifindex = hit->ifindex;
	entry.netns = hit->netns;
	entry.len = hit->len;
	entry.mark = hit->mark;
	if (bpf_map_update_elem(&entries, &key, &entry, BPF_ANY))
		vd_count_loss_of(VD_LOSS_MISSED_RETURNS, hit->probe);
}

/*
 * At a function's entry, where the skb still is alive. The return probe's record is the probe's event.
 * Whether the return matters.
 */
static __always_inline bool packet_enter(struct vd_hit *hit, __u64 sp)
{
	hit->flags = 0;
	if (!vd_follow_and_tell(hit, false))
		return false;
	vd_leave_entry(hit, sp);
	return true;
}

/* The return probe's half: everything but the return value is known from the entry. */
static __always_inline bool vd_resume(struct vd_hit *hit, __u64 sp)
{
	struct vd_entry_key key = { sp, hit->probe };
	struct vd_entry *entry = bpf_map_lookup_elem(&entries, &key);

	if (!entry)
		return false;
	hit->flags = VD_FLAG_RETURN;
	hit->skb = entry->skb;
	hit->path = entry->path;
	hit->object = entry->object;
	hit->other = entry->other;
	hit->device = entry->device;
	hit->ifindex = entry->ifindex;
	hit->netns = entry->netns;
	hit->len = entry->len;
	hit->mark = entry->mark;
	bpf_map_delete_elem(&entries, &key);
	return true;
}

static __always_inline int packet_leave(struct vd_hit *hit, __u64 sp)
{
	if (vd_config_now() && vd_resume(hit, sp))
		vd_emit_hop(hit);
	return 0;
}

#endif
