// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* PROGRAM_RESOLVE: a known flow whose way out may be another now. */
#pragma once
#include "judged.h"

SEC("tc")
int resolve(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct settings *settings = these_settings();
	struct found found = {};
	struct parsed p;
	struct flow *flow;
	__u32 hook;

	if (!packet || !settings)
		return TCX_DROP;
	hook = packet->hook;
	if (parse(skb, &p) != PARSED)
		return refuse(skb, &p, hook, REASON_MALFORMED);
	flow = bpf_map_lookup_elem(&flows, &p.tuple);
	if (!flow)
		return refuse(skb, &p, hook, REASON_STALE);
	if ((flow->flags & FLOW_REPLY) && (flow->flags & FLOW_TUNNEL_IN) && !(flow->flags & FLOW_DSR)) {
		found.way.forward = FORWARD_TUNNEL;
	} else if (flow->flags & FLOW_TO_TUNNEL) {
		found.way.forward = FORWARD_TUNNEL;
	} else if ((flow->flags & (FLOW_REPLY | FLOW_BY_STACK)) == (FLOW_REPLY | FLOW_BY_STACK)) {
		found.way.forward = FORWARD_STACK;
	} else if (hook == HOOK_TO_WORKLOAD || (hook == HOOK_TO_NETWORK && !(flow->flags & FLOW_TRANSLATE_DST))) {
		found.way.forward = FORWARD_STACK;
		found.endpoint = flow->endpoint;
	} else {
		find_way(skb, &flow->to, p.family | hook << 8, &found);
	}
	/* another workload has that address now, or none has: what was allowed was allowed to the one before */
	if (hook == HOOK_FROM_WORKLOAD && !is_own_source(skb, &p)) {
		forget(&p.tuple, flow);
		return refuse(skb, &p, hook, REASON_STALE);
	}
	if (flow->endpoint && flow->endpoint != found.endpoint) {
		forget(&p.tuple, flow);
		return refuse(skb, &p, hook, REASON_STALE);
	}
	if (!flow->endpoint && found.endpoint && !(flow->flags & FLOW_REPLY)) {
		forget(&p.tuple, flow);
		return refuse(skb, &p, hook, REASON_STALE);
	}
	/* into its namespace it would go past the programs that close its link */
	if (found.workload && !(found.workload == 1 && link_of(found.way.out_ifindex)))
		return refuse(skb, &p, hook, REASON_NO_POLICY);
	flow->way = found.way;
	flow->endpoint = found.endpoint;
	flow->generation = settings->generation;
	return follow(skb, &p, flow, hook);
}
