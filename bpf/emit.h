/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Records on their way to user space: into the ring, or, in the legacy flavour, through a work space into the buffer of
 * this CPU's perf event. Nobody is woken: user space reads on a timer, because wakeups slow the traffic that is watched.
 */
#ifndef VDIAG_EMIT_H
#define VDIAG_EMIT_H

#include "track.h"

#ifndef VDIAG_LEGACY

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

static __noinline int vd_count_record(const struct vd_hit *hit)
{
	vd_count_hit(hit->probe);
	return 0;
}

static __noinline int vd_count_lost(const struct vd_hit *hit)
{
	vd_count_loss_of(VD_LOSS_RING_FULL, hit->probe);
	return 0;
}

/*
 * Room for a record of the hit, to be filled wholly and handed over with vd_submit; NULL: it is lost, and counted. Inline:
 * the verifier of 6.1 does not remember, when a subprogram returns, that it has looked whether there is room.
 */
static __always_inline void *vd_reserve(const struct vd_hit *hit, __u64 size)
{
	void *record;

	vd_count_record(hit);
	record = bpf_ringbuf_reserve(&events, size, 0);
	if (!record) {
		vd_count_lost(hit);
		return NULL;
	}
	return record;
}

static __always_inline void vd_submit(const struct vd_hit *hit, void *record, __u64 size)
{
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

#else

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

/* A record is put together here: perf copies it. */
struct vd_draft {
	union vd_record record;
	__u64 busy;
};

/* One for each context that can interrupt another on a CPU, as the views (view.h). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VD_VIEWS);
	__type(key, __u32);
	__type(value, struct vd_draft);
} drafts SEC(".maps");

static __noinline void *vd_reserve(const struct vd_hit *hit, __u64 size)
{
	vd_count_hit(hit->probe);
	return VD_CLAIM(drafts, struct vd_draft, hit->probe);
}

/* Kernels before 5.1 do not say that the buffer is full: there only the reader learns it (PERF_RECORD_LOST). */
static __always_inline void vd_submit(const struct vd_hit *hit, void *record, __u64 size)
{
	struct vd_draft *draft = record;

	if (bpf_perf_event_output(hit->ctx, &events, BPF_F_CURRENT_CPU, record, size))
		vd_count_loss_of(VD_LOSS_PERF_FULL, hit->probe);
	draft->busy = 0;
}

#endif

static __noinline int vd_fill_hop(struct vd_hop *hop, const struct vd_hit *hit, __u16 kind)
{
	const struct sk_buff *skb = (const struct sk_buff *)hit->skb;
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	hop->ts = bpf_ktime_get_ns();
	hop->path = hit->path;
	hop->skb = hit->skb;
	hop->aux = hit->aux;
	hop->ret = hit->ret;
	hop->probe = hit->probe;
	hop->kind = kind;
	hop->flags = hit->flags;
	hop->cpu = bpf_get_smp_processor_id();
	hop->pid = pid_tgid >> 32;
	hop->tid = pid_tgid;
	hop->len = hit->len;
	hop->queue = 0;
	if (kind == VD_KIND_HOP || kind == VD_KIND_PACKET || kind == VD_KIND_VERDICT)
		hop->queue = BPF_CORE_READ(skb, queue_mapping);
	hop->ifindex = hit->ifindex;
	hop->netns = hit->netns;
	hop->mark = hit->mark;
	hop->a = hit->a;
	hop->b = hit->b;
	hop->c = hit->c;
	hop->d = hit->d;
	__builtin_memset(hop->dev, 0, sizeof(hop->dev));
	if (hit->device)
		bpf_probe_read_kernel_str(hop->dev, sizeof(hop->dev), &hit->device->name);
	else if (hit->options & VD_OPT_DEVICE_NAME)
		bpf_probe_read_kernel_str(hop->dev, sizeof(hop->dev), (const void *)hit->object);
	return 0;
}

static __noinline int vd_emit_hop(const struct vd_hit *hit)
{
	struct vd_hop *hop = vd_reserve(hit, sizeof(*hop));

	if (!hop)
		return 0;
	vd_fill_hop(hop, hit, VD_KIND_HOP);
	vd_submit(hit, hop, sizeof(*hop));
	return 0;
}

/* VLAN id of the skb: of its accelerated tag, else of one in the data. */
static __always_inline __u16 vd_vlan(const struct sk_buff *skb, const struct vd_walk *walk)
{
	const struct sk_buff___vlan_all *with_all = (const void *)skb;
	const struct sk_buff___vlan_present *with_present = (const void *)skb;
	__u16 tci = BPF_CORE_READ(skb, vlan_tci);
	bool present;

	if (bpf_core_field_exists(with_all->vlan_all))
		present = BPF_CORE_READ(with_all, vlan_all) != 0;
	else if (bpf_core_field_exists(with_present->vlan_present))
		present = BPF_CORE_READ_BITFIELD_PROBED(with_present, vlan_present);
	else
		present = tci & 0x1000;
	return present ? tci & 0xfff : walk->vlan;
}

/* Copied by one read, not word by word: the two headers of a view stand as in the record. */
static __always_inline void vd_fill_headers(struct vd_packet *packet, const struct vd_hit *hit, const struct vd_view *view)
{
	const struct vd_walk *walk = &view->walk;

	bpf_probe_read_kernel(&packet->outer, sizeof(packet->outer) + sizeof(packet->inner), &view->outer);
	packet->vlan = vd_vlan((const struct sk_buff *)hit->skb, walk);
	__builtin_memset(packet->dmac, 0, sizeof(packet->dmac));
	__builtin_memset(packet->smac, 0, sizeof(packet->smac));
	if (walk->mac != VD_NO_HEADER) {
		bpf_probe_read_kernel(packet->dmac, sizeof(packet->dmac), walk->head + walk->mac);
		bpf_probe_read_kernel(packet->smac, sizeof(packet->smac), walk->head + walk->mac + 6);
	}
}

static __always_inline void vd_emit_packet(const struct vd_hit *hit, struct vd_view *view)
{
	const struct sk_buff *skb = (const struct sk_buff *)hit->skb;
	const struct skb_shared_info *shared;
	struct vd_packet *packet = vd_reserve(hit, sizeof(*packet));

	if (!packet)
		return;
	vd_fill_hop(&packet->hop, hit, VD_KIND_PACKET);
	vd_fill_headers(packet, hit, view);
	shared = (const void *)(BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, end));
	packet->gso_size = BPF_CORE_READ(shared, gso_size);
	packet->gso_segs = BPF_CORE_READ(shared, gso_segs);
	packet->pkt_type = BPF_CORE_READ_BITFIELD_PROBED(skb, pkt_type);
	packet->ip_summed = BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed);
	packet->pad = 0;
	vd_submit(hit, packet, sizeof(*packet));
}

#endif
