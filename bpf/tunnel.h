// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * VXLAN between nodes (RFC 7348), under a network number of our own: it carries what outside clients sent to a service to the
 * node of its backend, with the client's address, and the answers back.
 *
 *     | Ethernet | IP | UDP | VXLAN | Ethernet | the packet |      outer and inner are of one family
 *
 * The pools' own encapsulation, VXLAN and IPIP, will use the same two places: PROGRAM_TUNNEL on the way out, `take_out` on the
 * way in; other network numbers are left to the kernel's devices.
 */
#pragma once
#include "parse.h"

#define TUNNEL_NETWORK 0x6d7573 /* "mus" */
#define VXLAN_HAS_NETWORK 0x08000000

struct vxlan {
	__be32 flags;
	__be32 network;
};

struct outer4 {
	struct iphdr ip;
	struct udphdr udp;
	struct vxlan vxlan;
	struct ethhdr ethernet;
} __attribute__((packed));
SIZE_IS(struct outer4, 50);

struct outer6 {
	struct ipv6hdr ip;
	struct udphdr udp;
	struct vxlan vxlan;
	struct ethhdr ethernet;
} __attribute__((packed));
SIZE_IS(struct outer6, 70);

#define ENCAPSULATE (BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) | BPF_F_ADJ_ROOM_FIXED_GSO)
#ifndef BPF_F_ADJ_ROOM_ENCAP_L2_ETH
#define BPF_F_ADJ_ROOM_ENCAP_L2_ETH (1ULL << 6)
#endif

ALWAYS_INLINE __be16 header_checksum(const struct iphdr *ip)
{
	__s64 sum = bpf_csum_diff(NULL, 0, (void *)ip, sizeof(*ip), 0);

	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

ALWAYS_INLINE void fill_udp(struct udphdr *udp, struct vxlan *vxlan, __u32 length, __u32 hash, __u32 port)
{
	udp->source = bpf_htons(49152 | (hash & 0x3fff)); /* RFC 7348 section 5: spreads flows over paths */
	udp->dest = bpf_htons(port);
	udp->len = bpf_htons(length);
	udp->check = 0;
	vxlan->flags = bpf_htonl(VXLAN_HAS_NETWORK);
	vxlan->network = bpf_htonl(TUNNEL_NETWORK << 8);
}

ALWAYS_INLINE int put_in4(struct __sk_buff *skb, const struct address *from, const struct address *to, __u32 hash, __u32 port)
{
	struct outer4 outer = {};
	__u32 length = skb->len - ETH_HLEN + sizeof(outer);

	if (bpf_skb_adjust_room(skb, sizeof(outer), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | ENCAPSULATE))
		return -1;
	outer.ip.version = 4;
	outer.ip.ihl = 5;
	outer.ip.ttl = 64;
	outer.ip.protocol = IPPROTO_UDP;
	outer.ip.tot_len = bpf_htons(length);
	outer.ip.saddr = from->word[3];
	outer.ip.daddr = to->word[3];
	outer.ip.check = header_checksum(&outer.ip);
	fill_udp(&outer.udp, &outer.vxlan, length - sizeof(outer.ip), hash, port);
	outer.ethernet.h_proto = bpf_htons(ETH_P_IP);
	return bpf_skb_store_bytes(skb, ETH_HLEN, &outer, sizeof(outer), BPF_F_INVALIDATE_HASH);
}

ALWAYS_INLINE int put_in6(struct __sk_buff *skb, const struct address *from, const struct address *to, __u32 hash, __u32 port)
{
	struct outer6 outer = {};
	__u32 length = skb->len - ETH_HLEN + sizeof(outer);

	if (bpf_skb_adjust_room(skb, sizeof(outer), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | ENCAPSULATE))
		return -1;
	outer.ip.version = 6;
	outer.ip.hop_limit = 64;
	outer.ip.nexthdr = IPPROTO_UDP;
	outer.ip.payload_len = bpf_htons(length - sizeof(outer.ip));
	__builtin_memcpy(&outer.ip.saddr, from, sizeof(*from));
	__builtin_memcpy(&outer.ip.daddr, to, sizeof(*to));
	fill_udp(&outer.udp, &outer.vxlan, length - sizeof(outer.ip), hash, port);
	outer.ethernet.h_proto = bpf_htons(ETH_P_IPV6);
	return bpf_skb_store_bytes(skb, ETH_HLEN, &outer, sizeof(outer), BPF_F_INVALIDATE_HASH);
}

struct tunnelled {
	struct udphdr udp;
	struct vxlan vxlan;
	struct ethhdr ethernet;
} __attribute__((packed));

/* 1: the frame is of our tunnel. */
ALWAYS_INLINE int is_ours(struct __sk_buff *skb, const struct parsed *p, __u32 port)
{
	struct tunnelled inner;

	if (p->tuple.protocol != IPPROTO_UDP || p->tuple.dst_port != port || p->part != PART_WHOLE)
		return 0;
	if (!holds(p, sizeof(inner)) || bpf_skb_load_bytes(skb, p->l4, &inner, sizeof(inner)))
		return 0;
	return inner.vxlan.flags == bpf_htonl(VXLAN_HAS_NETWORK) && inner.vxlan.network == bpf_htonl(TUNNEL_NETWORK << 8) &&
	       inner.ethernet.h_proto == skb->protocol;
}

/* What lies behind the outer packet's end is not in it, whatever the inner one says. */
ALWAYS_INLINE __u32 room_inside(const struct parsed *p)
{
	return p->l3 + p->length - p->l4 - sizeof(struct tunnelled);
}

ALWAYS_INLINE int take_out(struct __sk_buff *skb, const struct parsed *p)
{
	__u32 bytes = p->family == 4 ? sizeof(struct outer4) : sizeof(struct outer6);

	if (p->l4 - p->l3 + sizeof(struct tunnelled) != bytes) /* options or extensions: no node of ours sends any */
		return -1;
	return bpf_skb_adjust_room(skb, -(__s32)bytes, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}
