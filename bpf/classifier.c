// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The programs at the links, and those that they hand a packet to.
 *
 *     from_workload, from_network, to_workload, to_network      known flow: follow it, one lookup, done
 *         '-> (untracked policy) -> track -> service -> route -> policy, policy, ... -> admit
 *                                                                       '-> drop
 *
 * A packet of no known flow goes through all of them once. `programs` holds the C programs at fixed places and, behind, the
 * policies that src/drivers/ebpf/compile.ts writes: `route` puts the ones this packet must meet into packet.stages, each ends
 * by calling the next, and `admit` is always last. An empty place in `programs` ends in a drop.
 *
 * Next: flows.h (known flows), way.h (where to), services.h, tunnel.h, icmp.h.
 */
#include "flows.h"
#include "icmp.h"
#include "services.h"
#include "tunnel.h"

char LICENSE[] SEC("license") = "GPL";

/* ---- a packet of no known flow ---- */

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

/* What the host sends would be answered to a workload that went out by the host's address with the same port. */
ALWAYS_INLINE int is_answered_to_another(const struct packet *packet)
{
	struct flow *answers;
	struct tuple key;

	if (packet->hook != HOOK_TO_NETWORK)
		return 0;
	turn_round(&key, &packet->now);
	answers = bpf_map_lookup_elem(&flows, &key);
	return answers && (answers->flags & (FLOW_REPLY | FLOW_TRANSLATE_DST)) == (FLOW_REPLY | FLOW_TRANSLATE_DST);
}

