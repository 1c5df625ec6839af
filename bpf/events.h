// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * What user space is told: a count for every drop, an event for each drop, each new flow where asked for, each Log rule.
 * A full ring loses events, never packets; readers see the gap in the counts.
 */
#pragma once
#include "parse.h"

/* In `drops`, where no reason is: events that found the ring full. */
#define EVENTS_LOST 0

enum verdict { VERDICT_ALLOWED = 1, VERDICT_DENIED = 2 };

ALWAYS_INLINE void count_drop(__u32 reason)
{
	__u64 *count = bpf_map_lookup_elem(&drops, &reason);

	if (count)
		*count += 1;
}

ALWAYS_INLINE void count_rule(__u64 rule)
{
	__u64 one = 1, *count = bpf_map_lookup_elem(&rule_hits, &rule);

	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&rule_hits, &rule, &one, BPF_NOEXIST);
}

NEVER_INLINE int tell(struct packet *packet, __u32 verdict)
{
	struct event *event;

	if (!packet)
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_drop(EVENTS_LOST);
		return 0;
	}
	event->time = bpf_ktime_get_ns();
	event->arrived = packet->arrived;
	event->now = packet->now;
	__builtin_memcpy(event->endpoints, packet->endpoints, sizeof(event->endpoints));
	__builtin_memcpy(event->rules, packet->rules, sizeof(event->rules));
	__builtin_memcpy(event->logs, packet->logs, sizeof(event->logs));
	event->service = packet->service;
	event->stages = packet->next + (verdict == VERDICT_DENIED ? 1 : 0);
	event->log_count = packet->log_count;
	event->ifindex = packet->ifindex;
	event->length = packet->length;
	event->family = packet->family;
	event->verdict = verdict;
	event->reason = packet->reason;
	event->hook = packet->hook;
	event->icmp_type = packet->icmp_type;
	event->icmp_code = packet->icmp_code;
	event->zero[0] = event->zero[1] = 0;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

ALWAYS_INLINE void count_rules(const struct packet *packet)
{
	int i;

	for (i = 0; i < MAX_STAGES; i++)
		if (packet->rules[i])
			count_rule(packet->rules[i]);
}

/* Starts the record of a packet that no known flow carries. */
ALWAYS_INLINE void record(struct packet *packet, struct __sk_buff *skb, const struct parsed *p, __u8 hook)
{
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->now = p->tuple;
	packet->arrived = p->tuple;
	packet->family = p->family;
	packet->icmp_type = p->icmp_type;
	packet->icmp_code = p->icmp_code;
	packet->hook = hook;
	packet->ifindex = hook == HOOK_FROM_NETWORK || hook == HOOK_FROM_WORKLOAD ? skb->ifindex : 0;
	packet->l3 = p->l3;
	packet->l4 = p->l4;
	packet->length = p->length;
	packet->tcp_flags = p->tcp_flags;
	packet->fragment = p->part;
	packet->flags = begins_nothing(p) ? PACKET_BEGINS_NOTHING : 0;
}

/* Drops what never came to policy. */
NEVER_INLINE int refuse(struct __sk_buff *skb, const struct parsed *p, __u32 hook, __u32 reason)
{
	struct packet *packet = this_packet();

	count_drop(reason);
	if (!packet || !p)
		return TCX_DROP;
	record(packet, skb, p, hook);
	packet->reason = reason;
	tell(packet, VERDICT_DENIED);
	return TCX_DROP;
}
