/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * One hit of a probe: the arguments that its template's constants name, and what is found out from them.
 *
 * What is needed in more than one place is a subprogram (__noinline), so that a program with its subprograms stays below
 * the 4096 instructions of kernels before 5.2.
 */
#ifndef VDIAG_HIT_H
#define VDIAG_HIT_H

#include "template.h"
#include "wire.h"

#define VD_ARGS 8

struct vd_hit {
	__u64 skb;
	__u64 sk;
	__u64 aux;
	__s64 ret;
	__u64 object;
	__u64 other;
	__u64 third;
	__u64 path;
	__u64 options; /* eight bytes, so that the verifier keeps track of its value and leaves out dead code */
	__u32 probe;
	__u32 flags;
	struct net_device *device;
	__u32 ifindex;
	__u32 netns;
	__u32 mark;
	__u32 len;
	__u32 a;
	__u32 b;
	__u32 c;
	__u32 d;
	void *ctx; /* the program's context: for the output of the legacy flavour */
	bool changed; /* the packet's headers are not (or no longer) known to user space */
};

/*
 * What is here stays the same, but the verifier forgets what each way to here has told it of it: the ways become one.
 */
static __always_inline void vd_forget(void *value, __u32 size)
{
	bpf_probe_read_kernel(value, size, value);
}

/* The same for where the hit happened: with and without a device, of a known namespace or not. */
static __always_inline void vd_forget_place(struct vd_hit *hit)
{
	vd_forget(&hit->device, sizeof(hit->device) + sizeof(hit->ifindex) + sizeof(hit->netns));
}

/* The verifier knows the position, so this is a read at a fixed place; the copy also makes a plain number of a typed pointer. */
static __noinline __u64 vd_argument(const __u64 *args, __u64 position)
{
	__u64 value = 0;

	if (position < VD_ARGS)
		bpf_probe_read_kernel(&value, sizeof(value), &args[position]);
	return value;
}

#define VD_ARG(args, NAME) vd_argument(args, VD_CONSTANT(VD_CONST_##NAME))

/* Where a classic tracepoint's record has a field: the offset, and the size << 16; no size: there is no such field. */
static __always_inline __u64 vd_field(const char *record, __u64 place)
{
	__u64 size = place >> 16;
	__u64 value = 0;

	if (size && size <= sizeof(value))
		bpf_probe_read_kernel(&value, size, record + (place & 0xffff));
	return value;
}

#define VD_FIELD(record, NAME) vd_field(record, VD_CONSTANT(VD_CONST_##NAME))

static __always_inline void vd_take_options(struct vd_hit *hit)
{
	if (hit->options & VD_OPT_INT_RETURN)
		hit->ret = (__s32)hit->ret;
	if (hit->options & VD_OPT_FREE)
		hit->flags |= VD_FLAG_FREED;
	if (hit->options & VD_OPT_DROP)
		hit->flags |= VD_FLAG_DROPPED;
	if (hit->options & VD_OPT_RETURN)
		hit->flags |= VD_FLAG_RETURN;
}

static __always_inline void vd_take_arguments(struct vd_hit *hit, const __u64 *args, __u32 probe)
{
	hit->probe = probe;
	hit->options = VD_CONSTANT(VD_CONST_OPTIONS);
	hit->skb = VD_ARG(args, SKB);
	if (hit->options & VD_OPT_REFERENCE)
		bpf_probe_read_kernel(&hit->skb, sizeof(hit->skb), (const void *)hit->skb);
	hit->sk = VD_ARG(args, SK);
	hit->aux = VD_ARG(args, AUX);
	hit->ret = VD_ARG(args, RET);
	hit->object = VD_ARG(args, OBJECT);
	hit->other = VD_ARG(args, OTHER);
	hit->third = VD_ARG(args, THIRD);
	hit->a = VD_ARG(args, A);
	hit->b = VD_ARG(args, B);
	hit->c = VD_ARG(args, C);
	hit->d = VD_ARG(args, D);
	vd_take_options(hit);
}

/* A record has pointers to skbs and sockets, and numbers; of a device it has the name, somewhere behind the fields. */
static __always_inline void vd_take_record(struct vd_hit *hit, const char *record, __u32 probe)
{
	hit->probe = probe;
	hit->options = VD_CONSTANT(VD_CONST_OPTIONS);
	hit->skb = VD_FIELD(record, SKB);
	hit->sk = VD_FIELD(record, SK);
	hit->aux = VD_FIELD(record, AUX);
	hit->ret = VD_FIELD(record, RET);
	hit->a = VD_FIELD(record, A);
	hit->b = VD_FIELD(record, B);
	hit->c = VD_FIELD(record, C);
	hit->d = VD_FIELD(record, D);
	if (hit->options & VD_OPT_DEVICE_NAME)
		hit->object = (__u64)record + (VD_FIELD(record, OBJECT) & 0xffff);
	vd_take_options(hit);
}

#endif
