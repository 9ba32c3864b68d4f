/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Programs as templates. A template is loaded once; user space then takes its instructions and, for every probe, loads
 * them again with these constants replaced (src/bpf/template.ts). So a probe is data, and what does not concern it is
 * dead code that the verifier removes.
 */
#ifndef VDIAG_TEMPLATE_H
#define VDIAG_TEMPLATE_H

#include "kernel.h"

/* The constants, as they stand in the compiled templates: 0x7d1a0000 + the number here. */
enum vd_constant {
	VD_CONST_PROBE = 1,
	VD_CONST_OPTIONS = 2, /* enum vd_option */
	VD_CONST_IS_RETURN = 3, /* not a number: a call, see vd_is_return */
	/* Positions in the array of arguments; anything over 7: there is no such argument. Of a record: vd_field. */
	VD_CONST_SKB = 16,
	VD_CONST_SK = 17,
	VD_CONST_RET = 18,
	VD_CONST_AUX = 19,
	VD_CONST_A = 20,
	VD_CONST_B = 21,
	VD_CONST_C = 22,
	VD_CONST_D = 23,
	VD_CONST_OBJECT = 24, /* qdisc, table, chain, neighbour, task */
	VD_CONST_OTHER = 25,  /* netfilter state, previous task */
	VD_CONST_THIRD = 26,  /* nft_pktinfo, next task */
};

enum vd_option {
	VD_OPT_FREE = 1 << 0,     /* the skb's life ends here */
	VD_OPT_DROP = 1 << 1,     /* ... in a drop */
	VD_OPT_RETURN = 1 << 2,   /* RET is the function's return value */
	VD_OPT_NO_BEGIN = 1 << 3, /* only for packets that are followed already */
	VD_OPT_QDISC = 1 << 4,    /* OBJECT is a struct Qdisc */
	VD_OPT_DELIVER = 1 << 5,  /* the current thread takes the packet */
	VD_OPT_TABLE = 1 << 6,    /* OBJECT is a struct xt_table */
	VD_OPT_EBTABLE = 1 << 7,  /* OBJECT is a struct ebt_table */
	VD_OPT_CHAIN = 1 << 8,    /* OBJECT is a struct nft_chain, THIRD a struct nft_pktinfo */
	VD_OPT_HOOK_SLOW = 1 << 9, /* the return value is that of nf_hook_slow */
	VD_OPT_SWITCH = 1 << 10,  /* sched_switch rather than a wakeup */
	VD_OPT_GONE = 1 << 14,    /* the skb may be gone already: its headers are not read, nor is it followed anew */
	VD_OPT_RECALL = 1 << 12,  /* the packet may have ended on this CPU just before */
	VD_OPT_DEVICE = 1 << 13,  /* OBJECT is the struct net_device, C the length: the skb's own may be another's by now */
	VD_OPT_DEVICE_NAME = 1 << 15, /* with VD_OPT_DEVICE: OBJECT is where the device's name is, there is no more of it */
	VD_OPT_STATE = 1 << 16,       /* the probe does not tell the socket's old state: it is the one that it is in */
	VD_OPT_STATE_STAYS = 1 << 17, /* nor a new one: it stays the same */
	VD_OPT_REFERENCE = 1 << 18,   /* SKB is where the skb's address is (struct sk_buff **) */
	VD_OPT_COUNT = 1 << 19,       /* of a point: only counted */
	VD_OPT_FAILED = 1 << 20,      /* of a point: told only when RET is an error */
	VD_OPT_OF_NAPI = 1 << 21,     /* OBJECT is a struct napi_struct */
	VD_OPT_OF_SOCKET = 1 << 22,   /* OBJECT is a struct socket */
	VD_OPT_OF_NET = 1 << 23,      /* OBJECT is a struct net */
	VD_OPT_LIST = 1 << 24,        /* RET is the first skb of a list, all made of this one */
	VD_OPT_MERGE = 1 << 25,       /* the skb was merged into OBJECT, unless RET is an error */
	VD_OPT_AWAY = 1 << 26,        /* the packet goes to a daemon, which may send it back in another skb */
	VD_OPT_BACK = 1 << 27,        /* the skb may be one that a daemon sent back */
	VD_OPT_INT_RETURN = 1 << 11, /* RET is an int: the upper half of the register means nothing */
};

#define VD_CONSTANT(number)                                                        \
	({                                                                         \
		__u64 value;                                                       \
		asm volatile("%0 = %1" : "=r"(value) : "i"(0x7d1a0000 + (number))); \
		value;                                                             \
	})

/*
 * In a kprobe session: whether the program is called for a function's return. User space puts the call of the kernel's
 * bpf_session_is_return in the place of the constant, which in the object stands for "yes": libbpf 1.1 cannot bind a
 * function whose arguments differ between kernels (6.10: none, 7.0: the context, which r1 holds here).
 */
static __always_inline bool vd_is_return(void *ctx)
{
	__u64 value;

	asm volatile("r1 = %1\n"
		     "r0 = %2\n"
		     "%0 = r0"
		     : "=r"(value)
		     : "r"(ctx), "i"(0x7d1a0000 + VD_CONST_IS_RETURN)
		     : "r0", "r1", "r2", "r3", "r4", "r5");
	return value & 0xff;
}

#endif
