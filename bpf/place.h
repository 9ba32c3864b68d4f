/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where a hit happens: device, namespace, mark; and what a socket tells of its packets. */
#ifndef VDIAG_PLACE_H
#define VDIAG_PLACE_H

#include "filter.h"
#include "hit.h"

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

#endif