/* Nobody has a say, about the answers neither, and nothing is translated: then it is the stack's. */
ALWAYS_INLINE int is_none_of_ours(const struct packet *packet, const struct link *in, const struct link *out)
{
	if (packet->stage_count || packet->flow_flags || in->endpoint)
		return 0;
	return (!out || !out->endpoint) && !is_answered_to_another(packet);
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

/* ---- services ---- */

ALWAYS_INLINE __u8 scope_of(const struct packet *packet, const struct route *client)
{
	if (packet->flags & PACKET_TUNNELLED)
		return SCOPE_TUNNEL;
	if (packet->hook != HOOK_FROM_NETWORK)
		return SCOPE_INSIDE;
	return client && (client->flags & (ROUTE_POOL | ROUTE_NODE | ROUTE_WORKLOAD)) ? SCOPE_INSIDE : SCOPE_OUTSIDE;
}

ALWAYS_INLINE void translate_to(struct packet *packet, const struct backend *backend, const struct settings *settings)
{
	packet->now.dst = backend->address;
	packet->now.dst_port = backend->port;
	packet->flow_flags |= FLOW_TRANSLATE_DST;
	if (!same_address(&packet->now.dst, &packet->now.src))
		return;
	/* who reaches itself through its service must not see its own address as the client's: its answers would never leave it */
	if (is_from_network(packet->hook))
		packet->now.src = packet->family == 4 ? settings->own[0] : settings->own[1];
	else /* a node: that is its own address too */
		packet->now.src = packet->arrived.dst;
	packet->flow_flags |= FLOW_TRANSLATE_SRC;
}

/* Whoever does not start here may not be answered from here: the other node keeps the client's address. */
ALWAYS_INLINE void lead_to_node(struct packet *packet, const struct backend *backend, const struct route *at,
				const struct settings *settings, int is_answered_straight)
{
	if (at && (at->flags & ROUTE_WORKLOAD) && !is_zero(&at->via)) {
		packet->via = at->via;
	} else if (at && (at->flags & ROUTE_NODE)) {
		packet->via = backend->address;
	} else { /* outside the cluster: it can only answer us */
		translate_to(packet, backend, settings);
		packet->now.src = packet->family == 4 ? settings->own[0] : settings->own[1];
		packet->flow_flags |= FLOW_TRANSLATE_SRC;
		return;
	}
	packet->way.forward = FORWARD_TUNNEL;
	packet->flow_flags |= FLOW_TO_TUNNEL;
	packet->backend = backend->address;
	packet->backend_port = backend->port;
	if (is_answered_straight)
		packet->flow_flags |= FLOW_DSR;
}

ALWAYS_INLINE int is_dsr(const struct settings *settings, const struct route *client)
{
	return (settings->flags & SETTING_DSR) && !(client && (client->flags & ROUTE_DSR_OPT_OUT));
}

/*
 * Whoever starts here need not go by way of the node that he asks: there his packets would come back to us by the tunnel as if they
 * were another's.
 */
ALWAYS_INLINE int is_asked_as_node(const struct packet *packet, const struct route *at)
{
	if (packet->flags & PACKET_TUNNELLED)
		return 1;
	if (!at || !(at->flags & ROUTE_NODE))
		return 0;
	return packet->hook != HOOK_FROM_NETWORK || (at->flags & ROUTE_LOCAL);
}

SEC("tc")
int service(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct settings *settings = these_settings();
	struct route *client, *at;
	struct frontend *frontend;
	struct backend backend = {};
	int is_local;
	__u8 scope;

	if (!packet || !settings)
		return TCX_DROP;
	at = route_to(&packet->now.dst);
	client = route_to(&packet->now.src);
	scope = scope_of(packet, client);
	frontend = frontend_of(&packet->now, packet->family, scope, is_asked_as_node(packet, at));
	if (!frontend) {
		if (packet->flags & PACKET_TUNNELLED)
			DROP(skb, packet, REASON_NO_BACKEND);
		goto route;
	}
	packet->service = frontend->name;
	if (!is_welcome(frontend, &packet->now.src))
		DROP(skb, packet, REASON_SOURCE_RANGE);
	if (choose_backend(frontend, &packet->now, &backend)) {
		if (!(frontend->flags & FRONTEND_REJECT))
			DROP(skb, packet, REASON_NO_BACKEND);
		packet->flags |= PACKET_UNREACHED;
		goto route;
	}
	at = route_to(&backend.address);
	is_local = at && (at->flags & ROUTE_LOCAL);
	if (!is_local && (packet->flags & PACKET_TUNNELLED) && choose_local(frontend, &packet->now, &backend))
		DROP(skb, packet, REASON_NO_BACKEND);
	if (packet->hook == HOOK_FROM_NETWORK && !is_local && !(packet->flags & PACKET_TUNNELLED))
		lead_to_node(packet, &backend, at, settings, scope == SCOPE_OUTSIDE && is_dsr(settings, client));
	else
		translate_to(packet, &backend, settings);
	if (packet->flags & PACKET_TUNNELLED && is_dsr(settings, client) && scope == SCOPE_TUNNEL)
		packet->flow_flags |= FLOW_DSR;
route:
	bpf_tail_call(skb, &programs, PROGRAM_ROUTE);
	return refuse(skb, NULL, 0, REASON_NO_POLICY);
}

/* ---- which policies, and where to ---- */

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
ALWAYS_INLINE void stages_to_network(struct packet *packet, struct __sk_buff *skb, const struct link *out)
{
	if (skb->ingress_ifindex)
		add_host_stage(packet, out, STAGE_FORWARD_OUT);
	else if (!is_packet_discovery(packet))
		add_host_stage(packet, out, STAGE_EGRESS);
}

/* A source that nobody beyond has: RFC 1812 section 5.3.7. What goes on past the stack does not meet its checks (fib_validate_source). */
ALWAYS_INLINE int is_martian(const struct packet *packet)
{
	struct route *from = route_to(&packet->arrived.src);

	if (from && (from->flags & (ROUTE_NODE | ROUTE_LOCAL)) == (ROUTE_NODE | ROUTE_LOCAL))
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
			stages_to_network(packet, skb, in);
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

/* ---- all policies have accepted ---- */

ALWAYS_INLINE void parsed_of(struct parsed *p, const struct packet *packet)
{
	__builtin_memset(p, 0, sizeof(*p));
	p->tuple = packet->arrived;
	p->l3 = packet->l3;
	p->l4 = packet->l4;
	p->length = packet->length;
	p->family = packet->family;
	p->tcp_flags = packet->tcp_flags;
	p->icmp_type = packet->icmp_type;
	p->icmp_code = packet->icmp_code;
	p->part = packet->fragment;
}

ALWAYS_INLINE __u64 deciding_rule(const struct packet *packet)
{
	__u64 rule = 0;
	int i;

	for (i = 0; i < MAX_STAGES; i++)
		if (packet->rules[i])
			rule = packet->rules[i];
	return rule;
}

ALWAYS_INLINE void fill_forward(struct flow *flow, const struct packet *packet, const struct settings *settings)
{
	flow->seen = flow->created = bpf_ktime_get_coarse_ns();
	flow->to = packet->now;
	flow->via = packet->via;
	flow->endpoint = packet->endpoint;
	flow->service = packet->service;
	flow->rule = deciding_rule(packet);
	flow->flags = packet->flow_flags;
	flow->in_ifindex = packet->hook == HOOK_FROM_NETWORK ? ANY_NETWORK : packet->ifindex;
	flow->way = packet->way;
	flow->generation = settings->generation;
	flow->judgement = settings->judgement;
	flow->tcp_seen = packet->tcp_flags;
	flow->backend = packet->backend;
	flow->backend_port = packet->backend_port;
}

/* Where answers come in follows from where the packet goes to. */
ALWAYS_INLINE __u32 answers_come_from(struct __sk_buff *skb, const struct packet *packet)
{
	if (packet->hook == HOOK_TO_WORKLOAD)
		return skb->ifindex;
	if (packet->endpoint)
		return packet->way.out_ifindex;
	if (packet->way.forward == FORWARD_SELF)
		return 0;
	if (packet->hook == HOOK_TO_NETWORK || packet->way.forward == FORWARD_TUNNEL || packet->way.out_ifindex)
		return ANY_NETWORK;
	return 0;
}

ALWAYS_INLINE void fill_answers(struct flow *flow, struct __sk_buff *skb, const struct packet *packet)
{
	flow->seen = flow->created = bpf_ktime_get_coarse_ns();
	turn_round(&flow->to, &packet->arrived);
	flow->service = packet->service;
	flow->rule = deciding_rule(packet);
	flow->flags = FLOW_REPLY | (packet->flow_flags & (FLOW_DSR | FLOW_BY_STACK));
	if (packet->flow_flags & FLOW_TRANSLATE_DST)
		flow->flags |= FLOW_TRANSLATE_SRC;
	if (packet->flow_flags & FLOW_TRANSLATE_SRC)
		flow->flags |= FLOW_TRANSLATE_DST;
	flow->in_ifindex = answers_come_from(skb, packet);
	if (packet->flags & PACKET_TUNNELLED) {
		flow->flags |= FLOW_TUNNEL_IN;
		flow->via = packet->via;
	}
}

#define PORT_TRIES 16

/* A process of this host talks to the same peer from that port, or listens there: what comes back would be taken from it. */
ALWAYS_INLINE int is_hosts(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sock;
	__u32 size;

	if (packet->family == 4) {
		tuple.ipv4.saddr = packet->now.dst.word[3];
		tuple.ipv4.daddr = packet->now.src.word[3];
		tuple.ipv4.sport = bpf_htons(packet->now.dst_port);
		tuple.ipv4.dport = bpf_htons(packet->now.src_port);
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &packet->now.dst, 16);
		__builtin_memcpy(tuple.ipv6.daddr, &packet->now.src, 16);
		tuple.ipv6.sport = bpf_htons(packet->now.dst_port);
		tuple.ipv6.dport = bpf_htons(packet->now.src_port);
		size = sizeof(tuple.ipv6);
	}
	if (packet->now.protocol == IPPROTO_TCP)
		sock = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else if (packet->now.protocol == IPPROTO_UDP)
		sock = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		return 0;
	if (!sock)
		return 0;
	bpf_sk_release(sock);
	return 1;
}

ALWAYS_INLINE void take_another_port(struct packet *packet, struct flow *answers, const struct settings *settings)
{
	packet->now.src_port = settings->nat_port_first + bpf_get_prandom_u32() % (settings->nat_port_count | 1);
	packet->flow_flags |= FLOW_TRANSLATE_SRC;
	answers->flags |= FLOW_TRANSLATE_DST;
}

/* Of a workload that goes out by this host's address. */
ALWAYS_INLINE int is_in_hosts_way(struct __sk_buff *skb, const struct packet *packet)
{
	return is_from_network(packet->hook) && (packet->flow_flags & FLOW_TRANSLATE_SRC) && is_hosts(skb, packet);
}

/* The answers' tuple must be nobody else's: if need be under another source port. 0, or why not. */
ALWAYS_INLINE int insert_answers(struct __sk_buff *skb, struct flow *flow, struct packet *packet, const struct settings *settings)
{
	struct tuple key;
	struct flow *there;
	int i;

	for (i = 0; i < PORT_TRIES; i++) {
		long result;

		if (i) /* here, not at the ends: Linux 6.1 takes a loop only that is closed by a jump (check_cfg) */
			take_another_port(packet, flow, settings);
		if (is_in_hosts_way(skb, packet))
			continue;
		turn_round(&key, &packet->now);
		result = bpf_map_update_elem(&flows, &key, flow, BPF_NOEXIST);
		if (result == 0)
			return 0;
		if (result != -17) /* EEXIST */
			return REASON_TABLE_FULL;
		there = bpf_map_lookup_elem(&flows, &key);
		if (!there || same_tuple(&there->to, &flow->to) ||
		    !((packet->flow_flags & FLOW_TRANSLATES) || packet->hook == HOOK_TO_NETWORK))
			return bpf_map_update_elem(&flows, &key, flow, BPF_ANY) ? REASON_TABLE_FULL : 0;
	}
	return REASON_NO_PORT;
}

NEVER_INLINE int make_flow(struct __sk_buff *skb, struct packet *packet, const struct settings *settings)
{
	struct flow flow = {};
	struct tuple answers;
	int why;

	if (!packet || !settings)
		return REASON_NO_POLICY;
	fill_answers(&flow, skb, packet);
	why = insert_answers(skb, &flow, packet, settings);
	if (why)
		return why;
	__builtin_memset(&flow, 0, sizeof(flow));
	fill_forward(&flow, packet, settings);
	if (!bpf_map_update_elem(&flows, &packet->arrived, &flow, BPF_ANY))
		return 0;
	turn_round(&answers, &packet->now); /* they answer nothing */
	bpf_map_delete_elem(&flows, &answers);
	return REASON_TABLE_FULL;
}

ALWAYS_INLINE int makes_flow(const struct packet *packet)
{
	if (packet->flags & (PACKET_UNTRACKED | PACKET_NO_FLOW))
		return 0;
	return 1;
}

SEC("tc")
int admit(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct settings *settings = these_settings();
	struct parsed p;
	int why;

	if (!packet || !settings)
		return TCX_DROP;
	if (makes_flow(packet)) {
		why = make_flow(skb, packet, settings);
		if (why)
			DROP(skb, packet, why);
	}
	count_rules(packet);
	if ((settings->flags & SETTING_TELL_ALLOWED) || packet->log_count)
		tell(packet, VERDICT_ALLOWED);
	parsed_of(&p, packet);
	if (!(packet->flow_flags & FLOW_TRANSLATES) && packet->way.forward != FORWARD_TUNNEL)
		return send(skb, &p, &packet->way, packet->hook);
	return pass_on(skb, &p, packet, &packet->way, &packet->now);
}

/* ---- known flows whose way must be found anew ---- */

ALWAYS_INLINE int is_own_source(struct __sk_buff *skb, const struct parsed *p)
{
	struct route *route = route_to(&p->tuple.src);

	if (!route || route->ifindex != skb->ifindex)
		return 0;
	return (route->flags & (ROUTE_WORKLOAD | ROUTE_LOCAL)) == (ROUTE_WORKLOAD | ROUTE_LOCAL);
}

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
	flow->way = found.way;
	flow->endpoint = found.endpoint;
	flow->generation = settings->generation;
	return follow(skb, &p, flow, hook);
}

