// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* PROGRAM_ROUTE: where it goes, and so which policies it must meet; PROGRAM_TO_HOST: what a node allows its workloads. */
#pragma once
#include "judged.h"

ALWAYS_INLINE int leaves_pool(const struct packet *packet, const struct settings *settings, const struct found *found)
{
	struct route *from = route_to(&packet->now.src);

	if (!from || !(from->flags & ROUTE_NAT_OUTGOING) || found->to_host || found->endpoint)
		return 0;
	if (found->route_flags & (ROUTE_POOL | ROUTE_WORKLOAD))
		return 0;
	return !((settings->flags & SETTING_NODES_ARE_INSIDE) && (found->route_flags & ROUTE_NODE));
}

/* NAT outgoing: the address of the link by which it leaves, else the node's. */
ALWAYS_INLINE void take_own_address(struct packet *packet, const struct settings *settings, const struct link *out)
{
	struct address own = packet->family == 4 ? settings->own[0] : settings->own[1];

	if (out) {
		struct address on_link = packet->family == 4 ? out->own[0] : out->own[1];

		if (!is_zero(&on_link))
			own = on_link;
	}
	if (is_zero(&own))
		return;
	packet->now.src = own;
	packet->flow_flags |= FLOW_TRANSLATE_SRC;
}

/* 0, or why not. */
ALWAYS_INLINE int stages_from_workload(struct packet *packet, const struct link *in, const struct link *out,
				       const struct found *found, const struct settings *settings)
{
	if (add_workload_stage(packet, in, STAGE_EGRESS))
		return REASON_NO_POLICY;
	if (found->workload) {
		if (packet->flow_flags & FLOW_TRANSLATE_SRC) /* from itself to itself by way of the node, whom no policy stops */
			return 0;
		return out && !add_workload_stage(packet, out, STAGE_INGRESS) ? 0 : REASON_NO_POLICY;
	}
	if (found->to_host) {
		if (!(packet->flags & PACKET_UNREACHED)) /* where nobody answers the host is not reached either */
			add_stage(packet, PROGRAM_TO_HOST, 0);
		return 0;
	}
	if (out)
		add_host_stage(packet, out, STAGE_FORWARD_OUT);
	if (leaves_pool(packet, settings, found))
		take_own_address(packet, settings, out);
	return 0;
}

ALWAYS_INLINE int stages_from_network(struct packet *packet, const struct link *in, const struct link *out,
				      const struct found *found)
{
	int is_discovery = is_packet_discovery(packet);
	int was_judged = packet->flags & PACKET_TUNNELLED; /* by the host stages of the node that sent it on */

	if (!was_judged && !is_discovery)
		add_host_stage(packet, in, STAGE_PRE_DNAT);
	if (found->to_host && packet->way.forward != FORWARD_TUNNEL) {
		if (!was_judged && !is_discovery)
			add_host_stage(packet, in, STAGE_INGRESS);
		return 0;
	}
	if (!was_judged)
		add_host_stage(packet, in, STAGE_FORWARD_IN);
	if (!out)
		return found->workload && packet->way.forward != FORWARD_TUNNEL ? REASON_NO_POLICY : 0;
	if (found->workload && packet->way.forward != FORWARD_TUNNEL)
		return add_workload_stage(packet, out, STAGE_INGRESS) ? REASON_NO_POLICY : 0;
	if (!was_judged)
		add_host_stage(packet, out, STAGE_FORWARD_OUT);
	return 0;
}

/* What the host sends, and what it forwards unjudged because it came in by a link that is none of ours. */
ALWAYS_INLINE int stages_to_network(struct packet *packet, struct __sk_buff *skb, const struct link *at, const struct link *out,
				    const struct found *found)
{
	if (!skb->ingress_ifindex) {
		if (!is_packet_discovery(packet))
			add_host_stage(packet, at, STAGE_EGRESS);
		return 0;
	}
	add_host_stage(packet, at, STAGE_FORWARD_OUT);
	if (!found->workload || !(packet->flow_flags & FLOW_TRANSLATE_DST))
		return 0;
	return out && !add_workload_stage(packet, out, STAGE_INGRESS) ? 0 : REASON_NO_POLICY; /* a service led it to a pod here */
}

