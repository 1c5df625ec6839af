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

/* Linux 6.6 brought the names, include/uapi/linux/bpf.h; to clsact the same numbers mean the same (TC_ACT_UNSPEC, TC_ACT_SHOT). */
#define TCX_NEXT -1
#define TCX_DROP 2

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

/* Where packets go on to. */
struct way {
	__u32 out_ifindex; /*  0: none: up the stack */
	__u8 forward;      /*  4: enum forward */
	__u8 zero;
	__u16 mtu;         /*  6: 0: not asked */
	__u8 dst_mac[6];   /*  8: of FORWARD_PEER and FORWARD_LINK; they stand as in the frame */
	__u8 src_mac[6];
};
SIZE_IS(struct way, 20);

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
	struct address via;     /* 296: tunnel's other end, either way */
	__u64 endpoint;         /* 312: workload that it goes to */
	__u64 service;          /* 320: name of the frontend */
	struct way way;         /* 328 */
	__u32 ifindex;          /* 348: where it came in; 0: from this host */
	__u32 reason;           /* 352: enum reason, of a drop */
	__u32 flow_flags;       /* 356: FLOW_* of the entries to be made */
	__u32 stage_count;      /* 360 */
	__u16 l3;               /* 364: offset of the IP header */
	__u16 l4;               /* 366: of what follows it and its extensions */
	__u16 length;           /* 368: of the IP packet, as its header says */
	__u8 tcp_flags;         /* 370 */
	__u8 fragment;          /* 371: enum part */
	struct address backend; /* 372: whom we chose, where another node has it */
	__u16 backend_port;     /* 388 */
	__u16 zero;             /* 390 */
};
SIZE_IS(struct packet, 392);

enum packet_flags {
	PACKET_HOST_ACCEPTED_IN = 1 << 0,  /* untracked or pre-DNAT policy let it in: no later host policy of that side looks */
	PACKET_HOST_ACCEPTED_OUT = 1 << 1, /* the same on the way out */
	PACKET_UNTRACKED = 1 << 2,         /* untracked policy accepted it: no flow is made */
	PACKET_NO_FLOW = 1 << 3,           /* judged each time anew for another reason */
	PACKET_TUNNELLED = 1 << 4,         /* another node sent it on */
	PACKET_UNREACHED = 1 << 5,         /* service without backend */
	PACKET_BEGINS_NOTHING = 1 << 6,    /* connection tracking's `invalid`, as no flow is known */
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
	PROGRAM_ERROR = 7,    /* an ICMP error: follows the flow that it is about */
	PROGRAM_TO_HOST = 8,  /* workload to host: what the node allows its workloads */
	PROGRAM_RESOLVE = 9,  /* a known flow whose way out is not known any more */
	PROGRAM_TUNNEL = 10,  /* encapsulates */
	PROGRAM_FROM_TUNNEL = 11,
	PROGRAM_FROM_WORKLOAD = 12,
	PROGRAM_TOO_BIG = 13, /* tells the sender how much the way takes */
	PROGRAM_EXPIRED = 14, /* tells the sender that it has gone far enough */
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
	__u32 prefix_length; /* of the 128-bit form */
	struct address address;
};
SIZE_IS(struct route_key, 20);

/* Whose an address is, as far as this node was told; the kernel's own routes say where packets go. */
struct route {
	__u32 flags;        /* ROUTE_* */
	__u32 ifindex;      /* of a local workload's link */
	struct address via; /* of a remote workload's node */
	__u64 endpoint;     /* name of a local workload's endpoint */
};
SIZE_IS(struct route, 32);

enum route_flags {
	ROUTE_WORKLOAD = 1 << 0,
	ROUTE_LOCAL = 1 << 1, /* on this node */
	ROUTE_NODE = 1 << 2,  /* a node's own address */
	ROUTE_POOL = 1 << 3,
	ROUTE_NAT_OUTGOING = 1 << 4,
	ROUTE_DSR_OPT_OUT = 1 << 5,
};

/*
 * One direction of an accepted flow, by the tuple with which its packets come. The other direction has an entry of its own,
 * under the tuple of the answers: `to` turned round.
 */
struct flow {
	__u64 seen;         /*  0: bpf_ktime_get_coarse_ns of a late packet; moves in steps of FLOW_SEEN_STEP */
	__u64 created;      /*  8 */
	struct tuple to;    /* 16: as it goes on */
	struct address via; /* 56: tunnel's other end */
	__u64 endpoint;     /* 72: workload that it goes to; 0: none of this node's */
	__u64 service;      /* 80: name of the frontend by which it was translated; 0: none */
	__u64 rule;         /* 88: what allowed it, the last that did */
	__u32 flags;        /* 96: FLOW_* */
	__u32 in_ifindex;   /* 100: where it must come in; 0: from this host; ANY_NETWORK */
	struct way way;     /* 104 */
	__u32 generation;   /* 124: of `settings`, when the way was found; 0: not yet */
	__u32 tcp_seen;     /* 128: TCP flags of this direction so far */
	__u32 judgement;    /* 132: of `settings`, when policy last let it pass */
	struct address backend; /* 136: of FLOW_TO_TUNNEL: for whom it was sent on; when that one goes, so does the flow */
	__u16 backend_port; /* 152 */
	__u16 zero[3];
};
SIZE_IS(struct flow, 160);

