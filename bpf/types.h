// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Door of the eBPF data plane: what the programs keep in maps and hand to each other.
 *
 * Owns:       the layout of every key, value and record. src/drivers/ebpf/layout.ts says the same offsets to TypeScript;
 *             test/kernel/ebpf-layout.test.ts compares them with the BTF of the objects.
 * Invariants: one layout for both families: IPv4 addresses stand as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so that
 *             there is one of every map and one path through every program. Ports are in host order, addresses in
 *             network order. No padding is left unnamed: keys are compared and hashed bytewise.
 * Next:       maps.h (the maps), parse.h, flows.h (our connection tracking), services.h, stages.h (which policies a packet
 *             meets), forward.h (where it goes), classifier.c (the programs at the links).
 */
#pragma once
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ALWAYS_INLINE static __attribute__((always_inline)) inline
#define NEVER_INLINE static __attribute__((noinline))
#define SIZE_IS(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")

struct address {
	__u32 word[4];
};

/* What names a flow, one direction. ICMP requests and replies: src_port is the identifier, dst_port the type. */
struct tuple {
	struct address src;
	struct address dst;
	__u16 src_port;
	__u16 dst_port;
	__u8 protocol;
	__u8 zero[3];
};
SIZE_IS(struct tuple, 40);

#define MAX_STAGES 8
#define MAX_LOGS 4

/* The packet under judgement: handed from program to program, one for each processor. */
struct packet {
	struct tuple now;       /*   0: as it goes on, after translation; policy judges this */
	struct tuple arrived;   /*  40: as it came; policies before NAT judge this */
	__u8 family;            /*  80: 4 or 6 */
	__u8 icmp_type;         /*  81: of the family's own ICMP, else 0 */
	__u8 icmp_code;         /*  82 */
	__u8 hook;              /*  83: enum hook */
	__u32 flags;            /*  84: PACKET_* */
	__u32 next;             /*  88: the stage that runs, index into `stages` */
	__u32 resume;           /*  92: where a policy of several programs goes on */
	__u32 scratch;          /*  96: what such a policy remembers between its programs */
	__u32 log_count;        /* 100 */
	__u32 stages[MAX_STAGES];      /* 104: program indices; the last one forwards */
	__u64 rules[MAX_STAGES];       /* 136: what each stage decided by; 0: nothing */
	__u64 logs[MAX_LOGS];          /* 200: Log rules that matched */
	__u64 endpoints[MAX_STAGES];   /* 232: whose policy each stage is */
	/* from here on TypeScript does not look */
	struct address via;     /* 296: the node to tunnel to */
	__u32 ifindex;          /* 312: where it came in; 0: from this host */
	__u32 out_ifindex;      /* 316: where it goes out, 0: unknown or up the stack */
	__u32 forward;          /* 320: enum forward */
	__u32 reason;           /* 324: enum reason, of a drop */
	__u16 l3;               /* 328: offset of the IP header */
	__u16 l4;               /* 330: offset of what follows it and its extensions */
	__u16 length;           /* 332: of the IP packet, as its header says */
	__u8 tcp_flags;         /* 334 */
	__u8 l4_protocol;       /* 335: as found; tuple.protocol is the same */
	__u32 flow_flags;       /* 336: FLOW_* for the entries to be made */
	__u32 service;          /* 340: number of the frontend, 0: none */
	__u32 timeout;          /* 344: of affinity */
	__u32 fragment;         /* 348: FRAGMENT_* */
	__u8 dst_mac[6];        /* 352 */
	__u8 src_mac[6];        /* 358 */
	__u32 tunnel_from;      /* 364: 1: came by a tunnel, from `via` */
	__u32 backend_count;    /* 368 */
	__u32 frontend_flags;   /* 372: FRONTEND_* */
};
SIZE_IS(struct packet, 376);

