// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* PROGRAM_ADMIT: all policies have accepted. The flow is made, the packet translated and sent on. */
#pragma once
#include "judged.h"
#include "services.h"

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
	if (packet->hook == HOOK_FROM_WORKLOAD) /* whose egress policy comes first: an answer that comes late must not go to its address's heir */
		flow->endpoint = packet->endpoints[0];
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
	packet->now.src_port = settings->nat_port_first + bpf_get_prandom_u32() % (settings->nat_port_count ?: 1);
	packet->flow_flags |= FLOW_TRANSLATE_SRC;
	answers->flags |= FLOW_TRANSLATE_DST;
}

/*
 * Of a workload that goes out by this host's address; or of this host's to a service, while it is connected to the backend itself
 * from that port. A UDP socket need not be connected: there the lookup would find the one that asks.
 */
ALWAYS_INLINE int is_in_hosts_way(struct __sk_buff *skb, const struct packet *packet)
{
	if (packet->hook == HOOK_TO_NETWORK && packet->now.protocol == IPPROTO_TCP)
		return (packet->flow_flags & FLOW_TRANSLATES) && is_hosts(skb, packet);
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
		if (!there || same_tuple(&there->to, &flow->to))
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
