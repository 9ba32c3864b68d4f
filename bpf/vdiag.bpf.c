// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The templates (template.h): for each family of programs, one for each way of getting at a function's arguments.
 *
 *   <family>_raw_<n>   the context is an array of n words: raw tracepoints; fentry; fexit, where the last is the return value
 *   <family>_record    the context is a classic tracepoint's record, whose fields the constants tell
 *   <family>_regs      kprobe: the registers at a function's entry
 *   <family>_multi     the same for many functions: kprobe.multi, or kprobes whose attach cookie is the probe's number
 *   <family>_enter_regs, <family>_leave_regs   kprobe and kretprobe of one function, joined by the stack pointer
 *   <family>_enter_multi, <family>_leave_multi   the same for many functions
 *   <family>_session_multi   both in one, for kprobe sessions: where the entry does not matter, the kernel skips the return
 *
 * Two objects are made of this: the modern one, and with VDIAG_LEGACY one for kernels before 5.8: instruction set v2, a
 * perf event array for the ring, and nothing that 4.19 does not have.
 *
 * The kernel refuses a raw tracepoint's program that looks beyond the tracepoint's arguments: hence one template a number.
 */
#include "lineage.h"
#include "packet.h"
#include "point.h"
#include "sched.h"
#include "socket.h"
#include "verdict.h"

#define VD_PROBE() ((__u32)VD_CONSTANT(VD_CONST_PROBE))

#define VD_RAW(family, n)                                             \
	SEC("raw_tp")                                                 \
	int family##_raw_##n(const __u64 *ctx)                        \
	{                                                             \
		struct vd_hit hit = { .ctx = (void *)ctx };           \
                                                                      \
		vd_take_words(&hit, ctx, n);                          \
		return family##_hit(&hit);                            \
	}

#define VD_RECORD(family)                                             \
	SEC("tracepoint")                                             \
	int family##_record(const char *ctx)                          \
	{                                                             \
		struct vd_hit hit = { .ctx = (void *)ctx };           \
                                                                      \
		vd_take_record(&hit, ctx, VD_PROBE());                \
		return family##_hit(&hit);                            \
	}

#define VD_REGS(family)                                               \
	SEC("kprobe")                                                 \
	int family##_regs(struct pt_regs *ctx)                        \
	{                                                             \
		struct vd_hit hit = { .ctx = (void *)ctx };           \
                                                                      \
		vd_take_registers(&hit, ctx, VD_PROBE());             \
		return family##_hit(&hit);                            \
	}

/* Kernels before 5.15 have neither kprobe.multi nor cookies. */
#ifdef VDIAG_LEGACY
#define VD_MULTI(family)
#define VD_MULTI_RETURN(family)
#else
#define VD_MULTI(family)                                              \
	SEC("kprobe")                                                 \
	int family##_multi(struct pt_regs *ctx)                       \
	{                                                             \
		struct vd_hit hit = { .ctx = (void *)ctx };           \
                                                                      \
		vd_take_registers(&hit, ctx, bpf_get_attach_cookie(ctx)); \
		return family##_hit(&hit);                            \
	}

#define VD_MULTI_RETURN(family)                                       \
	SEC("kprobe")                                                 \
	int family##_enter_multi(struct pt_regs *ctx)                 \
	{                                                             \
		struct vd_hit hit = { .ctx = (void *)ctx };           \
                                                                      \
		vd_take_registers(&hit, ctx, bpf_get_attach_cookie(ctx)); \
		family##_enter(&hit, VD_REG_SP(ctx));                 \
		return 0;                                             \
	}                                                             \
	SEC("kprobe")                                                 \
	int family##_leave_multi(struct pt_regs *ctx)                 \
	{                                                             \
		struct vd_hit hit = { .ctx = (void *)ctx };           \
                                                                      \
		vd_take_return(&hit, ctx, bpf_get_attach_cookie(ctx)); \
		return family##_leave(&hit, VD_REG_SP(ctx) - VD_RETURN_SP_SHIFT); \
	}                                                             \
	SEC("kprobe")                                                 \
	int family##_session_multi(struct pt_regs *ctx)               \
	{                                                             \
		struct vd_hit hit = { .ctx = (void *)ctx };           \
                                                                      \
		if (vd_is_return(ctx)) {                              \
			vd_take_return(&hit, ctx, bpf_get_attach_cookie(ctx)); \
			return family##_leave(&hit, VD_REG_SP(ctx) - VD_RETURN_SP_SHIFT); \
		}                                                     \
		vd_take_registers(&hit, ctx, bpf_get_attach_cookie(ctx)); \
		return !family##_enter(&hit, VD_REG_SP(ctx));         \
	}