/* ---- tunnel ---- */

SEC("tc")
int tunnel(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct settings *settings = these_settings();
	struct bpf_fib_lookup fib = {};
	struct parsed p;
	__u32 hash, room;
	__u16 mtu;
	int result;

	if (!packet || !settings || parse(skb, &p) != PARSED)
		return TCX_DROP;
	fib.family = p.family == 4 ? 2 : 10;
	fib.l4_protocol = IPPROTO_UDP;
	fib.ifindex = skb->ifindex;
	if (p.family == 4) {
		fib.ipv4_src = settings->own[0].word[3];
		fib.ipv4_dst = packet->via.word[3];
	} else {
		__builtin_memcpy(fib.ipv6_src, &settings->own[1], 16);
		__builtin_memcpy(fib.ipv6_dst, &packet->via, 16);
	}
	result = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH && result != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return refuse(skb, &p, packet->hook, REASON_TUNNEL);
	room = p.family == 4 ? sizeof(struct outer4) : sizeof(struct outer6);
	mtu = mtu_of(&fib, result);
	if (mtu > room && is_longer(skb, &p, mtu - room)) {
		packet->length = mtu - room;
		bpf_tail_call(skb, &programs, PROGRAM_TOO_BIG);
		return refuse(skb, &p, packet->hook, REASON_TOO_BIG);
	}
	if (is_for_others(skb))
		return up_the_stack(skb);
	if (is_from_network(packet->hook) && count_hop(skb, p.family) == HOP_LAST) {
		bpf_tail_call(skb, &programs, PROGRAM_EXPIRED);
		return refuse(skb, &p, packet->hook, REASON_HOP_LIMIT);
	}
	if ((packet->flow_flags & FLOW_TRANSLATES) && translate(skb, &p, &packet->now))
		return refuse(skb, &p, packet->hook, REASON_REWRITE);
	hash = hash_of(&p.tuple);
	result = p.family == 4 ? put_in4(skb, &settings->own[0], &packet->via, hash, settings->tunnel_port)
			       : put_in6(skb, &settings->own[1], &packet->via, hash, settings->tunnel_port);
	if (result)
		return refuse(skb, &p, packet->hook, REASON_REWRITE);
	skb->mark |= MARK_ACCEPTED;
	return bpf_redirect_neigh(fib.ifindex, NULL, 0, 0);
}

