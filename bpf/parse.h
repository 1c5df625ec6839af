// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * A frame's headers as a tuple. What cannot be read whole is malformed, and nothing malformed is ever passed on: a later
 * reader might read it otherwise.
 */
#pragma once
#include "frame.h"
#include "maps.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_ACK 0x10u

#define IPV4_OFFSET 0x1fff /* RFC 791 section 3.1 */
#define IPV4_MORE 0x2000
#define IPV4_OPTIONS 40
#define OPTION_END 0
#define OPTION_NOTHING 1
#define OPTION_LOOSE_ROUTE 131
#define OPTION_STRICT_ROUTE 137
#define MAX_EXTENSIONS 8
#define MOST_IPV6_PAYLOAD (0xffff - sizeof(struct ipv6hdr)) /* so that a packet's length is 16 bits: GRO makes none that is longer */
#define SCTP_HEADER 12 /* RFC 9260 section 3.1 */

/* Next headers that only lead to another: RFC 8200 section 4, RFC 4302. */
#define NEXT_HOP 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_AUTH 51
#define NEXT_DESTINATION 60
#define SEGMENTS_LEFT 0x00ff /* of a routing header's second word */

struct parsed {
	struct tuple tuple;
	__u32 fragment_id;
	__u16 l3;
	__u16 l4;
	__u16 length;
	__u16 part_from; /* bytes of the datagram before this fragment, and with it */
	__u16 part_end;
	__u8 family;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 part;        /* enum part */
	__u8 begins_none; /* ICMP that is no request */
};

enum parse_result { PARSED = 0, PARSE_NOT_IP = 1, PARSE_MALFORMED = 2, PARSE_NO_FIRST_PART = 3 };

ALWAYS_INLINE void map_ipv4(struct address *to, __be32 address)
{
	to->word[0] = 0;
	to->word[1] = 0;
	to->word[2] = bpf_htonl(0xffff);
	to->word[3] = address;
}

ALWAYS_INLINE int same_address(const struct address *a, const struct address *b)
{
	return a->word[3] == b->word[3] && a->word[2] == b->word[2] && a->word[1] == b->word[1] &&
	       a->word[0] == b->word[0];
}

ALWAYS_INLINE int same_tuple(const struct tuple *a, const struct tuple *b)
{
	return same_address(&a->src, &b->src) && same_address(&a->dst, &b->dst) && a->src_port == b->src_port &&
	       a->dst_port == b->dst_port && a->protocol == b->protocol;
}

ALWAYS_INLINE int is_zero(const struct address *a)
{
	return (a->word[0] | a->word[1] | a->word[2] | a->word[3]) == 0;
}

/* The answer's tuple. An ICMP reply has a type of its own: RFC 792, RFC 950, RFC 4443, RFC 4620. */
ALWAYS_INLINE __u16 answered_type(__u8 protocol, __u16 type)
{
	if (protocol == IPPROTO_ICMP) {
		switch (type) {
		case 8: return 0;
		case 0: return 8;
		case 13: return 14;
		case 14: return 13;
		case 15: return 16;
		case 16: return 15;
		case 17: return 18;
		case 18: return 17;
		}
	} else {
		switch (type) {
		case 128: return 129;
		case 129: return 128;
		case 139: return 140;
		case 140: return 139;
		}
	}
	return type;
}

ALWAYS_INLINE int is_icmp(__u8 protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

ALWAYS_INLINE void turn_round(struct tuple *to, const struct tuple *from)
{
	to->src = from->dst;
	to->dst = from->src;
	if (is_icmp(from->protocol)) {
		to->src_port = from->src_port;
		to->dst_port = answered_type(from->protocol, from->dst_port);
	} else {
		to->src_port = from->dst_port;
		to->dst_port = from->src_port;
	}
	to->protocol = from->protocol;
	to->zero[0] = to->zero[1] = to->zero[2] = 0;
}

/* RFC 792 and RFC 4443 section 2.1: types that report on another packet. */
ALWAYS_INLINE int is_icmp_error(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMP)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return protocol == IPPROTO_ICMPV6 && type >= 1 && type <= 4;
}

ALWAYS_INLINE int is_icmp_request(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMP)
		return type == 8 || type == 13 || type == 15 || type == 17;
	return type == 128 || type == 139;
}

