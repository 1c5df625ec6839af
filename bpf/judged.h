// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * A packet of no known flow, on its way from program to program: which stages it must meet, and the end of those that
 * are denied.
 */
#pragma once
#include "flows.h"

ALWAYS_INLINE int is_packet_discovery(const struct packet *packet)
{
	if (packet->family != 6 || packet->now.protocol != IPPROTO_ICMPV6)
		return 0;
	return (packet->icmp_type >= 130 && packet->icmp_type <= 136) || packet->icmp_type == 143;
}

ALWAYS_INLINE void add_stage(struct packet *packet, __u32 program, __u64 endpoint)
{
	__u32 at = packet->stage_count;

	if (at >= MAX_STAGES)
		return; /* cannot be: the longest list there is has five */
	packet->stages[at] = program;
	packet->endpoints[at] = endpoint;
	packet->stage_count = at + 1;
}

ALWAYS_INLINE __u32 policy_of(const struct link *link, __u8 family, enum stage stage)
{
	return family == 4 ? link->policy[0][stage] : link->policy[1][stage];
}

/* A stage in which the link's endpoint may have nothing to say. */
ALWAYS_INLINE void add_host_stage(struct packet *packet, const struct link *link, enum stage stage)
{
	__u32 program = policy_of(link, packet->family, stage);

	if (program)
		add_stage(packet, program, link->endpoint);
}

ALWAYS_INLINE int add_workload_stage(struct packet *packet, const struct link *link, enum stage stage)
{
	__u32 program = policy_of(link, packet->family, stage);

	if (!program)
		return -1;
	add_stage(packet, program, link->endpoint);
	return 0;
}

ALWAYS_INLINE struct link *link_of(__u32 ifindex)
{
	return bpf_map_lookup_elem(&links, &ifindex);
}

#define DROP(skb, packet, why)                             \
	do {                                               \
		(packet)->reason = (why);                  \
		bpf_tail_call(skb, &programs, PROGRAM_DROP); \
		return TCX_DROP;                           \
	} while (0)

/*
 * What the host sends would be answered to a workload that went out by the host's address with the same port, or in the name of a
 * service that was asked from that port.
 */
ALWAYS_INLINE int is_answered_to_another(const struct packet *packet)
{
	struct flow *answers;
	struct tuple key;

	if (packet->hook != HOOK_TO_NETWORK)
		return 0;
	turn_round(&key, &packet->now);
	answers = bpf_map_lookup_elem(&flows, &key);
	return answers && (answers->flags & FLOW_REPLY) && (answers->flags & FLOW_TRANSLATES);
}

/* Nobody has a say, about the answers neither, and nothing is translated: then it is the stack's. */
ALWAYS_INLINE int is_none_of_ours(const struct packet *packet, const struct link *in, const struct link *out)
{
	if (packet->stage_count || packet->flow_flags || in->endpoint)
		return 0;
	return (!out || !out->endpoint) && !is_answered_to_another(packet);
}

ALWAYS_INLINE int is_own_source(struct __sk_buff *skb, const struct parsed *p)
{
	struct route *route = route_to(&p->tuple.src);

	if (!route || route->ifindex != skb->ifindex)
		return 0;
	return (route->flags & (ROUTE_WORKLOAD | ROUTE_LOCAL)) == (ROUTE_WORKLOAD | ROUTE_LOCAL);
}

SEC("tc")
int drop(struct __sk_buff *skb __attribute__((unused)))
{
	struct packet *packet = this_packet();

	if (!packet)
		return TCX_DROP;
	if (!packet->reason)
		packet->reason = REASON_POLICY;
	count_drop(packet->reason);
	count_rules(packet);
	tell(packet, VERDICT_DENIED);
	return TCX_DROP;
}
