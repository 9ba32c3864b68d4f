/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Points that have no packet: virtual machines' exits, workers that are woken, interrupts, system calls, tables that are
 * full. Those passed often are only counted.
 */
#ifndef VDIAG_POINT_H
#define VDIAG_POINT_H

#include "packet.h"

/* Where it happened, as far as the point's object tells: the device, the network namespace. */
static __noinline int vd_place_point(struct vd_hit *hit)
{
	const struct napi_struct *napi = (const void *)hit->object;
	const struct Qdisc *qdisc = (const void *)hit->object;
	const struct socket *socket = (const void *)hit->object;
	const struct net *net = (const void *)hit->object;
	struct net_device *device = NULL;
	const struct sock *sk = (const struct sock *)hit->sk;

	if (hit->object) {
		if (hit->options & VD_OPT_DEVICE)
			device = (struct net_device *)hit->object;
		else if (hit->options & VD_OPT_QDISC)
			device = BPF_CORE_READ(qdisc, dev_queue, dev);
		else if (hit->options & VD_OPT_OF_NAPI && bpf_core_field_exists(napi->dev))
			device = BPF_CORE_READ(napi, dev);
		else if (hit->options & VD_OPT_OF_SOCKET && bpf_core_field_exists(socket->sk))
			sk = BPF_CORE_READ(socket, sk);
		else if (hit->options & VD_OPT_OF_NET)
			hit->netns = BPF_CORE_READ(net, ns.inum);
	}
	if (device)
		vd_find_device(hit, device);
	if (sk)
		hit->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	hit->skb = hit->object ? hit->object : hit->sk;
	return 0;
}

/* Of what the filter asks for, only what is known of the hit counts: it has no addresses, and often no device. */
static __always_inline bool vd_place_wanted(const struct vd_config *config_now, const struct vd_hit *hit)
{
	__u32 want = config_now->want;

	if (want & VD_WANT_NETNS && hit->netns && !bpf_map_lookup_elem(&wanted_namespaces, &hit->netns))
		return false;
	if (want & VD_WANT_IFINDEX && hit->ifindex && !bpf_map_lookup_elem(&wanted_devices, &hit->ifindex))
		return false;
	return !(want & VD_WANT_PID) || config_now->pid == bpf_get_current_pid_tgid() >> 32;
}

/* Error numbers and pointers that carry one (include/linux/err.h); of an int the register's upper half means nothing. */
static __always_inline bool vd_is_failure(__u64 ret)
{
	__u32 upper = ret >> 32;

	return (__u32)ret > -4096U && (!upper || upper == -1U);
}

static __always_inline void vd_emit_point(struct vd_hit *hit)
{
	struct vd_hop *hop;

	if (hit->options & VD_OPT_FAILED) {
		if (!vd_is_failure(hit->ret))
			return;
		hit->ret = (__s32)hit->ret;
	}
	if (hit->options & VD_OPT_COUNT) {
		vd_count_hit(hit->probe);
		return;
	}
	hop = vd_reserve(hit, sizeof(*hop));
	if (!hop)
		return;
	vd_fill_hop(hop, hit, VD_KIND_POINT);
	vd_submit(hit, hop, sizeof(*hop));
}

static __always_inline bool vd_point_wanted(struct vd_hit *hit)
{
	const struct vd_config *config_now = vd_config_now();

	if (!config_now)
		return false;
	vd_place_point(hit);
	return vd_place_wanted(config_now, hit);
}

static __always_inline int point_hit(struct vd_hit *hit)
{
	if (vd_point_wanted(hit))
		vd_emit_point(hit);
	return 0;
}

static __always_inline bool point_enter(struct vd_hit *hit, __u64 sp)
{
	hit->flags = 0;
	if (!vd_point_wanted(hit))
		return false;
	vd_leave_entry(hit, sp);
	return true;
}

static __always_inline int point_leave(struct vd_hit *hit, __u64 sp)
{
	if (vd_config_now() && vd_resume(hit, sp))
		vd_emit_point(hit);
	return 0;
}

#endif
