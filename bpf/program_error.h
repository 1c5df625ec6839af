// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* PROGRAM_ERROR: an ICMP error follows the flow that it is about. */
#pragma once
#include "icmp.h"
#include "judged.h"

/* To who sent what it is about, from where that went to (RFC 792, RFC 5927 section 4.1): any other is policy's, like all that begins. */
ALWAYS_INLINE int is_error_about(const struct flow *flow, struct __sk_buff *skb, const struct parsed *p, const struct parsed *quoted, __u8 hook)
{
	if (!same_address(&p->tuple.dst, &quoted->tuple.src))
		return 0;
	return !is_from_network(hook) || may_come_in(flow, skb, hook);
}

SEC("tc")
int error(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct settings *settings = these_settings();
	struct parsed p, quoted;
	struct tuple key, inner, outer;
	struct found found = {};
	struct flow *flow;
	__u32 hook;

	if (!packet || !settings)
		return TCX_DROP;
	hook = packet->hook;
	if (parse(skb, &p) != PARSED)
		return TCX_DROP;
	if (parse_quoted(skb, &p, &quoted))
		return refuse(skb, &p, hook, REASON_INVALID);
	turn_round(&key, &quoted.tuple);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow || !is_error_about(flow, skb, &p, &quoted, hook)) {
		if (packet->flags & PACKET_TUNNELLED)
			return refuse(skb, &p, hook, REASON_INVALID);
		if ((hook == HOOK_FROM_NETWORK || hook == HOOK_TO_NETWORK) || !(settings->flags & SETTING_DROP_INVALID)) {
			bpf_tail_call(skb, &programs, PROGRAM_ROUTE);
			return TCX_DROP;
		}
		return refuse(skb, &p, hook, REASON_INVALID);
	}
	/* as the flow's own packets of this direction go on, so does the error about those of the other */
	turn_round(&inner, &flow->to);
	outer = p.tuple;
	if (same_address(&p.tuple.src, &quoted.tuple.dst))
		outer.src = flow->to.src;
	outer.dst = flow->to.dst;
	if (flow->way.forward == FORWARD_TUNNEL || ((flow->flags & FLOW_TUNNEL_IN) && !(flow->flags & FLOW_DSR))) {
		packet->via = flow->via;
		packet->way.forward = FORWARD_TUNNEL;
	}
	if (flow->flags & FLOW_TRANSLATES) {
		if (translate_quoted(skb, &p, &quoted, &inner) || translate(skb, &p, &outer))
			return refuse(skb, &p, hook, REASON_REWRITE);
	}
	if (packet->way.forward == FORWARD_TUNNEL) {
		bpf_tail_call(skb, &programs, PROGRAM_TUNNEL);
		return TCX_DROP;
	}
	if (!is_from_network(hook))
		return up_the_stack(skb);
	find_way(skb, &outer, p.family | hook << 8, &found);
	return send(skb, &p, &found.way, hook);
}
