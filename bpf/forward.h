// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Sending an accepted packet on its way. Whatever is out of the ordinary - a hop limit at its end, a packet too big for the
 * way, a neighbour not known - is left to the kernel's own stack, which answers as a router must; the mark tells the programs
 * and the rules behind that policy let the packet pass.
 */
#pragma once
#include "events.h"
#include "translate.h"
#include "way.h"

/* clang would share the address of skb->mark among places; the verifier wants each offset from the context itself. */
#define FROM_THE_CONTEXT(skb) asm volatile("" : "+r"(skb))

ALWAYS_INLINE int up_the_stack(struct __sk_buff *skb)
{
	FROM_THE_CONTEXT(skb);
	skb->mark |= MARK_ACCEPTED;
	return TCX_NEXT;
}

/* It is this host's; should the host's own rules lead it to a workload after all, `to_workload` judges it. */
ALWAYS_INLINE int up_to_host(struct __sk_buff *skb)
{
	FROM_THE_CONTEXT(skb);
	skb->mark |= MARK_TO_HOST;
	return TCX_NEXT;
}

enum hop { HOP_DONE = 0, HOP_LAST = 1, HOP_UNREADABLE = 2 };

/* RFC 1812 section 5.3.1, RFC 8200 section 3; the checksum by RFC 1141. */
ALWAYS_INLINE int count_hop(struct __sk_buff *skb, __u8 family)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (family == 4) {
		struct iphdr *ip = data + ETH_HLEN;
		__u32 check;

		if ((void *)(ip + 1) > end)
			return HOP_UNREADABLE;
		if (ip->ttl <= 1)
			return HOP_LAST;
		check = ip->check + bpf_htons(0x0100);
		ip->check = check + (check >= 0xffff);
		ip->ttl--;
	} else {
		struct ipv6hdr *ip = data + ETH_HLEN;

		if ((void *)(ip + 1) > end)
			return HOP_UNREADABLE;
		if (ip->hop_limit <= 1)
			return HOP_LAST;
		ip->hop_limit--;
	}
	return HOP_DONE;
}

ALWAYS_INLINE int turn_macs(struct __sk_buff *skb)
{
	__u8 macs[12], turned[12];

	if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
		return -1;
	__builtin_memcpy(turned, macs + 6, 6);
	__builtin_memcpy(turned + 6, macs, 6);
	return bpf_skb_store_bytes(skb, 0, turned, sizeof(turned), 0);
}

ALWAYS_INLINE int write_macs(struct __sk_buff *skb, const struct way *way)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + ETH_HLEN > end)
		return -1;
	__builtin_memcpy(data, way->dst_mac, 6);
	__builtin_memcpy(data + 6, way->src_mac, 6);
	return 0;
}

/* On the wire; what the kernel carries as one packet the link will cut into many. */
ALWAYS_INLINE __u32 longest_part(struct __sk_buff *skb, const struct parsed *p)
{
	__u32 headers = p->l4 - p->l3;
	__u8 words = 0;

	if (!skb->gso_size)
		return p->length;
	if (p->tuple.protocol != IPPROTO_TCP)
		return headers + sizeof(struct udphdr) + skb->gso_size;
	bpf_skb_load_bytes(skb, p->l4 + 12, &words, 1);
	return headers + (words >> 4) * 4 + skb->gso_size;
}

ALWAYS_INLINE int is_longer(struct __sk_buff *skb, const struct parsed *p, __u32 mtu)
{
	return mtu && p->length > mtu && longest_part(skb, p) > mtu;
}

#define STATION_HOST 0 /* PACKET_HOST of include/uapi/linux/if_packet.h */

/* A frame to another station, or to all: a router forwards none of these (net/ipv4/ip_forward.c), so the stack drops it. */
ALWAYS_INLINE int is_for_others(struct __sk_buff *skb)
{
	return skb->pkt_type != STATION_HOST;
}

/* Not FORWARD_TUNNEL, which is a program of its own. */
ALWAYS_INLINE int go(struct __sk_buff *skb, const struct way *way)
{
	FROM_THE_CONTEXT(skb);
	if (way->forward != FORWARD_HOST && is_for_others(skb))
		return up_the_stack(skb);
	switch (way->forward) {
	case FORWARD_HOST:
		return up_to_host(skb);
	case FORWARD_PEER:
		if (write_macs(skb, way))
			return up_the_stack(skb);
		skb->mark = 0; /* it leaves this host's network namespace */
		return bpf_redirect_peer(way->out_ifindex, 0);
	case FORWARD_LINK:
		if (write_macs(skb, way))
			return up_the_stack(skb);
		skb->mark |= MARK_ACCEPTED;
		return bpf_redirect(way->out_ifindex, 0);
	case FORWARD_SELF: /* the frame's source is the link's own MAC */
		if (turn_macs(skb))
			return TCX_DROP;
		skb->mark |= MARK_ACCEPTED;
		return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
	case FORWARD_NEIGH:
		skb->mark |= MARK_ACCEPTED;
		return bpf_redirect_neigh(way->out_ifindex, NULL, 0, 0);
	}
	return up_the_stack(skb);
}

/* What needs no translation: the stack says to the sender what must be said, and cuts what may be cut. */
ALWAYS_INLINE int send(struct __sk_buff *skb, const struct parsed *p, const struct way *way, __u8 hook)
{
	if (way->forward == FORWARD_STACK)
		return up_the_stack(skb);
	if (way->forward == FORWARD_HOST)
		return up_to_host(skb);
	if (is_longer(skb, p, way->mtu))
		return up_the_stack(skb);
	if (is_from_network(hook) && count_hop(skb, p->family) != HOP_DONE)
		return up_the_stack(skb);
	return go(skb, way);
}