/* ---- telling the sender ---- */

ALWAYS_INLINE int back_to_sender(struct __sk_buff *skb, const struct packet *packet)
{
	if (turn_macs(skb))
		return TCX_DROP;
	skb->mark |= MARK_ACCEPTED;
	return bpf_redirect(skb->ifindex, is_from_network(packet->hook) ? 0 : BPF_F_INGRESS);
}

/* Turns the packet into an error about itself, back to where it came from. */
ALWAYS_INLINE int say(struct __sk_buff *skb, struct packet *packet, const struct address *from, const struct saying *saying)
{
	int result;

	if (packet->family == 4 && packet->l4 != ETH_HLEN + 20)
		return TCX_DROP; /* with options no port would be quoted: silence */
	result = packet->family == 4 ? say4(skb, from, &packet->arrived.src, saying) : say6(skb, from, &packet->arrived.src, saying);
	return result ? TCX_DROP : back_to_sender(skb, packet);
}

/* A client that is still in connect(2) on this processor hears of no ICMP error, but of a reset: net/ipv6/tcp_ipv6.c, tcp_v6_err. */
ALWAYS_INLINE int reset(struct __sk_buff *skb, struct packet *packet)
{
	int result;

	if (packet->tcp_flags & TCP_RST || packet->l4 != ETH_HLEN + (packet->family == 4 ? 20 : 40))
		return TCX_DROP;
	result = packet->family == 4 ? reset4(skb, packet) : reset6(skb, packet);
	return result ? TCX_DROP : back_to_sender(skb, packet);
}