/* RFC 4861, RFC 2710, RFC 3810: without these IPv6 does not work on a link. */
ALWAYS_INLINE int is_neighbour_discovery(const struct parsed *p)
{
	if (p->tuple.protocol != IPPROTO_ICMPV6 || p->family != 6 || p->part != PART_WHOLE)
		return 0;
	return (p->icmp_type >= 130 && p->icmp_type <= 136) || p->icmp_type == 143;
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

/* The packet ends where its header says: what follows in the frame is padding, whatever it looks like. */
ALWAYS_INLINE int holds(const struct parsed *p, __u32 bytes)
{
	return p->l4 + bytes <= p->l3 + p->length;
}

ALWAYS_INLINE int parse_ports(FRAME *frame, struct parsed *p)
{
	__u8 head[14];
	__u16 length;

	switch (p->tuple.protocol) {
	case IPPROTO_TCP:
		if (!holds(p, sizeof(struct tcphdr)) || load_bytes(frame, p->l4, head, 14))
			return PARSE_MALFORMED;
		if (head[12] >> 4 < 5 || !holds(p, (head[12] >> 4) * 4))
			return PARSE_MALFORMED;
		p->tcp_flags = head[13];
		break;
	case IPPROTO_UDP: /* RFC 768, RFC 8200: less than its header is no length, and no jumbogram comes here */
		if (!holds(p, sizeof(struct udphdr)) || load_bytes(frame, p->l4, head, sizeof(struct udphdr)))
			return PARSE_MALFORMED;
		length = (__u16)head[4] << 8 | head[5];
		if (length < sizeof(struct udphdr) || (p->part == PART_WHOLE && !holds(p, length)))
			return PARSE_MALFORMED;
		break;
	case IPPROTO_SCTP:
		if (!holds(p, SCTP_HEADER) || load_bytes(frame, p->l4, head, 4))
			return PARSE_MALFORMED;
		break;
	default:
		return PARSED;
	}
	p->tuple.src_port = (__u16)head[0] << 8 | head[1];
	p->tuple.dst_port = (__u16)head[2] << 8 | head[3];
	return PARSED;
}

ALWAYS_INLINE int parse_icmp(FRAME *frame, struct parsed *p)
{
	struct {
		__u8 type;
		__u8 code;
		__u16 checksum;
		__be16 id;
		__u16 rest;
	} icmp;

	if (!holds(p, sizeof(icmp)) || load_bytes(frame, p->l4, &icmp, sizeof(icmp)))
		return PARSE_MALFORMED;
	p->icmp_type = icmp.type;
	p->icmp_code = icmp.code;
	p->tuple.dst_port = icmp.type;
	if (answered_type(p->tuple.protocol, icmp.type) != icmp.type)
		p->tuple.src_port = bpf_ntohs(icmp.id);
	p->begins_none = !is_icmp_request(p->tuple.protocol, icmp.type);
	return PARSED;
}

/* Who puts IPv6 fragments together does not ask later ones for their protocol: RFC 8200 section 4.5. */
ALWAYS_INLINE struct fragment_key fragment_key_of(FRAME *frame, const struct parsed *p)
{
	struct fragment_key key = {
		.src = p->tuple.src,
		.dst = p->tuple.dst,
		.id = p->fragment_id,
		.ifindex = frame_link(frame),
		.protocol = p->family == 4 ? p->tuple.protocol : 0,
	};

	return key;
}

/*
 * What the first part said of the ports holds for all parts: RFC 791 section 2.3, RFC 8200 section 4.5. A part that overlaps the
 * first could say otherwise: RFC 1858, RFC 3128, RFC 5722.
 */
ALWAYS_INLINE int parse_later_part(FRAME *frame, struct parsed *p)
{
	struct fragment_key key = fragment_key_of(frame, p);
	struct fragment *first = bpf_map_lookup_elem(&fragments, &key);

	if (first) {
		if (p->part_from < first->end)
			return PARSE_MALFORMED;
		p->tuple.src_port = first->src_port;
		p->tuple.dst_port = first->dst_port;
		if (p->family == 6)
			p->tuple.protocol = first->protocol;
		if (p->tuple.protocol == (p->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
			p->icmp_type = first->dst_port;
		return PARSED;
	}
	if (p->family == 6)
		return PARSE_NO_FIRST_PART;
	switch (p->tuple.protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_ICMP:
		return PARSE_NO_FIRST_PART;
	}
	return PARSED;
}

ALWAYS_INLINE void remember_first_part(FRAME *frame, const struct parsed *p)
{
	struct fragment_key key = fragment_key_of(frame, p);
	struct fragment value = {.src_port = p->tuple.src_port, .dst_port = p->tuple.dst_port, .end = p->part_end,
				 .protocol = p->tuple.protocol, .seen = bpf_ktime_get_coarse_ns()};

	bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
}

/* All but the last are of whole units of eight bytes, and no datagram is longer than its length can say. 0: it is so. */
ALWAYS_INLINE int parse_part(struct parsed *p, __u32 from, int more)
{
	__u32 end = from + p->l3 + p->length - p->l4;

	if ((more && (end & 7)) || end > 0xffff)
		return -1;
	p->part = from ? PART_LATER : PART_FIRST;
	p->part_from = from;
	p->part_end = end;
	return 0;
}

ALWAYS_INLINE int parse_transport(FRAME *frame, struct parsed *p)
{
	__u8 own_icmp = p->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	__u8 first = p->part == PART_FIRST;
	int result;

	if (p->part == PART_LATER)
		return parse_later_part(frame, p);
	result = p->tuple.protocol == own_icmp ? parse_icmp(frame, p) : parse_ports(frame, p);
	if (result == PARSED && first)
		remember_first_part(frame, p);
	return result;
}

/*
 * RFC 791 section 3.1: options that can be read, and none of those that lead elsewhere than to the destination, which is what
 * policy judges (RFC 7126 section 4.3).
 */
ALWAYS_INLINE int are_options_right(FRAME *frame, __u32 at, __u32 end)
{
	__u8 type, length;
	int i;

	for (i = 0; i < IPV4_OPTIONS && at < end; i++) {
		if (load_bytes(frame, at, &type, 1))
			return 0;
		if (type == OPTION_END)
			return 1;
		if (type == OPTION_LOOSE_ROUTE || type == OPTION_STRICT_ROUTE)
			return 0;
		length = 1;
		if (type != OPTION_NOTHING && (at + 2 > end || load_bytes(frame, at + 1, &length, 1) || length < 2))
			return 0;
		at += length;
	}
	return at == end;
}

ALWAYS_INLINE int parse_ipv4(FRAME *frame, struct parsed *p)
{
	struct iphdr ip;
	__u16 offset;

	if (load_bytes(frame, p->l3, &ip, sizeof(ip)))
		return PARSE_MALFORMED;
	p->length = bpf_ntohs(ip.tot_len);
	if (ip.version != 4 || ip.ihl < 5 || p->length < ip.ihl * 4)
		return PARSE_MALFORMED;
	if (p->length > frame_length(frame) - p->l3)
		return PARSE_MALFORMED;
	p->family = 4;
	p->l4 = p->l3 + ip.ihl * 4;
	map_ipv4(&p->tuple.src, ip.saddr);
	map_ipv4(&p->tuple.dst, ip.daddr);
	p->tuple.protocol = ip.protocol;
	if (ip.ihl > 5 && !are_options_right(frame, p->l3 + sizeof(ip), p->l4))
		return PARSE_MALFORMED;
	offset = bpf_ntohs(ip.frag_off);
	if (offset & (IPV4_OFFSET | IPV4_MORE)) {
		p->fragment_id = ip.id;
		if (parse_part(p, (offset & IPV4_OFFSET) * 8, offset & IPV4_MORE))
			return PARSE_MALFORMED;
	}
	return parse_transport(frame, p);
}

struct extension {
	__u8 next;
	__u8 length;
	__be16 offset;
	__be32 id;
};

ALWAYS_INLINE int parse_ipv6(FRAME *frame, struct parsed *p)
{
	struct ipv6hdr ip;
	struct extension extension;
	__u8 next, had_fragment = 0;
	int i;

	if (load_bytes(frame, p->l3, &ip, sizeof(ip)) || ip.version != 6)
		return PARSE_MALFORMED;
	p->length = bpf_ntohs(ip.payload_len);
	if (p->length > MOST_IPV6_PAYLOAD || p->length + sizeof(ip) > frame_length(frame) - p->l3)
		return PARSE_MALFORMED;
	p->length += sizeof(ip);
	p->family = 6;
	__builtin_memcpy(&p->tuple.src, &ip.saddr, sizeof(struct address));
	__builtin_memcpy(&p->tuple.dst, &ip.daddr, sizeof(struct address));
	p->l4 = p->l3 + sizeof(ip);
	next = ip.nexthdr;
	for (i = 0; i < MAX_EXTENSIONS; i++) {
		if (next != NEXT_HOP && next != NEXT_ROUTING && next != NEXT_FRAGMENT && next != NEXT_AUTH &&
		    next != NEXT_DESTINATION) {
			p->tuple.protocol = next;
			return parse_transport(frame, p);
		}
		if (!holds(p, sizeof(extension)) || load_bytes(frame, p->l4, &extension, sizeof(extension)))
			return PARSE_MALFORMED;
		if (next == NEXT_HOP && i > 0) /* RFC 8200 section 4.1 */
			return PARSE_MALFORMED;
		if (next == NEXT_ROUTING && (extension.offset & bpf_htons(SEGMENTS_LEFT)))
			return PARSE_MALFORMED; /* it goes on to others than policy judges: RFC 5095 */
		if (next == NEXT_FRAGMENT) {
			__u16 offset = bpf_ntohs(extension.offset);

			if (had_fragment)
				return PARSE_MALFORMED;
			had_fragment = 1;
			p->l4 += 8;
			if (offset & 0xfff9) {
				p->fragment_id = extension.id;
				if (parse_part(p, offset & 0xfff8, offset & 1))
					return PARSE_MALFORMED;
			}
			if (p->part == PART_LATER) {
				p->tuple.protocol = extension.next;
				return parse_transport(frame, p);
			}
		} else if (next == NEXT_AUTH) { /* RFC 4302 section 2.2 */
			if (extension.length < 2 || (extension.length & 1))
				return PARSE_MALFORMED;
			p->l4 += (extension.length + 2) * 4;
		} else {
			p->l4 += (extension.length + 1) * 8;
		}
		if (!holds(p, 0))
			return PARSE_MALFORMED;
		next = extension.next;
	}
	return PARSE_MALFORMED; /* more extensions than anyone sends */
}

/* An IPv4-mapped address on the wire would be taken for an IPv4 address: RFC 6890 lets none be there. */
ALWAYS_INLINE int is_mapped(const struct address *a)
{
	return a->word[0] == 0 && a->word[1] == 0 && a->word[2] == bpf_htonl(0xffff);
}

NEVER_INLINE int parse_slowly(FRAME *frame, struct parsed *p)
{
	int result;

	if (!p)
		return PARSE_MALFORMED;
	__builtin_memset(p, 0, sizeof(*p));
	p->l3 = ETH_HLEN;
	if (frame_protocol(frame) == bpf_htons(ETH_P_IP))
		return parse_ipv4(frame, p);
	if (frame_protocol(frame) != bpf_htons(ETH_P_IPV6))
		return PARSE_NOT_IP;
	result = parse_ipv6(frame, p);
	if (result == PARSED && (is_mapped(&p->tuple.src) || is_mapped(&p->tuple.dst)))
		return PARSE_MALFORMED;
	return result;
}

#ifndef FRAME_IS_XDP
/* The common case of IPv4 without options or IPv6 without extensions, TCP or UDP, read in place. 1: done. */
ALWAYS_INLINE int parse_quickly(struct __sk_buff *skb, struct parsed *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__be16 *ports;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = data + ETH_HLEN;

		if ((void *)(ip + 1) + sizeof(struct tcphdr) > end)
			return 0;
		if (*(__u8 *)ip != 0x45 || (ip->frag_off & bpf_htons(IPV4_OFFSET | IPV4_MORE)))
			return 0;
		p->length = bpf_ntohs(ip->tot_len);
		if (p->length > skb->len - ETH_HLEN)
			return 0;
		map_ipv4(&p->tuple.src, ip->saddr);
		map_ipv4(&p->tuple.dst, ip->daddr);
		p->tuple.protocol = ip->protocol;
		p->family = 4;
		p->l4 = ETH_HLEN + sizeof(*ip);
		ports = (void *)(ip + 1);
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = data + ETH_HLEN;

		if ((void *)(ip + 1) + sizeof(struct tcphdr) > end)
			return 0;
		if ((*(__u8 *)ip & 0xf0) != 0x60)
			return 0;
		if (bpf_ntohs(ip->payload_len) > MOST_IPV6_PAYLOAD)
			return 0;
		p->length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
		if (p->length > skb->len - ETH_HLEN)
			return 0;
		__builtin_memcpy(&p->tuple.src, &ip->saddr, sizeof(struct address));
		__builtin_memcpy(&p->tuple.dst, &ip->daddr, sizeof(struct address));
		if (is_mapped(&p->tuple.src) || is_mapped(&p->tuple.dst))
			return 0;
		p->tuple.protocol = ip->nexthdr;
		p->family = 6;
		p->l4 = ETH_HLEN + sizeof(*ip);
		ports = (void *)(ip + 1);
	} else {
		return 0;
	}
	if (p->tuple.protocol == IPPROTO_TCP) {
		__u8 words = ((__u8 *)ports)[12] >> 4;

		if (words < 5 || !holds(p, words * 4))
			return 0;
		p->tcp_flags = ((__u8 *)ports)[13];
	} else {
		if (p->tuple.protocol != IPPROTO_UDP || bpf_ntohs(ports[2]) < sizeof(struct udphdr) || !holds(p, bpf_ntohs(ports[2])))
			return 0;
	}
	p->tuple.src_port = bpf_ntohs(ports[0]);
	p->tuple.dst_port = bpf_ntohs(ports[1]);
	return 1;
}

ALWAYS_INLINE int parse(struct __sk_buff *skb, struct parsed *p)
{
	__builtin_memset(p, 0, sizeof(*p));
	p->l3 = ETH_HLEN;
	if (parse_quickly(skb, p))
		return PARSED;
	return parse_slowly(skb, p);
}
#endif
