// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The programs at the links: a known flow is followed, all else starts on its way through the others. */
#pragma once
#include "judged.h"
#include "tunnel.h"

/* Of an IP packet. */
ALWAYS_INLINE __u32 unread_because(int result)
{
	return result == PARSE_NO_FIRST_PART ? REASON_FRAGMENT : REASON_MALFORMED;
}

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
			      result == PARSE_NOT_IP ? REASON_NOT_IP : unread_because(result));
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
		return refuse(skb, &p, HOOK_TO_WORKLOAD, unread_because(result));
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

/* VLAN 0 is a priority and no VLAN, IEEE 802.1Q section 9.6: no VLAN's link judges it, the stack takes it as untagged. */
ALWAYS_INLINE int is_priority_tagged(struct __sk_buff *skb)
{
	return skb->vlan_present && !(skb->vlan_tci & 0x0fff);
}

/* At a link of the network, either way: untracked policy where the packet may meet it, then the flows. */
ALWAYS_INLINE int at_network(struct __sk_buff *skb, struct parsed *p, __u8 hook, enum stage stage, int may_be_untracked)
{
	struct link *link = link_of(skb->ifindex);
	__u32 untracked;

	if (!link)
		return refuse(skb, p, hook, REASON_UNKNOWN_LINK);
	untracked = policy_of(link, p->family, stage);
	if (untracked && may_be_untracked && !is_neighbour_discovery(p))
		return ask_untracked(skb, p, hook, untracked, link->endpoint);
	return track_packet(skb, p, hook, NULL);
}

SEC("tc")
int from_network(struct __sk_buff *skb)
{
	struct settings *settings = these_settings();
	struct parsed p;
	int result;

	if (!settings)
		return TCX_DROP;
	if (is_priority_tagged(skb) && (bpf_skb_vlan_pop(skb) || is_priority_tagged(skb)))
		return refuse(skb, NULL, HOOK_FROM_NETWORK, REASON_NOT_IP);
	if (skb->vlan_present || (skb->mark & MARK_ACCEPTED))
		return TCX_NEXT; /* the VLAN's own link judges it; what we said ourselves is judged */
	result = parse(skb, &p);
	if (result == PARSE_NOT_IP)
		return TCX_NEXT;
	if (result != PARSED)
		return refuse(skb, &p, HOOK_FROM_NETWORK, unread_because(result));
	if (is_ours(skb, &p, settings->tunnel_port)) {
		bpf_tail_call(skb, &programs, PROGRAM_FROM_TUNNEL);
		return TCX_DROP;
	}
	return at_network(skb, &p, HOOK_FROM_NETWORK, STAGE_UNTRACKED_IN, 1);
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
	struct parsed p;
	int result;

	if (!settings)
		return TCX_DROP;
	if ((skb->mark & MARK_ACCEPTED) || skb->vlan_present)
		return TCX_NEXT;
	result = parse(skb, &p);
	if (result == PARSE_NOT_IP)
		return TCX_NEXT;
	if (result != PARSED)
		return refuse(skb, &p, HOOK_TO_NETWORK, unread_because(result));
	return at_network(skb, &p, HOOK_TO_NETWORK, STAGE_UNTRACKED_OUT, !skb->ingress_ifindex);
}
