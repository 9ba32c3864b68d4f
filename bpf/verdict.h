/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Netfilter's decisions: which hook, table and chain, and what it said. */
#ifndef VDIAG_VERDICT_H
#define VDIAG_VERDICT_H

#include "packet.h"

#define NF_DROP 0
#define NF_ACCEPT 1
#define NF_STOLEN 2

static __always_inline const struct nf_hook_state *vd_nft_state(const struct nft_pktinfo *pkt)
{
	const struct nft_pktinfo___xt *old = (const void *)pkt;

	if (bpf_core_field_exists(pkt->state))
		return BPF_CORE_READ(pkt, state);
	if (bpf_core_field_exists(old->xt))
		return BPF_CORE_READ(old, xt.state);
	return NULL;
}

/* The kernel's structures of iptables, ebtables and nftables live in modules: absent ones must not be read. */
static __always_inline void vd_read_table(struct vd_verdict *verdict, __u32 options, __u64 object)
{
	const struct xt_table *table = (const void *)object;
	const struct ebt_table *ebtable = (const void *)object;
	const struct nft_chain *chain = (const void *)object;

	if (!object)
		return;
	if (options & VD_OPT_TABLE && bpf_core_type_exists(struct xt_table)) {
		bpf_probe_read_kernel_str(verdict->table, sizeof(verdict->table), &table->name);
	} else if (options & VD_OPT_EBTABLE && bpf_core_type_exists(struct ebt_table)) {
		bpf_probe_read_kernel_str(verdict->table, sizeof(verdict->table), &ebtable->name);
	} else if (options & VD_OPT_CHAIN && bpf_core_type_exists(struct nft_chain) &&
		   bpf_core_type_exists(struct nft_table)) {
		bpf_probe_read_kernel_str(verdict->chain, sizeof(verdict->chain), BPF_CORE_READ(chain, name));
		bpf_probe_read_kernel_str(verdict->table, sizeof(verdict->table), BPF_CORE_READ(chain, table, name));
	}
}

/*
 * What a return value says. nf_hook_slow (net/netfilter/core.c): 1 go on, 0 stolen or queued, negative errno dropped.
 * Others: the verdict in the low byte; a rule that frees what it drops (NF_DROP_REASON, in stable 6.1 too) says that the
 * packet was stolen, with an errno above.
 */
static __always_inline __s64 vd_verdict_of(__u64 options, __u32 ret)
{
	if (options & VD_OPT_HOOK_SLOW) {
		if ((__s32)ret < 0)
			return NF_DROP;
		return ret == 1 ? NF_ACCEPT : NF_STOLEN;
	}
	return (ret & 0xff) == NF_STOLEN && ret >> 16 ? NF_DROP : ret & 0xff;
}

static __always_inline void vd_emit_verdict(struct vd_hit *hit, __u64 ret)
{
	const struct nf_hook_state *state = (const struct nf_hook_state *)hit->other;
	struct vd_verdict *verdict = vd_reserve(hit, sizeof(*verdict));

	if (!verdict)
		return;
	hit->ret = vd_verdict_of(hit->options, ret);
	hit->flags = VD_FLAG_RETURN;
	vd_fill_hop(&verdict->hop, hit, VD_KIND_VERDICT);
	verdict->hook = 0;
	verdict->pf = 0;
	verdict->pad = 0;
	verdict->pad2 = 0;
	__builtin_memset(verdict->table, 0, sizeof(verdict->table));
	__builtin_memset(verdict->chain, 0, sizeof(verdict->chain));
	if (state) {
		verdict->hook = BPF_CORE_READ_BITFIELD_PROBED(state, hook);
		verdict->pf = BPF_CORE_READ_BITFIELD_PROBED(state, pf);
		if (!verdict->hop.netns)
			verdict->hop.netns = BPF_CORE_READ(state, net, ns.inum);
	}
	vd_read_table(verdict, hit->options, hit->object);
	vd_submit(hit, verdict, sizeof(*verdict));
}

/* nftables hands its skb and hook state over in a structure. */
static __always_inline void vd_unpack(struct vd_hit *hit)
{
	const struct nft_pktinfo *pkt = (const struct nft_pktinfo *)hit->third;

	if (pkt && hit->options & VD_OPT_CHAIN && bpf_core_type_exists(struct nft_pktinfo)) {
		hit->skb = (__u64)BPF_CORE_READ(pkt, skb);
		hit->other = (__u64)vd_nft_state(pkt);
	}
}

/* At the function's exit: what was stolen, or dropped and freed at once, is gone. Just dropped, it is the last one freed. */
static __always_inline int verdict_hit(struct vd_hit *hit)
{
	__u64 ret = hit->ret;
	__s64 verdict = vd_verdict_of(hit->options, ret);
	bool dropped = verdict == NF_DROP && (__u32)ret != NF_DROP;
	bool gone = dropped || verdict == NF_STOLEN;

	vd_forget(&ret, sizeof(ret));
	vd_unpack(hit);
	hit->ret = 0;
	hit->flags = 0;
	if (gone) {
		if (!vd_config_now() || !hit->skb || !vd_follow_gone(hit, dropped))
			return 0;
	} else if (!vd_follow_and_tell(hit, false)) {
		return 0;
	}
	vd_emit_verdict(hit, ret);
	return 0;
}

static __always_inline bool verdict_enter(struct vd_hit *hit, __u64 sp)
{
	vd_unpack(hit);
	return packet_enter(hit, sp);
}

static __always_inline int verdict_leave(struct vd_hit *hit, __u64 sp)
{
	__u64 ret = hit->ret;

	if (vd_config_now() && vd_resume(hit, sp))
		vd_emit_verdict(hit, ret);
	return 0;
}

#endif
