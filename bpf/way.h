// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Where a packet goes on to: the kernel's own routes and neighbours decide (bpf_fib_lookup), but for workloads of this node
 * alone, whose link the agent told us.
 */
#pragma once
#include "parse.h"

/* A way, and whose the destination is. */
struct found {
	struct way way;
	__u32 route_flags; /* of the destination */
	__u64 endpoint;
	__u32 to_host;
	__u32 workload;    /* 1: a local workload's link, 2: a workload's link that is nobody's */
};

ALWAYS_INLINE struct route *route_to(const struct address *address)
{
	struct route_key key = {.prefix_length = 128, .address = *address};

	return bpf_map_lookup_elem(&routes, &key);
}

/* bpf_fib_lookup knows the route's, but says it only where it knows the neighbour too; then the link's own must do. */
ALWAYS_INLINE __u16 mtu_of(const struct bpf_fib_lookup *fib, int result)
{
	__u32 ifindex = fib->ifindex;
	struct link *out;

	if (result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return fib->mtu_result;
	out = bpf_map_lookup_elem(&links, &ifindex);
	return out && out->mtu <= 0xffff ? out->mtu : 0;
}

ALWAYS_INLINE int is_from_network(__u8 hook)
{
	return hook == HOOK_FROM_NETWORK || hook == HOOK_FROM_WORKLOAD;
}

ALWAYS_INLINE int is_multicast(const struct address *address, __u8 family)
{
	if (family == 6)
		return (address->word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
	return (address->word[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) || address->word[3] == 0xffffffff;
}

ALWAYS_INLINE int is_loopback(const struct address *address, __u8 family)
{
	if (family == 6)
		return (address->word[0] | address->word[1] | address->word[2]) == 0 && address->word[3] == bpf_htonl(1);
	return (address->word[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
}

/*
 * A link of this node's workload: MACs as its neighbour entry has them. Without one the kernel finds the way.
 */
NEVER_INLINE int find_way(struct __sk_buff *skb, const struct tuple *to, __u32 family_and_hook, struct found *found)
{
	__u8 family = family_and_hook & 0xff, hook = family_and_hook >> 8;
	struct bpf_fib_lookup fib = {};
	struct route *route;
	int result;

	if (!to || !found)
		return -1;
	__builtin_memset(found, 0, sizeof(*found));
	route = route_to(&to->dst);
	if (route) {
		found->route_flags = route->flags;
		found->endpoint = route->flags & ROUTE_LOCAL ? route->endpoint : 0;
	}
	found->way.forward = FORWARD_STACK;
	if (is_multicast(&to->dst, family) || (found->route_flags & (ROUTE_NODE | ROUTE_LOCAL)) == (ROUTE_NODE | ROUTE_LOCAL)) {
		found->to_host = 1;
		found->way.forward = is_from_network(hook) ? FORWARD_HOST : FORWARD_SELF;
		return 0;
	}
	fib.family = family == 4 ? 2 : 10; /* AF_INET, AF_INET6 */
	fib.l4_protocol = to->protocol;
	fib.ifindex = skb->ifindex;
	if (family == 4) {
		fib.ipv4_src = to->src.word[3];
		fib.ipv4_dst = to->dst.word[3];
	} else {
		__builtin_memcpy(fib.ipv6_src, &to->src, sizeof(to->src));
		__builtin_memcpy(fib.ipv6_dst, &to->dst, sizeof(to->dst));
	}
	/* as if it came in by this link, also on the way out: BPF_FIB_LOOKUP_OUTPUT would find ways out by this very link alone */
	result = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (result == BPF_FIB_LKUP_RET_NOT_FWDED) {
		found->to_host = is_from_network(hook);
		found->way.forward = FORWARD_HOST;
		return 0;
	}
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH && result != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return 0; /* the stack says so to the sender */
	found->way.out_ifindex = fib.ifindex;
	if ((found->route_flags & (ROUTE_WORKLOAD | ROUTE_LOCAL)) == (ROUTE_WORKLOAD | ROUTE_LOCAL)) {
		found->workload = route && route->ifindex == fib.ifindex ? 1 : 2;
		if (result != BPF_FIB_LKUP_RET_SUCCESS)
			return 0;
		found->way.forward = is_from_network(hook) ? FORWARD_PEER : FORWARD_LINK;
	} else {
		struct link *out = bpf_map_lookup_elem(&links, &found->way.out_ifindex);

		if (out && out->kind == LINK_WORKLOAD)
			found->workload = 2;
		if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED)
			return 0;
		found->way.forward = FORWARD_NEIGH;
		found->way.mtu = mtu_of(&fib, result);
	}
	if (result == BPF_FIB_LKUP_RET_SUCCESS) {
		found->way.mtu = fib.mtu_result;
		__builtin_memcpy(found->way.dst_mac, fib.dmac, 6);
		__builtin_memcpy(found->way.src_mac, fib.smac, 6);
	}
	return 0;
}
