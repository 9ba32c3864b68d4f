/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Events of sockets and neighbours. */
#ifndef VDIAG_SOCKET_H
#define VDIAG_SOCKET_H

#include "packet.h"

static __always_inline bool vd_socket_wanted(const struct vd_config *config_now, const struct vd_hit *hit,
					     const struct vd_headers *headers, bool listening)
{
	if (!vd_place_matches(config_now, hit->netns, hit->ifindex, hit->mark))
		return false;
	return !(config_now->want & VD_WANT_HEADERS) || vd_headers_match(config_now, headers, listening);
}

static __always_inline void vd_fill_socket(struct vd_socket *record, const struct vd_hit *hit,
					   const struct vd_headers *headers, __u16 family)
{
	vd_fill_hop(&record->hop, hit, VD_KIND_SOCKET);
	__builtin_memcpy(record->saddr, headers->saddr, 16);
	__builtin_memcpy(record->daddr, headers->daddr, 16);
	record->sport = bpf_ntohs(headers->sport);
	record->dport = bpf_ntohs(headers->dport);
	record->family = family;
	record->protocol = headers->proto;
	record->rcvbuf = 0;
	record->rmem = 0;
	record->sndbuf = 0;
	record->wmem = 0;
	record->backlog = 0;
	record->backlog_max = 0;
}

static __always_inline int vd_socket_event(struct vd_hit *hit)
{
	const struct sock *sk = (const struct sock *)hit->sk;
	const struct vd_config *config_now = vd_config_now();
	struct vd_headers headers;
	struct vd_socket *record;
	struct vd_track *track;
	bool full, listening;
	__u64 skb = hit->skb;
	__u8 state;

	if (!config_now || !vd_socket_headers(sk, &headers))
		return 0;
	full = vd_is_full_socket(sk);
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	listening = state == TCP_LISTEN;
	if (headers.proto == IPPROTO_TCP && hit->options & VD_OPT_STATE)
		hit->a = state;
	if (headers.proto == IPPROTO_TCP && hit->options & VD_OPT_STATE_STAYS)
		hit->b = state;
	hit->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	hit->ifindex = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
	if (full)
		hit->mark = BPF_CORE_READ(sk, sk_mark);
	if (!vd_socket_wanted(config_now, hit, &headers, listening))
		return 0;
	hit->aux = skb;
	track = skb ? bpf_map_lookup_elem(&paths, &skb) : NULL;
	if (track)
		hit->path = track->path;
	hit->skb = (__u64)sk;
	record = vd_reserve(hit, sizeof(*record));
	if (!record)
		return 0;
	vd_fill_socket(record, hit, &headers, headers.version == 4 ? AF_INET : AF_INET6);
	if (full) {
		record->rcvbuf = BPF_CORE_READ(sk, sk_rcvbuf);
		record->rmem = BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter);
		record->sndbuf = BPF_CORE_READ(sk, sk_sndbuf);
		record->wmem = BPF_CORE_READ(sk, sk_wmem_queued);
		record->backlog = BPF_CORE_READ(sk, sk_ack_backlog);
		record->backlog_max = BPF_CORE_READ(sk, sk_max_ack_backlog);
	}
	vd_submit(hit, record, sizeof(*record));
	return 0;
}

/* tcp_send_reset has no socket when nobody listens: then it is the packet's event. */
static __always_inline int socket_hit(struct vd_hit *hit)
{
	return hit->sk ? vd_socket_event(hit) : packet_hit(hit);
}

static __always_inline int neigh_hit(struct vd_hit *hit)
{
	const struct vd_config *config_now = vd_config_now();
	const struct neighbour *neigh = (const struct neighbour *)hit->object;
	struct vd_headers headers = {};
	struct vd_socket *record;
	__u32 family;

	if (!config_now || !neigh)
		return 0;
	vd_find_device(hit, BPF_CORE_READ(neigh, dev));
	family = BPF_CORE_READ(neigh, tbl, family);
	if (family == AF_INET) {
		BPF_CORE_READ_INTO((__u32 *)headers.daddr, neigh, primary_key);
		headers.ethertype = bpf_htons(ETH_P_ARP);
	} else if (family == AF_INET6) {
		BPF_CORE_READ_INTO(&headers.daddr, neigh, primary_key);
		headers.version = 6;
		headers.proto = IPPROTO_ICMPV6;
	} else {
		return 0;
	}
	if (!vd_socket_wanted(config_now, hit, &headers, false))
		return 0;
	hit->skb = (__u64)neigh;
	hit->a = BPF_CORE_READ(neigh, nud_state);
	record = vd_reserve(hit, sizeof(*record));
	if (!record)
		return 0;
	headers.proto = 0;
	vd_fill_socket(record, hit, &headers, family);
	vd_submit(hit, record, sizeof(*record));
	return 0;
}

#endif
