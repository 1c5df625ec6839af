// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Writes another tuple into a packet, checksums and all (RFC 1624). Ports and transport checksums stand in the first part of
 * a fragmented packet alone; the checksum there covers all parts, and is right once it is adjusted.
 *
 * SCTP's checksum covers its ports but not the addresses (RFC 9260 section 6.8): addresses may be translated, ports not;
 * the driver refuses services that ask for it.
 */
#pragma once
#include "parse.h"

ALWAYS_INLINE int checksum_offset(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offsetof(struct udphdr, check);
	case IPPROTO_ICMPV6:
	case IPPROTO_ICMP:
		return 2;
	}
	return -1;
}

ALWAYS_INLINE int write_address(struct __sk_buff *skb, const struct parsed *p, int checksum, __u64 flags, int is_src,
				const struct address *from, const struct address *to)
{
	__s64 difference;

	if (p->family == 4) {
		__u32 at = p->l3 + (is_src ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr));

		if (checksum >= 0 && p->tuple.protocol != IPPROTO_ICMP &&
		    bpf_l4_csum_replace(skb, checksum, from->word[3], to->word[3], flags | BPF_F_PSEUDO_HDR | 4))
			return -1;
		if (bpf_l3_csum_replace(skb, p->l3 + offsetof(struct iphdr, check), from->word[3], to->word[3], 4))
			return -1;
		return bpf_skb_store_bytes(skb, at, &to->word[3], 4, 0);
	}
	difference = bpf_csum_diff((void *)from, sizeof(*from), (void *)to, sizeof(*to), 0);
	if (checksum >= 0 && bpf_l4_csum_replace(skb, checksum, 0, difference, flags | BPF_F_PSEUDO_HDR))
		return -1;
	return bpf_skb_store_bytes(skb, p->l3 + (is_src ? 8 : 24), to, sizeof(*to), 0);
}

ALWAYS_INLINE int write_port(struct __sk_buff *skb, int at, int checksum, __u64 flags, __u16 from, __u16 to)
{
	__be16 old = bpf_htons(from), new = bpf_htons(to);

	if (bpf_l4_csum_replace(skb, checksum, old, new, flags | 2))
		return -1;
	return bpf_skb_store_bytes(skb, at, &new, 2, 0);
}

/* 0, or -1 when a helper failed: the packet is then half written and must be dropped. */
NEVER_INLINE int translate(struct __sk_buff *skb, const struct parsed *p, const struct tuple *to)
{
	int offset, checksum;
	__u64 flags;

	if (!p || !to)
		return -1;
	flags = p->tuple.protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	offset = p->part == PART_LATER ? -1 : checksum_offset(p->tuple.protocol);
	checksum = offset < 0 ? -1 : p->l4 + offset;
	if (!same_address(&p->tuple.src, &to->src) &&
	    write_address(skb, p, checksum, flags, 1, &p->tuple.src, &to->src))
		return -1;
	if (!same_address(&p->tuple.dst, &to->dst) &&
	    write_address(skb, p, checksum, flags, 0, &p->tuple.dst, &to->dst))
		return -1;
	if (checksum < 0)
		return 0;
	if (is_icmp(p->tuple.protocol)) { /* the identifier is the source port of requests and answers alike */
		if (p->tuple.src_port != to->src_port)
			return write_port(skb, p->l4 + 4, checksum, 0, p->tuple.src_port, to->src_port);
		return 0;
	}
	if (p->tuple.src_port != to->src_port && write_port(skb, p->l4, checksum, flags, p->tuple.src_port, to->src_port))
		return -1;
	if (p->tuple.dst_port != to->dst_port &&
	    write_port(skb, p->l4 + 2, checksum, flags, p->tuple.dst_port, to->dst_port))
		return -1;
	return 0;
}