SEC("tc")
int reject(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct saying saying = {.type = 3, .code = 3}; /* port unreachable */

	if (!packet)
		return TCX_DROP;
	if (packet->family == 6) {
		saying.type = 1;
		saying.code = 4;
	}
	packet->reason = REASON_REJECTED;
	count_drop(REASON_REJECTED);
	count_rules(packet);
	tell(packet, VERDICT_DENIED);
	return packet->now.protocol == IPPROTO_TCP ? reset(skb, packet) : say(skb, packet, &packet->arrived.dst, &saying);
}

/* Of a packet as it came: it was not yet translated. */
ALWAYS_INLINE int record_anew(struct packet *packet, struct __sk_buff *skb, __u32 reason)
{
	struct parsed p;
	__u8 hook = packet->hook;

	if (parse(skb, &p) != PARSED)
		return -1;
	record(packet, skb, &p, hook);
	packet->reason = reason;
	count_drop(reason);
	return 0;
}

/* packet->length is what the way takes: RFC 1191, RFC 8201. */
SEC("tc")
int too_big(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct saying saying = {.type = 3, .code = 4};

	if (!packet)
		return TCX_DROP;
	saying.value = packet->length;
	if (record_anew(packet, skb, REASON_TOO_BIG))
		return TCX_DROP;
	if (packet->family == 6)
		saying.type = 2, saying.code = 0;
	return say(skb, packet, &packet->arrived.dst, &saying);
}

/* RFC 1812 section 5.3.1, RFC 4443 section 3.3. */
SEC("tc")
int expired(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct settings *settings = these_settings();
	struct saying saying = {.type = 11};
	struct address from;

	if (!packet || !settings || record_anew(packet, skb, REASON_HOP_LIMIT))
		return TCX_DROP;
	if (packet->family == 6)
		saying.type = 3;
	from = packet->family == 4 ? settings->own[0] : settings->own[1];
	return say(skb, packet, is_zero(&from) ? &packet->arrived.dst : &from, &saying);
}

/* ---- ICMP errors ---- */

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

/* ---- the hooks ---- */