#define ANY_NETWORK 0xffffffff
#define FLOW_SEEN_STEP 1000000000ULL

enum flow_flags {
	FLOW_REPLY = 1 << 0,         /* the direction of the answers */
	FLOW_TRANSLATE_SRC = 1 << 1,
	FLOW_TRANSLATE_DST = 1 << 2,
	FLOW_ANSWERED = 1 << 4,      /* packets were seen both ways; until then each change of policy judges it anew */
	FLOW_TUNNEL_IN = 1 << 5,     /* came by the tunnel: host stages were another node's */
	FLOW_LEARNT = 1 << 6,        /* taken over from the kernel's connection tracking */
	FLOW_BY_STACK = 1 << 9,      /* somebody else's rules led it here: its answers must go back through them */
	FLOW_TO_TUNNEL = 1 << 8,     /* goes on to another node's backend */
	FLOW_DSR = 1 << 7,           /* answers take another way: none will be seen here */
};

/* Of what may be a fragment. */
enum part { PART_WHOLE = 0, PART_FIRST = 1, PART_LATER = 2 };

enum forward {
	FORWARD_UNKNOWN = 0,
	FORWARD_STACK = 1,  /* up the stack, with the mark */
	FORWARD_PEER = 2,   /* into a workload's namespace */
	FORWARD_LINK = 3,   /* out by a link whose MACs are known */
	FORWARD_NEIGH = 4,  /* out by a link, the kernel knows the neighbour */
	FORWARD_TUNNEL = 5, /* to another node, in VXLAN */
	FORWARD_HOST = 6,   /* up the stack, for this host: whoever translates it to a workload there must have it judged there */
	FORWARD_SELF = 7,   /* back in by the link by which this host sent it out: it is for itself */
};

struct frontend_key {
	struct address address; /* zero with a family's port: any address of a node */
	__u16 port;
	__u8 protocol;
	__u8 scope; /* enum scope, and SCOPE_IPV6 for node ports, whose address does not tell */
};
SIZE_IS(struct frontend_key, 20);

enum scope {
	SCOPE_INSIDE = 0,  /* clients in the cluster */
	SCOPE_OUTSIDE = 1, /* all others */
	SCOPE_TUNNEL = 2,  /* outside clients whom another node sent on: local backends alone */
	SCOPE_IPV6 = 0x80,
};

struct frontend {
	__u64 name;     /*  0: for people, and for affinity: the same while its backends change */
	__u32 list;     /*  8: of backends */
	__u32 count;    /* 12 */
	__u32 flags;    /* 16: FRONTEND_* */
	__u32 affinity; /* 20: seconds; 0: none */
};
SIZE_IS(struct frontend, 24);

enum frontend_flags {
	FRONTEND_REJECT = 1 << 0,  /* without backends: tell the client */
	FRONTEND_SOURCES = 1 << 1, /* only clients in `sources` */
	FRONTEND_MAGLEV = 1 << 2,  /* the list is a Maglev table */
	FRONTEND_EXTERNAL = 1 << 3,/* node port, external or load balancer address: the client's address is kept by tunnel or DSR */
};

struct backend_key {
	__u32 list;
	__u32 index;
};

struct backend {
	struct address address;
	__u16 port;
	__u16 flags; /* BACKEND_* */
	__u32 zero;
};
SIZE_IS(struct backend, 24);

enum backend_flags { BACKEND_LOCAL = 1 << 0 };

struct source_key {
	__u32 prefix_length; /* 32 + bits */
	__u32 list;
	struct address address;
};
SIZE_IS(struct source_key, 24);

struct affinity_key {
	__u64 frontend;
	struct address client;
};
SIZE_IS(struct affinity_key, 24);

struct affinity {
	__u64 seen;
	struct address address;
	__u16 port;
	__u16 zero[3];
};
SIZE_IS(struct affinity, 32);

/* A backend that is there: of a list (affinity asks), or of any (list 0; what is swept asks). */
struct member_key {
	__u32 list;
	__u16 port;
	__u8 protocol;
	__u8 zero;
	struct address address;
};
SIZE_IS(struct member_key, 24);

/* With the link, so that nobody speaks of another's packets. */
struct fragment_key {
	struct address src;
	struct address dst;
	__u32 id;
	__u32 ifindex;
	__u8 protocol;
	__u8 zero[3];
};
SIZE_IS(struct fragment_key, 44);

struct fragment {
	__u16 src_port;
	__u16 dst_port;
	__u16 end;      /* of the first part, in bytes: where later ones may begin */
	__u8 protocol;  /* IPv6: what the header chain of the first part ends in */
	__u8 zero;
	__u64 seen;
};
SIZE_IS(struct fragment, 16);

