// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * What is said to senders, and ICMP errors that pass: those that pass are about a packet of some flow and are translated as that flow's answers are, outside and
 * inside (RFC 5508 section 4); those we say ourselves quote what we drop (RFC 792, RFC 4443 section 3).
 */
#pragma once
#include "translate.h"

/* The packet that the error quotes, as it was when it met the error. 0: read. */
ALWAYS_INLINE int parse_quoted(struct __sk_buff *skb, const struct parsed *p, struct parsed *quoted)
{
	__be16 ports[2] = {};
	__u8 icmp[8];

	__builtin_memset(quoted, 0, sizeof(*quoted));
	quoted->l3 = p->l4 + 8;
	quoted->family = p->family;
	if (p->family == 4) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, quoted->l3, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
			return -1;
		if (ip.frag_off & bpf_htons(IPV4_OFFSET))
			return -1;
		map_ipv4(&quoted->tuple.src, ip.saddr);
		map_ipv4(&quoted->tuple.dst, ip.daddr);
		quoted->tuple.protocol = ip.protocol;
		quoted->l4 = quoted->l3 + ip.ihl * 4;
	} else {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, quoted->l3, &ip, sizeof(ip)) || ip.version != 6)
			return -1;
		__builtin_memcpy(&quoted->tuple.src, &ip.saddr, sizeof(struct address));
		__builtin_memcpy(&quoted->tuple.dst, &ip.daddr, sizeof(struct address));
		quoted->tuple.protocol = ip.nexthdr; /* a quoted packet with extensions is not followed */
		quoted->l4 = quoted->l3 + sizeof(ip);
	}
	if (quoted->l4 + sizeof(icmp) > p->l3 + p->length) /* as much as every error quotes: RFC 792, RFC 4443 section 2.4 */
		return -1;
	switch (quoted->tuple.protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (bpf_skb_load_bytes(skb, quoted->l4, ports, sizeof(ports)))
			return -1;
		quoted->tuple.src_port = bpf_ntohs(ports[0]);
		quoted->tuple.dst_port = bpf_ntohs(ports[1]);
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (bpf_skb_load_bytes(skb, quoted->l4, icmp, sizeof(icmp)))
			return -1;
		quoted->tuple.dst_port = icmp[0];
		quoted->tuple.src_port = (__u16)icmp[4] << 8 | icmp[5];
		return 0;
	}
	return 0;
}

ALWAYS_INLINE int write_quoted_port(struct __sk_buff *skb, int at, int checksum, __u16 from, __u16 to)
{
	return from == to ? 0 : write_port(skb, at, checksum, 0, from, to);
}

/* `to`: what the quoted packet's tuple shall be. Its own transport checksum is left: it covers what is not quoted. */
NEVER_INLINE int translate_quoted(struct __sk_buff *skb, const struct parsed *p, const struct parsed *quoted, const struct tuple *to)
{
	int checksum, is_ports;

	if (!p || !quoted || !to)
		return -1;
	checksum = p->l4 + 2;
	is_ports = quoted->tuple.protocol == IPPROTO_TCP || quoted->tuple.protocol == IPPROTO_UDP;
	if (p->family == 4) { /* what the addresses add to the ICMP checksum the quoted header's own checksum takes away */
		__u16 at = quoted->l3 + offsetof(struct iphdr, check);

		if (bpf_l3_csum_replace(skb, at, quoted->tuple.src.word[3], to->src.word[3], 4) ||
		    bpf_l3_csum_replace(skb, at, quoted->tuple.dst.word[3], to->dst.word[3], 4) ||
		    bpf_skb_store_bytes(skb, quoted->l3 + offsetof(struct iphdr, saddr), &to->src.word[3], 4, 0) ||
		    bpf_skb_store_bytes(skb, quoted->l3 + offsetof(struct iphdr, daddr), &to->dst.word[3], 4, 0))
			return -1;
	} else {
		__s64 difference = bpf_csum_diff((void *)&quoted->tuple.src, 32, (void *)&to->src, 32, 0);

		if (bpf_l4_csum_replace(skb, checksum, 0, difference, 0) ||
		    bpf_skb_store_bytes(skb, quoted->l3 + 8, &to->src, 32, 0))
			return -1;
	}
	if (is_ports)
		return write_quoted_port(skb, quoted->l4, checksum, quoted->tuple.src_port, to->src_port) ||
		       write_quoted_port(skb, quoted->l4 + 2, checksum, quoted->tuple.dst_port, to->dst_port);
	if (is_icmp(quoted->tuple.protocol))
		return write_quoted_port(skb, quoted->l4 + 4, checksum, quoted->tuple.src_port, to->src_port);
	return 0;
}