/* Behind untracked policy. */
ALWAYS_INLINE int track_packet(struct __sk_buff *skb, struct parsed *p, __u8 hook, struct packet *packet)
{
	struct settings *settings = these_settings();
	struct flow *flow;
	__u32 flags = 0;

	if (!settings)
		return TCX_DROP;
	if (packet)
		flags = packet->flags;
	if (!(flags & PACKET_UNTRACKED)) {
		flow = known_flow(skb, p, hook, settings);
		if (flow) {
			if (flow->generation == settings->generation && flow->way.forward != FORWARD_UNKNOWN)
				return follow(skb, p, flow, hook);
			packet = this_packet();
			if (!packet)
				return TCX_DROP;
			packet->hook = hook;
			bpf_tail_call(skb, &programs, PROGRAM_RESOLVE);
			return TCX_DROP;
		}
	}
	if (!packet) {
		packet = this_packet();
		if (!packet)
			return TCX_DROP;
		record(packet, skb, p, hook);
	}
	if (flags & PACKET_TUNNELLED)
		packet->flags |= PACKET_TUNNELLED;
	if (p->begins_none && !(flags & PACKET_UNTRACKED)) {
		packet->flags |= PACKET_NO_FLOW;
		if (is_icmp_error(p->tuple.protocol, p->icmp_type)) {
			bpf_tail_call(skb, &programs, PROGRAM_ERROR);
			return TCX_DROP;
		}
	}
	if (flags & PACKET_UNTRACKED || p->begins_none || p->part == PART_LATER) {
		if (flags & PACKET_TUNNELLED) /* for what goes to services alone: no policy of this host would look */
			return refuse(skb, p, hook, REASON_INVALID);
		bpf_tail_call(skb, &programs, PROGRAM_ROUTE);
		return TCX_DROP;
	}
	bpf_tail_call(skb, &programs, PROGRAM_SERVICE);
	return TCX_DROP;
}

SEC("tc")
int track(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct parsed p;

	if (!packet || parse(skb, &p) != PARSED)
		return TCX_DROP;
	packet->next = 0;
	packet->stage_count = 0;
	return track_packet(skb, &p, packet->hook, packet);
}