/* What a socket was led to at connect time, so that it is told what it asked for. */
struct socket_key {
	__u64 cookie;
	struct address address; /* of the backend */
	__u16 port;
	__u16 zero[3];
};
SIZE_IS(struct socket_key, 32);

struct socket_name {
	struct address address; /* of the frontend */
	__u16 port;
	__u16 zero[3];
	__u64 frontend;         /* its name */
};
SIZE_IS(struct socket_name, 32);

/* One row, index 0. */
struct settings {
	__u32 generation;      /*  0: goes up whenever links, addresses or routes change */
	__u32 flags;           /*  4: SETTING_* */
	__u32 tunnel_port;     /*  8 */
	__u32 nat_port_first;  /* 12 */
	__u32 nat_port_count;  /* 16 */
	__u32 endpoint_to_host;/* 20: 0 drop, 1 return or accept */
	struct address own[2]; /* 24: this node's address to others, by family; zero: none */
	__u64 timeouts[8];     /* 56: nanoseconds, enum timeout */
	__u32 judgement;       /* 120: goes up whenever a policy or a set changes */
	__u32 zero;
	__u64 host;            /* 128: cookie of this host's network namespace: bpf_get_netns_cookie */
};
SIZE_IS(struct settings, 136);

enum setting_flags {
	SETTING_DROP_INVALID = 1 << 0,
	SETTING_DSR = 1 << 1,
	SETTING_VXLAN_FROM_WORKLOADS = 1 << 2,
	SETTING_IPIP_FROM_WORKLOADS = 1 << 3,
	SETTING_NODES_ARE_INSIDE = 1 << 4,
	SETTING_CONNECT_TCP = 1 << 5,
	SETTING_CONNECT_UDP = 1 << 6,
	SETTING_TELL_ALLOWED = 1 << 7, /* an event for each new flow, not for drops alone */
};

enum timeout {
	TIMEOUT_TCP_SYN_SENT = 0,
	TIMEOUT_TCP_ESTABLISHED = 1,
	TIMEOUT_TCP_FINS_SEEN = 2,
	TIMEOUT_TCP_RESET_SEEN = 3,
	TIMEOUT_UDP = 4,
	TIMEOUT_ICMP = 5,
	TIMEOUT_GENERIC = 6,
};

/* Why a packet was dropped; index of `drops`. src/drivers/ebpf/reasons.ts has the words. */
enum reason {
	REASON_POLICY = 1,
	REASON_NO_POLICY = 2,      /* the program is missing */
	REASON_MALFORMED = 3,
	REASON_SPOOFED = 4,
	REASON_NOT_IP = 5,
	REASON_INVALID = 6,        /* belongs to no flow and cannot begin one */
	REASON_TABLE_FULL = 7,
	REASON_NO_PORT = 8,        /* all source ports are taken */
	REASON_NO_BACKEND = 9,
	REASON_SOURCE_RANGE = 10,
	REASON_FRAGMENT = 11,      /* its first part was not seen */
	REASON_UNJUDGED = 12,      /* on the way to a workload without the mark */
	REASON_UNKNOWN_LINK = 13,
	REASON_TO_HOST = 14,       /* workload to host: not wanted here */
	REASON_TUNNEL = 15,        /* encapsulated by whom it may not */
	REASON_TOO_BIG = 16,
	REASON_REWRITE = 17,       /* a helper failed */
	REASON_ROUTER_MESSAGE = 18,
	REASON_UNKNOWN_WORKLOAD = 19,
	REASON_STALE = 20,
	REASON_REJECTED = 21,
	REASON_HOP_LIMIT = 22,
	REASONS = 32,
};

/* What user space reads from the ring buffer: one new flow, one drop or one Log rule. */
struct event {
	__u64 time;           /*   0: bpf_ktime_get_ns */
	struct tuple arrived; /*   8 */
	struct tuple now;     /*  48 */
	__u64 endpoints[MAX_STAGES]; /*  88 */
	__u64 rules[MAX_STAGES];     /* 152 */
	__u64 logs[MAX_LOGS];        /* 216 */
	__u64 service;        /* 248 */
	__u32 stages;         /* 256: how many were run */
	__u32 log_count;      /* 260 */
	__u32 ifindex;        /* 264 */
	__u32 length;         /* 268 */
	__u8 family;          /* 272 */
	__u8 verdict;         /* 273: 1 allowed, 2 denied, 3 logged and allowed */
	__u8 reason;          /* 274 */
	__u8 hook;            /* 275 */
	__u8 icmp_type;       /* 276 */
	__u8 icmp_code;       /* 277 */
	__u8 zero[2];
};
SIZE_IS(struct event, 280);

/* src/rules/chain.ts markBits: policy let it pass; it is this host's, and let in as such. */
#define MARK_ACCEPTED 0x00010000
#define MARK_TO_HOST 0x00040000
