// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* PROGRAM_TUNNEL: encapsulates, and says so where a packet is too big for that. */
#pragma once
#include "judged.h"
#include "services.h"
#include "tunnel.h"

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