/* RFC 9293 section 3.10.7.1: what cannot begin a connection; connection tracking's `invalid`. */
ALWAYS_INLINE int begins_nothing(const struct parsed *p)
{
	if (p->begins_none)
		return !is_icmp_error(p->tuple.protocol, p->icmp_type) && !is_neighbour_discovery(p);
	if (p->tuple.protocol != IPPROTO_TCP)
		return 0;
	return (p->tcp_flags & TCP_RST) || (p->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

/* Link-local or no address yet: RFC 4861, RFC 4862. */
ALWAYS_INLINE int is_nodes_neighbour(const struct parsed *p)
{
	if (p->family != 6 || p->tuple.protocol != IPPROTO_ICMPV6)
		return 0;
	return is_zero(&p->tuple.src) || (p->tuple.src.word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

struct arp_body {
	__be16 hardware, protocol;
	__u8 hardware_length, protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__be32 sender;
	__u8 target_mac[6];
	__be32 target;
} __attribute__((packed));

/* A workload speaks for itself alone: RFC 826, RFC 5227 (no address yet). */
ALWAYS_INLINE int is_own_arp(struct __sk_buff *skb)
{
	struct arp_body arp;
	struct parsed p = {};
	__u8 mac[6];
	int i;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)) || bpf_skb_load_bytes(skb, 6, mac, 6))
		return 0;
	if (arp.hardware != bpf_htons(1) || arp.protocol != bpf_htons(ETH_P_IP) || arp.hardware_length != 6 || arp.protocol_length != 4)
		return 0;
	for (i = 0; i < 6; i++)
		if (mac[i] != arp.sender_mac[i])
			return 0;
	if (arp.sender == 0)
		return 1;
	map_ipv4(&p.tuple.src, arp.sender);
	return is_own_source(skb, &p);
}

ALWAYS_INLINE int is_group_source(struct __sk_buff *skb)
{
	__u8 first = 1;

	return bpf_skb_load_bytes(skb, 6, &first, 1) || (first & 1); /* IEEE 802.3 section 3.2.3 */
}

/* Workloads must not forge the fabric's own packets. */
ALWAYS_INLINE int is_forged_tunnel(const struct parsed *p, const struct settings *settings)
{
	if (p->tuple.protocol == IPPROTO_IPIP)
		return !(settings->flags & SETTING_IPIP_FROM_WORKLOADS);
	return p->tuple.protocol == IPPROTO_UDP && p->tuple.dst_port == settings->tunnel_port &&
	       !(settings->flags & SETTING_VXLAN_FROM_WORKLOADS);
}

SEC("tc")
int from_workload(struct __sk_buff *skb)
{
	struct settings *settings = these_settings();
	struct flow *flow;
	struct parsed p;
	int result;

	if (!settings)
		return TCX_DROP;
	if (skb->vlan_present)
		return refuse(skb, NULL, HOOK_FROM_WORKLOAD, REASON_NOT_IP);
	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return is_own_arp(skb) && !is_group_source(skb) ? TCX_NEXT : refuse(skb, NULL, HOOK_FROM_WORKLOAD, REASON_SPOOFED);
	result = parse(skb, &p);
	if (result == PARSED) {
		flow = known_flow(skb, &p, HOOK_FROM_WORKLOAD, settings);
		if (flow && flow->generation == settings->generation && flow->way.forward != FORWARD_UNKNOWN)
			return follow(skb, &p, flow, HOOK_FROM_WORKLOAD);
	}
	bpf_tail_call(skb, &programs, PROGRAM_FROM_WORKLOAD);
	return TCX_DROP;
}

/* All that a packet of no known flow must stand before its policy is asked. */
SEC("tc")
int from_workload_new(struct __sk_buff *skb)
{
	struct settings *settings = these_settings();
	struct parsed p;
	int result;

	if (!settings)
		return TCX_DROP;
	result = parse(skb, &p);
	if (result != PARSED)
		return refuse(skb, &p, HOOK_FROM_WORKLOAD,
			      result == PARSE_NOT_IP ? REASON_NOT_IP : result == PARSE_NO_FIRST_PART ? REASON_FRAGMENT : REASON_MALFORMED);
	if (is_group_source(skb))
		return refuse(skb, &p, HOOK_FROM_WORKLOAD, REASON_SPOOFED);
	if (p.family == 6 && p.tuple.protocol == IPPROTO_ICMPV6 && (p.icmp_type == 134 || p.icmp_type == 137))
		return refuse(skb, &p, HOOK_FROM_WORKLOAD, REASON_ROUTER_MESSAGE);
	if (is_nodes_neighbour(&p)) /* never forwarded: RFC 4291 section 2.5.6 */
		return is_neighbour_discovery(&p) ? up_the_stack(skb) : refuse(skb, &p, HOOK_FROM_WORKLOAD, REASON_SPOOFED);
	if (!is_own_source(skb, &p))
		return refuse(skb, &p, HOOK_FROM_WORKLOAD, REASON_SPOOFED);
	if (is_neighbour_discovery(&p)) {
		struct route *to = route_to(&p.tuple.dst);

		if (is_multicast(&p.tuple.dst, 6) || (to && (to->flags & ROUTE_NODE) && (to->flags & ROUTE_LOCAL)) ||
		    (p.tuple.dst.word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000))
			return up_the_stack(skb);
	}
	if (is_forged_tunnel(&p, settings))
		return refuse(skb, &p, HOOK_FROM_WORKLOAD, REASON_TUNNEL);
	if ((settings->flags & SETTING_DROP_INVALID) && begins_nothing(&p) && !known_flow(skb, &p, HOOK_FROM_WORKLOAD, settings))
		return refuse(skb, &p, HOOK_FROM_WORKLOAD, REASON_INVALID);
	return track_packet(skb, &p, HOOK_FROM_WORKLOAD, NULL);
}

SEC("tc")
int to_workload(struct __sk_buff *skb)
{
	struct settings *settings = these_settings();
	struct parsed p;
	int result;

	if (!settings || skb->vlan_present)
		return TCX_DROP;
	if (skb->mark & MARK_ACCEPTED)
		return TCX_NEXT;
	if (skb->ingress_ifindex && !(skb->mark & MARK_TO_HOST)) /* forwarded, and none of our programs saw it */
		return refuse(skb, NULL, HOOK_TO_WORKLOAD, REASON_UNJUDGED);
	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return TCX_NEXT;
	result = parse(skb, &p);
	if (result != PARSED)
		return refuse(skb, &p, HOOK_TO_WORKLOAD, result == PARSE_NO_FIRST_PART ? REASON_FRAGMENT : REASON_MALFORMED);
	if (is_neighbour_discovery(&p) && !skb->ingress_ifindex) /* what comes from elsewhere is not the node's own talk with it */
		return TCX_NEXT;
	return track_packet(skb, &p, HOOK_TO_WORKLOAD, NULL);
}

/* Untracked policy looks at every packet before flows do; failsafe ports are its own affair. */
ALWAYS_INLINE int ask_untracked(struct __sk_buff *skb, const struct parsed *p, __u8 hook, __u32 program, __u64 endpoint)
{
	struct packet *packet = this_packet();

	if (!packet)
		return TCX_DROP;
	record(packet, skb, p, hook);
	packet->stages[0] = program;
	packet->endpoints[0] = endpoint;
	packet->stages[1] = PROGRAM_TRACK;
	packet->stage_count = 2;
	bpf_tail_call(skb, &programs, program);
	packet->reason = REASON_NO_POLICY;
	bpf_tail_call(skb, &programs, PROGRAM_DROP);
	return TCX_DROP;
}

/* A packet in the nodes' own tunnel. */
ALWAYS_INLINE int is_from_node(const struct parsed *p)
{
	struct route *from = route_to(&p->tuple.src), *to = route_to(&p->tuple.dst);

	return from && to && (from->flags & ROUTE_NODE) && !(from->flags & ROUTE_LOCAL) && (to->flags & ROUTE_NODE) &&
	       (to->flags & ROUTE_LOCAL);
}

SEC("tc")
int from_network(struct __sk_buff *skb)
{
	struct settings *settings = these_settings();
	struct link *link;
	struct parsed p;
	__u32 untracked;
	int result;

	if (!settings)
		return TCX_DROP;
	if (skb->vlan_present || (skb->mark & MARK_ACCEPTED))
		return TCX_NEXT; /* the VLAN's own link judges it; what we said ourselves is judged */
	result = parse(skb, &p);
	if (result == PARSE_NOT_IP)
		return TCX_NEXT;
	if (result != PARSED)
		return refuse(skb, &p, HOOK_FROM_NETWORK, result == PARSE_NO_FIRST_PART ? REASON_FRAGMENT : REASON_MALFORMED);
	if (is_ours(skb, &p, settings->tunnel_port)) {
		bpf_tail_call(skb, &programs, PROGRAM_FROM_TUNNEL);
		return TCX_DROP;
	}
	link = link_of(skb->ifindex);
	if (!link)
		return refuse(skb, &p, HOOK_FROM_NETWORK, REASON_UNKNOWN_LINK);
	untracked = policy_of(link, p.family, STAGE_UNTRACKED_IN);
	if (untracked && !is_neighbour_discovery(&p))
		return ask_untracked(skb, &p, HOOK_FROM_NETWORK, untracked, link->endpoint);
	return track_packet(skb, &p, HOOK_FROM_NETWORK, NULL);
}

SEC("tc")
int from_tunnel(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct address node;
	struct parsed p;
	__u32 room;

	if (!packet || parse(skb, &p) != PARSED)
		return TCX_DROP;
	if (!is_from_node(&p))
		return refuse(skb, &p, HOOK_FROM_NETWORK, REASON_TUNNEL);
	node = p.tuple.src;
	room = room_inside(&p);
	if (take_out(skb, &p) || parse(skb, &p) != PARSED || p.length > room)
		return refuse(skb, NULL, HOOK_FROM_NETWORK, REASON_MALFORMED);
	record(packet, skb, &p, HOOK_FROM_NETWORK);
	packet->via = node;
	packet->flags |= PACKET_TUNNELLED;
	return track_packet(skb, &p, HOOK_FROM_NETWORK, packet);
}

SEC("tc")
int to_network(struct __sk_buff *skb)
{
	struct settings *settings = these_settings();
	struct link *link;
	struct parsed p;
	__u32 untracked;
	int result;

	if (!settings)
		return TCX_DROP;
	if ((skb->mark & MARK_ACCEPTED) || skb->vlan_present)
		return TCX_NEXT;
	result = parse(skb, &p);
	if (result == PARSE_NOT_IP)
		return TCX_NEXT;
	if (result != PARSED)
		return refuse(skb, &p, HOOK_TO_NETWORK, result == PARSE_NO_FIRST_PART ? REASON_FRAGMENT : REASON_MALFORMED);
	link = link_of(skb->ifindex);
	if (!link)
		return refuse(skb, &p, HOOK_TO_NETWORK, REASON_UNKNOWN_LINK);
	untracked = policy_of(link, p.family, STAGE_UNTRACKED_OUT);
	if (untracked && !skb->ingress_ifindex && !is_neighbour_discovery(&p))
		return ask_untracked(skb, &p, HOOK_TO_NETWORK, untracked, link->endpoint);
	return track_packet(skb, &p, HOOK_TO_NETWORK, NULL);
}