/* A source that nobody beyond has: RFC 1812 section 5.3.7. What goes on past the stack does not meet its checks (fib_validate_source). */
ALWAYS_INLINE int is_martian(const struct packet *packet)
{
	struct route *from = route_to(&packet->arrived.src);

	if (from && (from->flags & ROUTE_LOCAL)) /* this host's own, or of a workload here, which policy would take it for */
		return 1;
	return is_multicast(&packet->arrived.src, packet->family) || is_loopback(&packet->arrived.src, packet->family);
}

ALWAYS_INLINE int is_workload_and_nobodys(const struct found *found)
{
	return found->workload == 2;
}

SEC("tc")
int route(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct settings *settings = these_settings();
	struct link *in, *out;
	struct found found = {};
	struct tuple to;
	int why = 0;

	if (!packet || !settings)
		return TCX_DROP;
	to = packet->now;
	if (packet->way.forward == FORWARD_TUNNEL)
		to.dst = packet->via;
	find_way(skb, &to, packet->family | (__u32)packet->hook << 8, &found);
	in = link_of(skb->ifindex);
	if (!in)
		DROP(skb, packet, REASON_UNKNOWN_LINK);
	if (is_workload_and_nobodys(&found) && packet->hook != HOOK_TO_WORKLOAD)
		DROP(skb, packet, REASON_UNKNOWN_WORKLOAD);
	if (packet->hook == HOOK_FROM_NETWORK && !(packet->flags & PACKET_TUNNELLED) && is_martian(packet))
		DROP(skb, packet, REASON_SPOOFED);
	if ((packet->flags & PACKET_TUNNELLED) && !found.workload && !found.to_host)
		DROP(skb, packet, REASON_NO_BACKEND); /* sent on once, not twice */
	out = found.way.out_ifindex ? link_of(found.way.out_ifindex) : NULL;
	switch (packet->hook) {
	case HOOK_FROM_WORKLOAD:
		why = stages_from_workload(packet, in, out, &found, settings);
		break;
	case HOOK_FROM_NETWORK:
		why = stages_from_network(packet, in, out, &found);
		break;
	case HOOK_TO_NETWORK:
		if (!found.to_host || !(packet->flow_flags & FLOW_TRANSLATE_DST)) /* through a service to itself: it never leaves */
			why = stages_to_network(packet, skb, in, out, &found);
		break;
	case HOOK_TO_WORKLOAD:
		if (skb->ingress_ifindex) { /* the host's own rules made it this workload's: hostPort, a port published by another tool */
			packet->flow_flags |= FLOW_BY_STACK;
			why = add_workload_stage(packet, in, STAGE_INGRESS) ? REASON_NO_POLICY : 0;
		}
		break;
	}
	if (why)
		DROP(skb, packet, why);
	if (packet->stage_count && (settings->flags & SETTING_DROP_INVALID) &&
	    (packet->flags & (PACKET_BEGINS_NOTHING | PACKET_UNTRACKED)) == PACKET_BEGINS_NOTHING)
		DROP(skb, packet, REASON_INVALID);
	if (packet->flags & PACKET_UNREACHED) {
		add_stage(packet, PROGRAM_REJECT, 0);
		goto run;
	}
	if (packet->hook == HOOK_TO_WORKLOAD) {
		packet->way.forward = FORWARD_STACK;
		packet->endpoint = in->endpoint;
	} else if (packet->hook == HOOK_TO_NETWORK && !(packet->flow_flags & FLOW_TRANSLATE_DST)) {
		packet->way.forward = FORWARD_STACK; /* the stack routed it already, and asked for the neighbour */
	} else if (packet->way.forward != FORWARD_TUNNEL) {
		packet->way = found.way;
		packet->endpoint = found.endpoint;
	}
	if (packet->hook != HOOK_FROM_WORKLOAD && packet->hook != HOOK_TO_WORKLOAD && !found.workload &&
	    is_none_of_ours(packet, in, out))
		return up_to_host(skb);
	if (is_multicast(&packet->now.dst, packet->family))
		packet->flags |= PACKET_NO_FLOW;
	add_stage(packet, PROGRAM_ADMIT, 0);
run:
	bpf_tail_call(skb, &programs, packet->stages[0]);
	DROP(skb, packet, REASON_NO_POLICY);
}

SEC("tc")
int to_host(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct settings *settings = these_settings();

	if (!packet || !settings)
		return TCX_DROP;
	if (!settings->endpoint_to_host)
		DROP(skb, packet, REASON_TO_HOST);
	packet->next++;
	bpf_tail_call(skb, &programs, packet->stages[packet->next & (MAX_STAGES - 1)]);
	DROP(skb, packet, REASON_NO_POLICY);
}