#endif

#define VD_RETURN(family)                                             \
	SEC("kprobe")                                                 \
	int family##_enter_regs(struct pt_regs *ctx)                  \
	{                                                             \
		struct vd_hit hit = { .ctx = (void *)ctx };           \
                                                                      \
		vd_take_registers(&hit, ctx, VD_PROBE());             \
		family##_enter(&hit, VD_REG_SP(ctx));                 \
		return 0;                                             \
	}                                                             \
	SEC("kprobe")                                                 \
	int family##_leave_regs(struct pt_regs *ctx)                  \
	{                                                             \
		struct vd_hit hit = { .ctx = (void *)ctx };           \
                                                                      \
		vd_take_return(&hit, ctx, VD_PROBE());                          \
		return family##_leave(&hit, VD_REG_SP(ctx) - VD_RETURN_SP_SHIFT); \
	}

static __always_inline void vd_take_words(struct vd_hit *hit, const __u64 *ctx, int count)
{
	__u64 args[VD_ARGS] = {};

#pragma unroll
	for (int i = 0; i < count; i++)
		args[i] = ctx[i];
	vd_take_arguments(hit, args, VD_PROBE());
}

static __always_inline void vd_take_registers(struct vd_hit *hit, struct pt_regs *ctx, __u32 probe)
{
	__u64 args[VD_ARGS] = {
		VD_REG_ARG(ctx, 0), VD_REG_ARG(ctx, 1), VD_REG_ARG(ctx, 2),
		VD_REG_ARG(ctx, 3), VD_REG_ARG(ctx, 4), VD_REG_ARG(ctx, 5),
	};

	vd_take_arguments(hit, args, probe);
}

static __always_inline void vd_take_return(struct vd_hit *hit, struct pt_regs *ctx, __u32 probe)
{
	hit->probe = probe;
	hit->options = VD_CONSTANT(VD_CONST_OPTIONS);
	hit->ret = hit->options & VD_OPT_INT_RETURN ? (__s32)VD_REG_RET(ctx) : VD_REG_RET(ctx);
}

VD_RAW(packet, 1)
VD_RAW(packet, 2)
VD_RAW(packet, 3)
VD_RAW(packet, 4)
VD_RAW(packet, 5)
VD_RAW(packet, 6)
VD_RAW(packet, 7)
VD_RECORD(packet)
VD_REGS(packet)
VD_MULTI(packet)
VD_RETURN(packet)
VD_MULTI_RETURN(packet)

VD_RAW(clone, 2)
VD_RAW(clone, 3)
VD_RAW(clone, 4)
VD_RAW(clone, 5)
VD_RETURN(clone)
VD_MULTI_RETURN(clone)

VD_RAW(verdict, 2)
VD_RAW(verdict, 3)
VD_RAW(verdict, 4)
VD_RAW(verdict, 5)
VD_RETURN(verdict)
VD_MULTI_RETURN(verdict)

VD_RAW(socket, 1)
VD_RAW(socket, 2)
VD_RAW(socket, 3)
VD_RAW(socket, 4)
VD_RAW(socket, 5)
VD_RAW(socket, 6)
VD_RAW(socket, 7)
VD_RECORD(socket)
VD_REGS(socket)
VD_MULTI(socket)

VD_RAW(neigh, 1)
VD_RAW(neigh, 2)
VD_RAW(neigh, 3)
VD_RAW(neigh, 4)
VD_RAW(neigh, 5)
VD_RAW(neigh, 6)
VD_RAW(neigh, 7)
VD_REGS(neigh)
VD_MULTI(neigh)

VD_RAW(point, 1)
VD_RAW(point, 2)
VD_RAW(point, 3)
VD_RAW(point, 4)
VD_RAW(point, 5)
VD_RAW(point, 6)
VD_RAW(point, 7)
VD_RECORD(point)
VD_REGS(point)
VD_MULTI(point)
VD_RETURN(point)
VD_MULTI_RETURN(point)

VD_RAW(sched, 1)
VD_RAW(sched, 2)
VD_RAW(sched, 3)
VD_RAW(sched, 4)

char _license[] SEC("license") = "GPL";
