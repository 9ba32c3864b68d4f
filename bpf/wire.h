/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The wire record: what the kernel side hands to user space, once, for both.
 *
 * Every record starts with struct vd_hop. `kind` says which structure it is the head of.
 * src/events/wire.gen.ts is generated from this file's BTF in the compiled object (scripts/generate-wire.ts), and a
 * recording carries the layout it was written with, so neither can drift from the other.
 * Members are naturally aligned, without holes; numbers are in host order, addresses and ports in network order
 * are marked (be).
 */
#ifndef VDIAG_WIRE_H
#define VDIAG_WIRE_H

#define VD_WIRE_VERSION 1
#define VD_NAME_LEN 32

enum vd_kind {
	VD_KIND_HOP = 1,     /* an skb that is known already: struct vd_hop */
	VD_KIND_PACKET = 2,  /* an skb seen first, or with changed headers: struct vd_packet */
	VD_KIND_VERDICT = 3, /* a netfilter decision: struct vd_verdict */
	VD_KIND_SOCKET = 4,  /* a socket's or a neighbour's event, without an skb: struct vd_socket */
	VD_KIND_SCHED = 5,   /* a watched thread got a CPU after waiting for it: struct vd_sched */
	VD_KIND_POINT = 6,   /* a place without a packet was passed: struct vd_hop, `skb` is the object's address, path 0 */
};

enum vd_flag {
	VD_FLAG_FREED = 1 << 0,     /* this hop ends the skb's life */
	VD_FLAG_DROPPED = 1 << 1,   /* ... and it was a drop: `ret` is the kernel's drop reason (0: it has none) */
	VD_FLAG_RETURN = 1 << 2,    /* `ret` is the function's return value */
	VD_FLAG_BORN = 1 << 3,      /* first time this path is seen */
	VD_FLAG_CLONED = 1 << 4,    /* `aux` is the address of the skb that this one was cloned or copied from */
	VD_FLAG_REWRITTEN = 1 << 5, /* addresses or ports changed on the way (NAT) */
	VD_FLAG_TUNNEL = 1 << 6,    /* the outer headers changed: encapsulated or decapsulated */
	VD_FLAG_REUSED = 1 << 7,    /* the address belonged to another packet whose end was not seen */
	VD_FLAG_MERGED = 1 << 8,    /* GRO merged it into the packet of the skb at `aux`, and it goes on as part of that */
	VD_FLAG_SEGMENT = 1 << 9,   /* with CLONED: the skb carries a part of the packet, which was cut up (GSO) */
};

struct vd_hop {
	__u64 ts;    /* ns, CLOCK_MONOTONIC */
	__u64 path;  /* identity of the packet: given when first seen, inherited by clones and copies; 0: none */
	__u64 skb;   /* address of the skb (or of the sock, neighbour or task when the kind has no skb) */
	__u64 aux;   /* drops: code location; clones: parent skb; see the probe's catalogue entry otherwise */
	__s64 ret;   /* return value, drop reason, or the tracepoint's own result code */
	__u32 probe; /* index of the probe in the plan */
	__u16 kind;  /* enum vd_kind */
	__u16 flags; /* enum vd_flag */
	__u32 cpu;
	__u32 pid; /* process (tgid) on the CPU: meaningful only where the probe runs in process context */
	__u32 tid;
	__u32 len;     /* skb->len, bytes */
	__u32 ifindex; /* of skb->dev; 0: none */
	__u32 netns;   /* inode number of the device's (else the socket's) network namespace; 0: unknown */
	__u32 mark;
	__u32 queue; /* skb->queue_mapping */
	__u32 a;     /* probe's own: qdisc handle, icmp type, ... (catalogue `fields`) */
	__u32 b;
	__u32 c;
	__u32 d;
	char dev[16]; /* skb->dev->name */
};

struct vd_headers {
	__u8 saddr[16]; /* (be) IPv4 and ARP in the first four bytes */
	__u8 daddr[16];
	__u16 sport; /* (be) TCP, UDP; ICMP: id */
	__u16 dport; /* (be) TCP, UDP; ICMP: sequence */
	__u16 ip_id; /* (be) IPv4 identification; of an IPv6 fragment the lower half of its identification, else 0 */
	__u16 frag;  /* (be) IPv4 flags and fragment offset; IPv6: offset in the upper 13 bits, more follow in the lowest */
	__u32 seq;   /* (be) TCP; IPsec: its own */
	__u32 ack;   /* (be) TCP; IPsec: security parameters index */
	__u16 window; /* (be) TCP */
	__u16 payload; /* bytes after the transport header, by the IP header's length */
	__u16 ethertype; /* (be) of the network header: 0x0800, 0x86dd, 0x0806 */
	__u8 proto;   /* IP protocol; ARP: operation */
	__u8 version; /* 4, 6; 0: not IP */
	__u8 ttl;
	__u8 tos;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 tunnel; /* IP protocol or UDP kind of the tunnel that these headers travel in: 0 none, 1 VXLAN, 2 Geneve, 47 GRE, 4 IPIP */
	__u16 pad;
	__u32 tunnel_id; /* VNI */
};

struct vd_packet {
	struct vd_hop hop;
	struct vd_headers outer; /* what the skb's network header shows */
	struct vd_headers inner; /* inside a tunnel (tunnel != 0), or quoted by an ICMP error (tunnel 0); version 0: none */
	__u16 gso_size;
	__u16 gso_segs;
	__u8 ip_summed;
	__u8 pkt_type;
	__u16 vlan;
	__u8 smac[6];
	__u8 dmac[6];
	__u32 pad;
};

/* A packet that is first seen by a netfilter probe comes as a vd_packet of that probe, then as its vd_verdict. */
struct vd_verdict {
	struct vd_hop hop; /* ret: NF_DROP 0, NF_ACCEPT 1, NF_STOLEN 2, NF_QUEUE 3, NF_REPEAT 4 (also for nf_hook_slow) */
	__u8 hook;         /* NF_INET_* of the address family */
	__u8 pf;           /* NFPROTO_* */
	__u16 pad;
	__u32 pad2;
	char table[VD_NAME_LEN];
	char chain[VD_NAME_LEN]; /* empty where the kernel has one chain a hook (iptables) */
};

struct vd_socket {
	struct vd_hop hop; /* a: old state, b: new state (TCP_*, or NUD_* for a neighbour); the same where it does not change */
	__u8 saddr[16];    /* (be) */
	__u8 daddr[16];
	__u16 sport; /* host order */
	__u16 dport;
	__u16 family;   /* AF_INET 2, AF_INET6 10 */
	__u16 protocol; /* IPPROTO_* */
	__u32 rcvbuf;   /* bytes; 0: not read */
	__u32 rmem;
	__u32 sndbuf;
	__u32 wmem;
	__u32 backlog;     /* listening sockets: accept queue length */
	__u32 backlog_max; /* and its limit */
};

struct vd_sched {
	struct vd_hop hop; /* tid/pid: the thread that got the CPU; a: it was preempted (1) or woken (0) */
	__u64 wait;        /* ns from runnable to running */
	char comm[16];
};

union vd_record {
	struct vd_hop hop;
	struct vd_packet packet;
	struct vd_verdict verdict;
	struct vd_socket socket;
	struct vd_sched sched;
};

#endif
