// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* PROGRAM_REJECT, PROGRAM_TOO_BIG, PROGRAM_EXPIRED: telling the sender what became of its packet. */
#pragma once
#include "icmp.h"
#include "judged.h"

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