/* So much of the dropped packet is quoted: its header and what names its flow; behind a shorter one stand zeros. */
#define QUOTED_TRANSPORT 20

struct icmp_header { /* RFC 792, RFC 4443 section 2.1: both alike */
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 value;
};

struct error4 {
	struct iphdr ip;
	struct icmp_header icmp;
} __attribute__((packed));

struct error6 {
	struct ipv6hdr ip;
	struct icmp_header icmp;
} __attribute__((packed));

/* What we say: ICMP of the family, by type and code; `value` is the link's MTU where that is meant. */
struct saying {
	__u8 type;
	__u8 code;
	__u32 value;
};

ALWAYS_INLINE __u16 fold(__s64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	return ~((sum & 0xffff) + (sum >> 16));
}

ALWAYS_INLINE int say4(struct __sk_buff *skb, const struct address *from, const struct address *to, const struct saying *saying)
{
	struct {
		struct error4 head;
		__u8 quoted[sizeof(struct iphdr) + QUOTED_TRANSPORT];
	} __attribute__((packed)) all = {};

	if (bpf_skb_change_tail(skb, ETH_HLEN + sizeof(all.quoted), 0) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, all.quoted, sizeof(all.quoted)) ||
	    bpf_skb_adjust_room(skb, sizeof(all.head), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	all.head.ip.version = 4;
	all.head.ip.ihl = 5;
	all.head.ip.ttl = 64;
	all.head.ip.protocol = IPPROTO_ICMP;
	all.head.ip.tot_len = bpf_htons(sizeof(all));
	all.head.ip.saddr = from->word[3];
	all.head.ip.daddr = to->word[3];
	all.head.ip.check = fold(bpf_csum_diff(NULL, 0, (void *)&all.head.ip, sizeof(all.head.ip), 0));
	all.head.icmp.type = saying->type;
	all.head.icmp.code = saying->code;
	all.head.icmp.value = bpf_htonl(saying->value);
	all.head.icmp.checksum = fold(bpf_csum_diff(NULL, 0, (void *)&all.head.icmp, sizeof(all.head.icmp) + sizeof(all.quoted), 0));
	return bpf_skb_store_bytes(skb, ETH_HLEN, &all, sizeof(all), BPF_F_INVALIDATE_HASH);
}

ALWAYS_INLINE int say6(struct __sk_buff *skb, const struct address *from, const struct address *to, const struct saying *saying)
{
	struct {
		struct error6 head;
		__u8 quoted[sizeof(struct ipv6hdr) + QUOTED_TRANSPORT];
	} __attribute__((packed)) all = {};
	struct {
		struct address from, to;
		__be32 length, next;
	} pseudo = {.from = *from, .to = *to, .length = bpf_htonl(sizeof(all) - sizeof(struct ipv6hdr)), .next = bpf_htonl(IPPROTO_ICMPV6)};
	__s64 sum;

	if (bpf_skb_change_tail(skb, ETH_HLEN + sizeof(all.quoted), 0) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, all.quoted, sizeof(all.quoted)) ||
	    bpf_skb_adjust_room(skb, sizeof(all.head), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	all.head.ip.version = 6;
	all.head.ip.hop_limit = 64;
	all.head.ip.nexthdr = IPPROTO_ICMPV6;
	all.head.ip.payload_len = bpf_htons(sizeof(all) - sizeof(struct ipv6hdr));
	__builtin_memcpy(&all.head.ip.saddr, from, sizeof(*from));
	__builtin_memcpy(&all.head.ip.daddr, to, sizeof(*to));
	all.head.icmp.type = saying->type;
	all.head.icmp.code = saying->code;
	all.head.icmp.value = bpf_htonl(saying->value);
	sum = bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), 0);
	all.head.icmp.checksum = fold(bpf_csum_diff(NULL, 0, (void *)&all.head.icmp, sizeof(all.head.icmp) + sizeof(all.quoted), sum));
	return bpf_skb_store_bytes(skb, ETH_HLEN, &all, sizeof(all), BPF_F_INVALIDATE_HASH);
}

