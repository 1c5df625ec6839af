// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Our connection tracking: one entry for each direction of an accepted flow, each with all that a packet needs, so that a
 * packet of a known flow costs one lookup.
 *
 * Invariants: an entry is made when all policies on the way have accepted, never before. It is good for packets that come in
 *             where the first one did, so that nobody continues another's flow. A full table refuses new flows, and says so.
 */
#pragma once
#include "forward.h"

#define FLOW_TRANSLATES (FLOW_TRANSLATE_SRC | FLOW_TRANSLATE_DST)

ALWAYS_INLINE int is_closed(const struct flow *flow)
{
	return flow->tcp_seen & (TCP_FIN | TCP_RST);
}

ALWAYS_INLINE struct flow *other_direction(const struct flow *flow)
{
	struct tuple key;

	turn_round(&key, &flow->to);
	return bpf_map_lookup_elem(&flows, &key);
}

/*
 * A connection that ended makes room for the next with the same ports (RFC 6191): policy looks at that one anew. So it does where
 * nobody saw the end, and a first segment comes again or the other way; but where it is translated it keeps its backend.
 */
ALWAYS_INLINE int begins_anew(const struct parsed *p, const struct flow *flow)
{
	struct flow *other;

	if (p->tuple.protocol != IPPROTO_TCP || (p->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return 0;
	if (is_closed(flow) || ((flow->flags & (FLOW_ANSWERED | FLOW_REPLY)) && !(flow->flags & FLOW_TRANSLATES)))
		return 1;
	other = other_direction(flow);
	return other && is_closed(other);
}

ALWAYS_INLINE int may_come_in(const struct flow *flow, struct __sk_buff *skb, __u8 hook)
{
	switch (hook) {
	case HOOK_FROM_WORKLOAD:
		return flow->in_ifindex == skb->ifindex;
	case HOOK_FROM_NETWORK:
		return flow->in_ifindex == ANY_NETWORK;
	}
	return flow->in_ifindex == 0;
}

/* As the kernel's connection tracking has it: what nobody answered is no connection yet, and policy of today judges it. */
ALWAYS_INLINE int is_judged(const struct flow *flow, const struct settings *settings)
{
	return (flow->flags & (FLOW_ANSWERED | FLOW_REPLY)) || flow->judgement == settings->judgement;
}

ALWAYS_INLINE struct flow *known_flow(struct __sk_buff *skb, const struct parsed *p, __u8 hook, const struct settings *settings)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, &p->tuple);

	if (!flow || !may_come_in(flow, skb, hook) || !is_judged(flow, settings) || begins_anew(p, flow))
		return NULL;
	return flow;
}

/* The first answer makes it a connection. */
ALWAYS_INLINE void answer(struct flow *flow)
{
	struct flow *other = other_direction(flow);

	flow->flags |= FLOW_ANSWERED;
	if (other)
		other->flags |= FLOW_ANSWERED;
}

/* Written only when it says something new: two processors may carry one flow. */
ALWAYS_INLINE void touch(struct flow *flow, const struct parsed *p)
{
	__u64 now = bpf_ktime_get_coarse_ns();

	if (now - flow->seen > FLOW_SEEN_STEP)
		flow->seen = now;
	if (p->tcp_flags & ~flow->tcp_seen)
		flow->tcp_seen |= p->tcp_flags;
	if ((flow->flags & (FLOW_REPLY | FLOW_ANSWERED)) == FLOW_REPLY)
		answer(flow);
}

/* Headers may lie beyond what programs can read in place: then they are brought there. */
ALWAYS_INLINE enum hop count_hop_anywhere(struct __sk_buff *skb, const struct parsed *p)
{
	enum hop hop = count_hop(skb, p->family);

	return hop == HOP_UNREADABLE && !bpf_skb_pull_data(skb, p->l4) ? count_hop(skb, p->family) : hop;
}

/* Counts the hop. 0, or the program that tells the sender why it goes no further. */
ALWAYS_INLINE __u32 hindrance(struct __sk_buff *skb, const struct parsed *p, const struct way *way, __u8 hook)
{
	if (way->forward != FORWARD_PEER && way->forward != FORWARD_LINK && way->forward != FORWARD_NEIGH)
		return 0;
	if (is_longer(skb, p, way->mtu))
		return PROGRAM_TOO_BIG;
	return is_from_network(hook) && count_hop_anywhere(skb, p) == HOP_LAST ? PROGRAM_EXPIRED : 0;
}

/*
 * With another tuple, or by the tunnel. Whatever must be said to the sender is said before: the stack would quote to him a packet
 * that he never sent.
 */
ALWAYS_INLINE int pass_on(struct __sk_buff *skb, const struct parsed *p, struct packet *packet, const struct way *way,
			  const struct tuple *to)
{
	__u32 told_by;

	if (way->forward == FORWARD_TUNNEL) {
		bpf_tail_call(skb, &programs, PROGRAM_TUNNEL);
		return refuse(skb, p, packet->hook, REASON_NO_POLICY);
	}
	told_by = hindrance(skb, p, way, packet->hook);
	if (told_by) {
		packet->length = way->mtu;
		bpf_tail_call(skb, &programs, told_by);
		return refuse(skb, p, packet->hook, REASON_NO_POLICY);
	}
	if (translate(skb, p, to))
		return refuse(skb, p, packet->hook, REASON_REWRITE);
	return go(skb, way);
}

/* A packet of a known flow whose way is known. */
ALWAYS_INLINE int follow(struct __sk_buff *skb, const struct parsed *p, struct flow *flow, __u8 hook)
{
	struct packet *packet;

	touch(flow, p);
	if (!(flow->flags & FLOW_TRANSLATES) && flow->way.forward != FORWARD_TUNNEL)
		return send(skb, p, &flow->way, hook);
	packet = this_packet();
	if (!packet)
		return TCX_DROP;
	packet->hook = hook;
	packet->via = flow->via;
	packet->now = flow->to;
	packet->flow_flags = flow->flags;
	return pass_on(skb, p, packet, &flow->way, &flow->to);
}

ALWAYS_INLINE void forget(const struct tuple *key, const struct flow *flow)
{
	struct tuple other;

	turn_round(&other, &flow->to);
	bpf_map_delete_elem(&flows, &other);
	bpf_map_delete_elem(&flows, key);
}
