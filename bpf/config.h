/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What user space asks of the kernel side: one struct vd_config in an array map. src/bpf/filter.ts writes it. */
#ifndef VDIAG_CONFIG_H
#define VDIAG_CONFIG_H

#include "template.h"
#include "wire.h"

#define VD_MAX_DEVICES 16
#define VD_MAX_NAMESPACES 16
#define VD_MAX_PROBES 4096

/* `proto` of a filter that wants ARP: beyond the IP protocols. */
#define VD_PROTO_ARP 0x100

enum vd_want {
	VD_WANT_SRC = 1 << 0,
	VD_WANT_DST = 1 << 1,
	VD_WANT_PORT = 1 << 2,
	VD_WANT_PROTO = 1 << 3,
	VD_WANT_NETNS = 1 << 4,
	VD_WANT_IFINDEX = 1 << 5,
	VD_WANT_MARK = 1 << 6,
	VD_WANT_PID = 1 << 7,
	VD_AUTO_WATCH = 1 << 8, /* watch the threads that copy matching packets out */
	VD_STOP = 1 << 9,       /* be quiet: user space is detaching */
	VD_WANT_INNER = 1 << 10, /* addresses, ports and protocol are those inside a tunnel */
};

/* Losses, by cause: slots of the `losses` map. */
enum vd_loss {
	VD_LOSS_RING_FULL = 0,
	VD_LOSS_PATHS_FORGOTTEN = 1,
	VD_LOSS_PARSE_FAILURES = 2,
	VD_LOSS_MISSED_RETURNS = 3,
	VD_LOSS_NO_WORK_SPACE = 4,    /* every work space of this CPU was in use: the hit was not looked at */
	VD_LOSS_COPIES_FORGOTTEN = 5, /* no room to remember how a packet can be known again */
	VD_LOSS_PERF_FULL = 6,        /* legacy flavour: the CPU's perf buffer was full, or could not be written */
	VD_LOSSES = 7,
};

struct vd_described {
	union vd_record record;
	enum vd_kind kind;
	enum vd_flag flag;
	enum vd_want want;
	enum vd_loss loss;
	enum vd_option option;
	enum vd_constant constant;
};

struct vd_prefix {
	__u32 addr[4]; /* (be) already masked */
	__u32 mask[4];
	__u32 version; /* 4 or 6 */
};

struct vd_config {
	__u32 want; /* enum vd_want */
	__u32 proto;
	__u32 port; /* (be) in the low 16 bits */
	__u32 mark;
	__u32 mark_mask;
	__u32 pid;
	struct vd_prefix src;
	struct vd_prefix dst;
	/* Takes no room: puts these types into the object's BTF, for scripts/generate-wire.ts. */
	struct vd_described types[0];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vd_config);
} config SEC(".maps");

/* Interface indices of the filter, when it has any. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VD_MAX_DEVICES);
	__type(key, __u32);
	__type(value, __u32);
} wanted_devices SEC(".maps");

/* Inode numbers of the filter's network namespaces, when it has any. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VD_MAX_NAMESPACES);
	__type(key, __u32);
	__type(value, __u32);
} wanted_namespaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VD_LOSSES);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VD_MAX_PROBES);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

/* Of each probe, what it should have told and could not, whatever the cause. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VD_MAX_PROBES);
	__type(key, __u32);
	__type(value, __u64);
} misses SEC(".maps");

static __always_inline const struct vd_config *vd_config_now(void)
{
	__u32 zero = 0;
	const struct vd_config *config_now = bpf_map_lookup_elem(&config, &zero);

	return config_now && !(config_now->want & VD_STOP) ? config_now : NULL;
}

static __always_inline void vd_count_loss(__u32 cause)
{
	__u64 *count = bpf_map_lookup_elem(&losses, &cause);

	if (count)
		(*count)++;
}

/* The same where it is known whose event is lost by it. */
static __always_inline void vd_count_loss_of(__u32 cause, __u32 probe)
{
	__u64 *count = bpf_map_lookup_elem(&misses, &probe);

	if (count)
		(*count)++;
	vd_count_loss(cause);
}

static __always_inline void vd_count_hit(__u32 probe)
{
	__u64 *count = bpf_map_lookup_elem(&hits, &probe);

	if (count)
		(*count)++;
}

#endif