struct reset4 {
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

struct reset6 {
	struct ipv6hdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

/* RFC 9293 section 3.10.7.1: as a host without such a connection answers. */
ALWAYS_INLINE int fill_reset(struct __sk_buff *skb, const struct packet *packet, struct tcphdr *tcp)
{
	struct tcphdr asked;

	if (bpf_skb_load_bytes(skb, packet->l4, &asked, sizeof(asked)))
		return -1;
	tcp->source = asked.dest;
	tcp->dest = asked.source;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->rst = 1;
	if (asked.ack) {
		tcp->seq = asked.ack_seq;
	} else {
		tcp->ack = 1;
		tcp->ack_seq = bpf_htonl(bpf_ntohl(asked.seq) + asked.syn + asked.fin + packet->l3 + packet->length - packet->l4 -
					 asked.doff * 4);
	}
	return 0;
}

ALWAYS_INLINE int reset4(struct __sk_buff *skb, const struct packet *packet)
{
	struct reset4 all = {};
	struct {
		__be32 from, to;
		__be16 protocol, length;
	} pseudo = {.from = packet->arrived.dst.word[3], .to = packet->arrived.src.word[3], .protocol = bpf_htons(IPPROTO_TCP),
		    .length = bpf_htons(sizeof(all.tcp))};
	__s64 sum;

	if (fill_reset(skb, packet, &all.tcp) || bpf_skb_change_tail(skb, ETH_HLEN + sizeof(all), 0))
		return -1;
	all.ip.version = 4;
	all.ip.ihl = 5;
	all.ip.ttl = 64;
	all.ip.protocol = IPPROTO_TCP;
	all.ip.tot_len = bpf_htons(sizeof(all));
	all.ip.saddr = pseudo.from;
	all.ip.daddr = pseudo.to;
	all.ip.check = fold(bpf_csum_diff(NULL, 0, (void *)&all.ip, sizeof(all.ip), 0));
	sum = bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), 0);
	all.tcp.check = fold(bpf_csum_diff(NULL, 0, (void *)&all.tcp, sizeof(all.tcp), sum));
	return bpf_skb_store_bytes(skb, ETH_HLEN, &all, sizeof(all), BPF_F_INVALIDATE_HASH);
}

ALWAYS_INLINE int reset6(struct __sk_buff *skb, const struct packet *packet)
{
	struct reset6 all = {};
	struct {
		struct address from, to;
		__be32 length, next;
	} pseudo = {.from = packet->arrived.dst, .to = packet->arrived.src, .length = bpf_htonl(sizeof(all.tcp)),
		    .next = bpf_htonl(IPPROTO_TCP)};
	__s64 sum;

	if (fill_reset(skb, packet, &all.tcp) || bpf_skb_change_tail(skb, ETH_HLEN + sizeof(all), 0))
		return -1;
	all.ip.version = 6;
	all.ip.hop_limit = 64;
	all.ip.nexthdr = IPPROTO_TCP;
	all.ip.payload_len = bpf_htons(sizeof(all.tcp));
	__builtin_memcpy(&all.ip.saddr, &pseudo.from, sizeof(pseudo.from));
	__builtin_memcpy(&all.ip.daddr, &pseudo.to, sizeof(pseudo.to));
	sum = bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), 0);
	all.tcp.check = fold(bpf_csum_diff(NULL, 0, (void *)&all.tcp, sizeof(all.tcp), sum));
	return bpf_skb_store_bytes(skb, ETH_HLEN, &all, sizeof(all), BPF_F_INVALIDATE_HASH);
}