enum packet_flags {
	PACKET_HOST_ACCEPTED_IN = 1 << 0,  /* untracked or pre-DNAT policy let it in: no later host policy of that side looks */
	PACKET_HOST_ACCEPTED_OUT = 1 << 1, /* the same on the way out */
	PACKET_UNTRACKED = 1 << 2,         /* untracked policy accepted it: no flow is made */
	PACKET_NO_FLOW = 1 << 3,           /* judged each time anew for another reason */
	PACKET_TO_HOST = 1 << 4,           /* ends at this host */
	PACKET_FROM_WORKLOAD = 1 << 5,
	PACKET_TO_WORKLOAD = 1 << 6,
	PACKET_FROM_HOST = 1 << 7,
	PACKET_TRANSLATED = 1 << 8,
	PACKET_CHECKED_UNTRACKED = 1 << 9,
};

/* Where a program stands. */
enum hook {
	HOOK_FROM_WORKLOAD = 1,
	HOOK_TO_WORKLOAD = 2,
	HOOK_FROM_NETWORK = 3,
	HOOK_TO_NETWORK = 4,
};

/* Indices of `programs` below which no policy stands. */
enum program {
	PROGRAM_DROP = 1,     /* counts, tells, drops */
	PROGRAM_ADMIT = 2,    /* makes the flow, translates, forwards */
	PROGRAM_TRACK = 3,    /* goes on behind untracked policy */
	PROGRAM_SERVICE = 4,  /* chooses a backend */
	PROGRAM_ROUTE = 5,    /* finds the way out and the policies on it */
	PROGRAM_REJECT = 6,   /* tells the sender that nobody is there */
	PROGRAM_ICMP_ERROR = 7,
	PROGRAM_TOO_BIG = 8,
	PROGRAM_HOST_VERDICT = 9, /* workload to host: what the node allows its workloads */
	PROGRAM_FIRST_POLICY = 32,
};

/* What is known of a link, by its index. */
struct link {
	__u32 kind;           /*  0: enum link_kind */
	__u32 flags;          /*  4: LINK_* */
	__u64 endpoint;       /*  8: name of its endpoint */
	__u32 policy[2][8];   /* 16: program by family (0: IPv4) and enum stage; 0: no say */
	struct address own[2];/* 80: of this host on the link, by family; zero: none */
	__u32 mtu;            /* 112 */
	__u32 zero;           /* 116 */
};
SIZE_IS(struct link, 120);

enum link_kind { LINK_WORKLOAD = 1, LINK_NETWORK = 2 };
enum link_flags { LINK_L3 = 1 << 0 /* no Ethernet header */ };

enum stage {
	STAGE_EGRESS = 0,        /* workload: what it sends; host: normal egress */
	STAGE_INGRESS = 1,       /* workload: what it is sent; host: normal ingress */
	STAGE_UNTRACKED_IN = 2,
	STAGE_UNTRACKED_OUT = 3,
	STAGE_PRE_DNAT = 4,
	STAGE_FORWARD_IN = 5,
	STAGE_FORWARD_OUT = 6,
};

struct set_key {
	__u64 set;
	__u16 port;
	__u8 protocol;
	__u8 zero[5];
	struct address address;
};
SIZE_IS(struct set_key, 32);

struct net_key {
	__u32 prefix_length; /* 64 + bits of the address in its 128-bit form */
	__u32 set[2];        /* the 64-bit set id, two words: the kernel matches bytes from offset 4 */
	struct address address;
};
SIZE_IS(struct net_key, 28);

struct route_key {
	__u32 prefix_length;
	struct address address;
};

struct route {
	__u32 flags;   /* ROUTE_* */
	__u32 ifindex; /* local workload: its link */
	struct address via; /* remote workload: its node */
	__u64 endpoint;
};
SIZE_IS(struct route, 32);

enum route_flags {
	ROUTE_WORKLOAD = 1 << 0,
	ROUTE_LOCAL = 1 << 1,
	ROUTE_HOST = 1 << 2,     /* a node's own address; with LOCAL this one's */
	ROUTE_POOL = 1 << 3,     /* in a pool */
	ROUTE_NAT_OUTGOING = 1 << 4,
	ROUTE_DSR_OPT_OUT = 1 << 5, /* unused in routes; the LPM of opt-outs has its own map */
};
