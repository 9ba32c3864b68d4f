/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel's structures, as far as vdiag reads them. CO-RE finds each member's place in the running kernel's BTF, so
 * only names matter here, not order or size. A member that a kernel may lack is a flavour (struct x___why) and guarded
 * by bpf_core_field_exists; members of anonymous structures are written flat.
 */
#ifndef VDIAG_KERNEL_H
#define VDIAG_KERNEL_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <stdbool.h>

#define AF_INET 2
#define AF_INET6 10

#define TCP_TIME_WAIT 6
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12

/* Register layouts are ABI (arch/<arch>/include/uapi/asm/ptrace.h). */
#if defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};
#define VD_REG_ARG(ctx, n) ((ctx)->regs[n])
#define VD_REG_RET(ctx) ((ctx)->regs[0])
#define VD_REG_SP(ctx) ((ctx)->sp)
/* The stack pointer a return probe sees, less the one its entry saw. */
#define VD_RETURN_SP_SHIFT 0
#else
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define VD_REG_ARG_0 di
#define VD_REG_ARG_1 si
#define VD_REG_ARG_2 dx
#define VD_REG_ARG_3 cx
#define VD_REG_ARG_4 r8
#define VD_REG_ARG_5 r9
#define VD_REG_ARG(ctx, n) ((ctx)->VD_REG_ARG_##n)
#define VD_REG_RET(ctx) ((ctx)->ax)
#define VD_REG_SP(ctx) ((ctx)->sp)
#define VD_RETURN_SP_SHIFT 8
#endif

struct in6_addr {
	__u8 bytes[16];
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	char name[16];
	int ifindex;
	possible_net_t nd_net;
};

struct sock_common {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	int counter;
} refcount_t;

struct sock_backlog {
	atomic_t rmem_alloc;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol; /* a bitfield before 5.6: read as one */
	__u32 sk_mark;
	int sk_rcvbuf;
	int sk_sndbuf;
	int sk_wmem_queued;
	struct sock_backlog sk_backlog;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
};

struct inet_sock {
	__u16 inet_sport;
};

struct sk_buff {
	struct sk_buff *next;
	struct net_device *dev;
	struct sock *sk;
	unsigned int len;
	unsigned int data_len;
	__u16 queue_mapping;
	__u16 protocol;
	__u16 vlan_tci;
	__u16 network_header;
	__u16 mac_header;
	__u32 mark;
	unsigned char *head;
	unsigned char *data;
	unsigned int end;
	__u8 pkt_type : 3;
	__u8 ip_summed : 2;
};

/* vlan_present: 5.0 to 6.1; vlan_all: from 6.2; before, bit 12 of vlan_tci. */
struct sk_buff___vlan_present {
	__u8 vlan_present : 1;
};

struct sk_buff___vlan_all {
	__u32 vlan_all;
};

/* Present where the kernel is built with connection tracking, IPVS, and (from 5.0, and before) IPsec. */
struct sk_buff___nfct {
	unsigned long _nfct;
};

struct sk_buff___ipvs {
	__u8 ipvs_property : 1;
};

struct sk_buff___extensions {
	__u8 active_extensions;
};

struct sk_buff___sp {
	void *sp;
};

struct nf_conn {
	unsigned long status;
};

struct skb_shared_info {
	unsigned short gso_size;
	unsigned short gso_segs;
};

struct napi_struct {
	struct net_device *dev;
};

struct socket {
	struct sock *sk;
};

struct netdev_queue {
	struct net_device *dev;
};

struct qdisc_skb_head {
	__u32 qlen;
};

struct Qdisc {
	__u32 handle;
	__u32 parent;
	struct qdisc_skb_head q;
	struct netdev_queue *dev_queue;
};

struct nf_hook_state {
	__u8 hook; /* unsigned int before 5.13: read as a bitfield */
	__u8 pf;
	struct net *net;
};

struct xt_table {
	char name[32];
};

struct ebt_table {
	char name[32];
};

struct nft_table {
	char *name;
};

struct nft_chain {
	struct nft_table *table;
	char *name;
};

struct nft_pktinfo {
	struct sk_buff *skb;
	const struct nf_hook_state *state; /* from 5.13 */
};

struct xt_action_param {
	const struct nf_hook_state *state;
};

struct nft_pktinfo___xt {
	struct xt_action_param xt; /* before 5.13 */
};

struct neigh_table {
	int family;
	unsigned int key_len;
};

struct neighbour {
	struct neigh_table *tbl;
	struct net_device *dev;
	__u8 nud_state;
	__u8 primary_key[16];
};

struct task_struct {
	int pid;
	int tgid;
	char comm[16];
	unsigned int __state; /* from 5.14 */
};

struct task_struct___state {
	volatile long state; /* before 5.14 */
};

#pragma clang attribute pop

#endif
