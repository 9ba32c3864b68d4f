/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* How long watched threads wait for a CPU: from runnable (woken, or preempted while running) to running. */
#ifndef VDIAG_SCHED_H
#define VDIAG_SCHED_H

#include "emit.h"

#define VD_MAX_WATCHED 1024

struct vd_watch {
	__u64 since; /* ns, when it became runnable; 0: it runs or sleeps */
	__u32 preempted;
	__u32 pad;
};

/* Keyed by thread id. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VD_MAX_WATCHED);
	__type(key, __u32);
	__type(value, struct vd_watch);
} watched SEC(".maps");

static __always_inline void vd_watch_current(const struct vd_config *config_now)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct vd_watch watch = {};

	if (config_now->want & VD_AUTO_WATCH && tid)
		bpf_map_update_elem(&watched, &tid, &watch, BPF_NOEXIST);
}

static __always_inline struct vd_watch *vd_find_watch(const struct task_struct *task, __u32 *tid)
{
	*tid = BPF_CORE_READ(task, pid);
	return *tid ? bpf_map_lookup_elem(&watched, tid) : NULL;
}

static __always_inline bool vd_still_runnable(const struct task_struct *task)
{
	const struct task_struct___state *old = (const void *)task;

	if (bpf_core_field_exists(task->__state))
		return BPF_CORE_READ(task, __state) == 0;
	return BPF_CORE_READ(old, state) == 0;
}

static __always_inline void vd_emit_sched(struct vd_hit *hit, const struct task_struct *task, __u32 tid,
					  const struct vd_watch *watch)
{
	struct vd_sched *sched = vd_reserve(hit, sizeof(*sched));

	if (!sched)
		return;
	hit->a = watch->preempted;
	vd_fill_hop(&sched->hop, hit, VD_KIND_SCHED);
	sched->hop.skb = (__u64)task;
	sched->hop.pid = BPF_CORE_READ(task, tgid);
	sched->hop.tid = tid;
	sched->wait = sched->hop.ts - watch->since;
	__builtin_memset(sched->comm, 0, sizeof(sched->comm));
	bpf_probe_read_kernel_str(sched->comm, sizeof(sched->comm), &task->comm);
	vd_submit(hit, sched, sizeof(*sched));
}

static __always_inline int sched_hit(struct vd_hit *hit)
{
	const struct task_struct *task = (const void *)hit->object;
	const struct task_struct *previous = (const void *)hit->other;
	const struct task_struct *next = (const void *)hit->third;
	struct vd_watch *watch;
	__u32 tid;

	if (!vd_config_now())
		return 0;
	if (!(hit->options & VD_OPT_SWITCH)) {
		watch = task ? vd_find_watch(task, &tid) : NULL;
		if (watch && !watch->since) {
			watch->since = bpf_ktime_get_ns();
			watch->preempted = 0;
		}
		return 0;
	}
	watch = previous ? vd_find_watch(previous, &tid) : NULL;
	if (watch) {
		bool preempted = (__u8)hit->a || vd_still_runnable(previous);

		watch->since = preempted ? bpf_ktime_get_ns() : 0;
		watch->preempted = preempted;
	}
	watch = next ? vd_find_watch(next, &tid) : NULL;
	if (watch && watch->since) {
		vd_emit_sched(hit, next, tid, watch);
		watch->since = 0;
	}
	return 0;
}

#endif
